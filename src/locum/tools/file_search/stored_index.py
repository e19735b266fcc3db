"""The passage index in the database: what `search` asks, put to the tables of `store.passages`."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from locum.store.passages import (
    PLACE_BITS,
    LiveFile,
    PassageTable,
    StoreKey,
    VectorBlock,
    WordBlock,
)
from locum.tools.file_search.index import (
    Contents,
    FileEntry,
    Matrix,
    NewWindow,
    Numbers,
    Passage,
    Vectors,
    arranged,
)
from locum.tools.file_search.words import Words, merged, pack, unpacked


def name_of(key: StoreKey) -> str:
    """A store's one name for searches, in which projects that know the same id do not meet."""
    return f"{key.project_id}/{key.vector_store_id}"


def key_of(name: str) -> StoreKey:
    project_id, _, vector_store_id = name.rpartition("/")
    return StoreKey(project_id, vector_store_id)


def spans_of(windows: Sequence[NewWindow]) -> bytes:
    """What each window speaks for, as it is stored beside the vectors."""
    places = [(window.first_passage, window.last_passage) for window in windows]
    return np.array(places, dtype="<i4").tobytes()


class StoredIndex:
    """Sees the vectors of one model alone: files with another's are found by their words."""

    def __init__(self, table: PassageTable, *, model: str, dimensions: int) -> None:
        self._table = table
        self._model = model
        self._dimensions = dimensions

    async def files(
        self, store_id: str, *, only: Collection[str] | None = None
    ) -> Mapping[str, FileEntry]:
        entries = await self._table.entries(
            key_of(store_id), only=None if only is None else list(only)
        )
        return {held.id: FileEntry(file.filename, held.attributes) for held, file in entries}

    async def version(self, store_id: str) -> int:
        return await self._table.version(key_of(store_id), model=self._model)

    async def contents(self, store_id: str, *, known: Contents | None = None) -> Contents:
        key = key_of(store_id)
        # Read before what it is the version of: then a change in between only shows as newer.
        version = await self._table.version(key, model=self._model)
        files = await self._table.live_files(key)
        new = [one for one in files if known is None or one.number not in known.file_ids]
        ours = [one.number for one in new if one.model == self._model]
        vectors = await self._table.vectors(ours)
        packed = await self._table.words([one.number for one in new])
        for one in new:
            if one.passages and one.number not in packed:
                # It was read by a version that did not pack words yet.
                words = await asyncio.to_thread(pack, await self._table.terms(one.number))
                packed[one.number] = [WordBlock(0, words)]
        return await asyncio.to_thread(
            _arranged, version, files, known, vectors, packed, dimensions=self._dimensions
        )

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        rows = await self._table.passages(key_of(store_id), passage_ids)
        return [Passage(row.id, row.file_id, row.text, row.terms) for row in rows]


def _arranged(
    version: int,
    files: Sequence[LiveFile],
    known: Contents | None,
    vectors: Mapping[int, Sequence[VectorBlock]],
    packed: Mapping[int, Sequence[WordBlock]],
    *,
    dimensions: int,
) -> Contents:
    live = np.array([file.number for file in files], dtype=np.int64)
    return Contents(
        version=version,
        file_ids={file.number: file.file_id for file in files},
        matrix=_matrix(
            files, live, known.matrix if known else None, vectors, dimensions=dimensions
        ),
        words=_words(live, known.words if known else Words(), packed),
    )


def _matrix(
    files: Sequence[LiveFile],
    live: Numbers,
    known: Matrix | None,
    blocks: Mapping[int, Sequence[VectorBlock]],
    *,
    dimensions: int,
) -> Matrix:
    vectors: list[Vectors] = []
    first: list[Numbers] = []
    last: list[Numbers] = []
    numbers = {number for number in blocks if blocks[number]}
    if known is not None:
        numbers.update((known.passage_ids >> PLACE_BITS).tolist())
        kept = np.isin(known.first >> PLACE_BITS, live)
        vectors.append(known.vectors if kept.all() else known.vectors[kept])
        first.append(known.first[kept])
        last.append(known.last[kept])
    for number, some in blocks.items():
        for block in some:
            spans = np.frombuffer(block.spans, dtype="<i4").astype(np.int64).reshape(-1, 2)
            spans += number << PLACE_BITS
            first.append(spans[:, 0])
            last.append(spans[:, 1])
            vectors.append(np.frombuffer(block.vectors, dtype="<f4").reshape(-1, dimensions))
    ids = [
        np.arange(file.passages, dtype=np.int64) + (file.number << PLACE_BITS)
        for file in files
        if file.number in numbers
    ]
    return arranged(
        vectors=_joined(vectors, np.zeros((0, dimensions), dtype=np.float32)),
        first=_joined(first, np.zeros(0, dtype=np.int64)),
        last=_joined(last, np.zeros(0, dtype=np.int64)),
        passage_ids=_joined(ids, np.zeros(0, dtype=np.int64)),
    )


def _words(live: Numbers, known: Words, packed: Mapping[int, Sequence[WordBlock]]) -> Words:
    kept = known.only(live)
    new = [
        unpacked(block.words, (number << PLACE_BITS) + block.first)
        for number, blocks in packed.items()
        for block in blocks
    ]
    return kept.with_part(merged(new)) if new else kept


def _joined(parts: Sequence[Any], nothing: Any) -> Any:
    return np.concatenate([nothing, *parts])
