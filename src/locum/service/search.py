"""Searching a vector store without a run."""

from locum import limits
from locum.errors import Unavailable, array_too_long, string_too_long
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
    rule = None
    if body.filters is not None:
        rule = filters.parse(body.filters, lenient=scope.house.settings.lenient)
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
        raise array_too_long("query", len(asked), limit=limits.SEARCH_QUERIES)
    longest = max(map(len, asked))
    if longest > limits.SEARCH_QUERY_CHARS:
        raise string_too_long("query", longest, limit=limits.SEARCH_QUERY_CHARS)
    return tuple(rewrite(query) for query in asked) if body.rewrite_query else asked


def _shown(found: Found) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=(TextContent(found.text),),
    )
