"""Finding passages: by meaning and by words, in several stores at once, best first."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Literal, Protocol
from weakref import WeakValueDictionary

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from locum import limits
from locum.store.passages import PLACE_BITS
from locum.tools.file_search.filters import Attributes, Filter, allows
from locum.tools.file_search.fuse import candidates, fuse, word_evidence
from locum.tools.file_search.index import (
    Contents,
    FileEntry,
    Matrix,
    Numbers,
    PassageIndex,
    Vectors,
)
from locum.tools.file_search.reranking import Reranker, second_opinion
from locum.tools.file_search.terms import query_terms

# Each opinion nominates so many passages; more change nothing that anyone sees.
_NOMINATED = 50
# So many are worth a reranker's time: as many as anybody may ask for.
_RERANKED = limits.SEARCH_RESULTS_MAX
RERANK_S = 10.0
_CACHE_BYTES = 1 << 30
# So little, each, that handing it to a thread would take longer.
_INLINE_FLOATS = 1 << 20
_INLINE_FILES = 100
_INLINE_TERMS = 16
# Of one query, whose meaning most embedders take from no more than its beginning either.
_MOST_TERMS = 256


class Found(Struct, frozen=True, kw_only=True):
    """A passage that answers. Scores are in 0..1, as `fuse` or `reranking` defines them."""

    passage_id: int
    store_id: str
    file_id: str
    filename: str
    attributes: Attributes
    text: str
    score: float


class QueryEmbedder(Protocol):
    @property
    def dimensions(self) -> int: ...

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence[object]:
        """One vector of length one for each text, each a buffer of 32-bit floats."""
        ...


class Searcher:
    """Searches one index; keeps the contents of the stores searched last."""

    def __init__(
        self,
        index: PassageIndex,
        embedder: QueryEmbedder,
        *,
        reranker: Reranker | None = None,
        rerank_s: float = RERANK_S,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._reranker = reranker
        self._rerank_s = rerank_s
        self._kept = _Cache(index, cache_bytes)

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        most: int,
        threshold: float = 0.0,
        filters: Filter | None = None,
        rerank: bool = True,
    ) -> list[Found]:
        """The best passages for any of the queries, each once for every store it lies in."""
        asked = [query for query in queries if query.strip()]
        if not asked:
            return []
        vectors = await self._embedder.embed(asked, kind="query")
        found: list[list[Found]] = [[] for _ in asked]
        for store_id in store_ids:
            within = await self._within(store_id, filters)
            if within is not None and not within:
                continue
            for query, vector, answers in zip(asked, vectors, found, strict=True):
                floats = np.frombuffer(vector, dtype=np.float32)  # type: ignore[call-overload]  # a buffer by its own word
                answers.extend(await self._one(store_id, query, floats, within))
        if rerank and self._reranker is not None:
            found = await self._reranked(self._reranker, asked, found)
        return [one for one in _best_first(found) if one.score >= threshold][:most]

    async def _reranked(
        self, reranker: Reranker, asked: Sequence[str], found: list[list[Found]]
    ) -> list[list[Found]]:
        """The best answers to each query with the reranker's scores, or all as they were."""
        best = [_best_first([answers])[:_RERANKED] for answers in found]
        scores = await second_opinion(
            reranker,
            [
                (query, [one.text for one in answers])
                for query, answers in zip(asked, best, strict=True)
            ],
            within_s=self._rerank_s,
        )
        if scores is None:
            return found
        return [
            [replace(one, score=score) for one, score in zip(answers, given, strict=True)]
            for answers, given in zip(best, scores, strict=True)
        ]

    async def _within(self, store_id: str, filters: Filter | None) -> Collection[str] | None:
        """The files that pass; None when nothing is asked of them."""
        if filters is None:
            return None
        files = await self._index.files(store_id)
        if len(files) > _INLINE_FILES:
            return await asyncio.to_thread(_allowed, files, filters)
        return _allowed(files, filters)

    async def _one(
        self, store_id: str, query: str, vector: Vectors, within: Collection[str] | None
    ) -> list[Found]:
        contents = await self._kept.get(store_id)
        wanted = query_terms(query)[:_MOST_TERMS]
        is_long = len(wanted) > _INLINE_TERMS
        if is_long or contents.matrix.vectors.size > _INLINE_FLOATS:
            opinions = await asyncio.to_thread(_opinions, contents, vector, wanted, within)
        else:
            opinions = _opinions(contents, vector, wanted, within)
        meaning, nominated = opinions
        passages = await self._index.passages(store_id, nominated)
        said = {one.passage_id: one.terms for one in passages}
        if is_long:
            words = await asyncio.to_thread(word_evidence, wanted, said)
        else:
            words = word_evidence(wanted, said)
        files = await self._index.files(store_id, only={one.file_id for one in passages})
        return [
            Found(
                passage_id=one.passage_id,
                store_id=store_id,
                file_id=one.file_id,
                filename=files[one.file_id].filename,
                attributes=files[one.file_id].attributes,
                text=one.text,
                score=fuse(_of(contents.matrix, meaning, one.passage_id), words[one.passage_id]),
            )
            for one in passages
            if one.file_id in files and (within is None or one.file_id in within)
        ]


