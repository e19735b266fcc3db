"""Searching a vector store without a run."""

from locum import limits
from locum.errors import InvalidParameter, Unavailable
from locum.service import vector_stores
from locum.service.scope import Scope
from locum.store.passages import StoreKey
from locum.tools.file_search import filters
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.rewrite import rewrite
from locum.tools.file_search.search import Found
from locum.tools.file_search.stored_index import name_of
from locum.wire.vector_stores import (
    Search,
    SearchRanking,
    SearchResult,
    SearchResultsPage,
    TextContent,
)


async def search_vector_store(
    scope: Scope, *, vector_store_id: str, body: Search
) -> SearchResultsPage:
    """The passages that answer best, whatever the files; that a store was searched prolongs it."""
    queries = _queries(body)
    rule = None if body.filters is None else filters.parse(body.filters)
    async with scope.store.transaction() as tx:
        await vector_stores.usable(scope, tx, vector_store_id)
        await vector_stores.touch(scope, tx, vector_store_id)
    ranking = body.ranking_options or SearchRanking()
    try:
        found = await scope.house.searcher.search(
            [name_of(StoreKey(scope.project_id, vector_store_id))],
            queries,
            most=body.max_num_results,
            threshold=ranking.score_threshold,
            filters=rule,
            rerank=ranking.ranker != "none",
        )
    except EmbeddingFailed as error:
        raise Unavailable(f"The query could not be embedded: {error}") from error
    return SearchResultsPage(search_query=queries, data=tuple(map(_shown, found)))


def _queries(body: Search) -> tuple[str, ...]:
    asked = (body.query,) if isinstance(body.query, str) else body.query
    if len(asked) > limits.SEARCH_QUERIES:
        raise InvalidParameter(
            "Invalid 'query': array too long. Expected an array with maximum length"
            f" {limits.SEARCH_QUERIES}, but got an array with length {len(asked)} instead.",
            param="query",
            code="array_above_max_length",
        )
    longest = max(map(len, asked))
    if longest > limits.SEARCH_QUERY_CHARS:
        raise InvalidParameter(
            "Invalid 'query': string too long. Expected a string with maximum length"
            f" {limits.SEARCH_QUERY_CHARS}, but got a string with length {longest} instead.",
            param="query",
            code="string_above_max_length",
        )
    return tuple(rewrite(query) for query in asked) if body.rewrite_query else asked


def _shown(found: Found) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=(TextContent(found.text),),
    )