class _Cache:
    """The contents used last, within a budget of bytes; what is old is brought up to date."""

    def __init__(self, index: PassageIndex, most_bytes: int) -> None:
        self._index = index
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Contents] = OrderedDict()
        # Whoever brings a store up to date; others wait, as a second copy might not fit.
        self._bringing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, store_id: str) -> Contents:
        one_at_a_time = self._bringing.setdefault(store_id, asyncio.Lock())
        async with one_at_a_time:
            kept = self._kept.get(store_id)
            if kept is None or kept.version != await self._index.version(store_id):
                kept = await self._index.contents(store_id, known=kept)
                self._kept[store_id] = kept
        if store_id in self._kept:
            self._kept.move_to_end(store_id)
        while len(self._kept) > 1 and self._size() > self._most_bytes:
            self._kept.popitem(last=False)
        return kept

    def _size(self) -> int:
        return sum(one.size_bytes for one in self._kept.values())


def _best_first(found: Sequence[Sequence[Found]]) -> list[Found]:
    """What any query has found, each passage once, with its best score."""
    best: dict[tuple[str, int], Found] = {}
    for one in chain.from_iterable(found):
        known = best.get((one.store_id, one.passage_id))
        if known is None or known.score < one.score:
            best[one.store_id, one.passage_id] = one
    return sorted(best.values(), key=lambda one: (-one.score, one.passage_id))


def _allowed(files: Mapping[str, FileEntry], filters: Filter) -> set[str]:
    return {one for one in files if allows(filters, files[one].attributes)}


def _opinions(
    contents: Contents, vector: Vectors, wanted: Sequence[str], within: Collection[str] | None
) -> tuple[Vectors, list[int]]:
    """The meaning of each passage that has vectors, and the passages worth a closer look."""
    meaning = _nearest(contents.matrix, vector)
    among = None
    if within is not None:
        numbers = [number for number, file_id in contents.file_ids.items() if file_id in within]
        among = np.array(numbers, dtype=np.int64)
    by_words = contents.words.best(wanted, most=_NOMINATED, among=among)
    by_meaning = _best(contents.matrix, meaning, among)
    return meaning, candidates([by_meaning, by_words], most=2 * _NOMINATED)


def _nearest(matrix: Matrix, vector: Vectors) -> Vectors:
    if not len(matrix.rows):
        return np.zeros(len(matrix.passage_ids), dtype=np.float32)
    cosines: NDArray[np.float32] = matrix.vectors @ vector
    return np.maximum.reduceat(cosines[matrix.rows], matrix.starts[:-1])


def _best(matrix: Matrix, meaning: Vectors, among: Numbers | None) -> list[int]:
    if among is not None:
        allowed = np.isin(matrix.passage_ids >> PLACE_BITS, among)
        meaning = np.where(allowed, meaning, np.float32(-1))
    most = min(_NOMINATED, len(meaning))
    if most == 0:
        return []
    places = np.argpartition(-meaning, most - 1)[:most]
    ordered = places[np.argsort(-meaning[places], kind="stable")]
    return [int(matrix.passage_ids[place]) for place in ordered if meaning[place] > 0]


def _of(matrix: Matrix, meaning: Vectors, passage_id: int) -> float:
    place = int(np.searchsorted(matrix.passage_ids, passage_id))
    if place < len(matrix.passage_ids) and matrix.passage_ids[place] == passage_id:
        return float(meaning[place])
    # It has no vector of this model, so its words alone speak for it.
    return 0.0
