"""The passage index in the database: what `search` asks, put to the tables of `store.passages`."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from locum.store.passages import PLACE_BITS, LiveFile, PassageTable, StoreKey
from locum.tools.file_search.index import (
    FileEntry,
    Matrix,
    NewWindow,
    Numbers,
    Passage,
    Vectors,
    arranged,
)


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

    async def matrix(self, store_id: str, *, known: Matrix | None = None) -> Matrix:
        key = key_of(store_id)
        # Read before what it is the version of: then a change in between only shows as newer.
        version = await self._table.version(key, model=self._model)
        read = set() if known is None else set((known.passage_ids >> PLACE_BITS).tolist())
        files = await self._table.live_files(key, model=self._model, known=read)
        return await asyncio.to_thread(
            _arranged, version, files, known, dimensions=self._dimensions
        )

    async def keyword(
        self, store_id: str, terms: Sequence[str], *, within: Collection[str] | None, most: int
    ) -> list[int]:
        return await self._table.keyword(key_of(store_id), terms, within=within, most=most)

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        rows = await self._table.passages(key_of(store_id), passage_ids)
        return [Passage(row.id, row.file_id, row.text, row.terms) for row in rows]


def _arranged(
    version: int, files: Sequence[LiveFile], known: Matrix | None, *, dimensions: int
) -> Matrix:
    vectors: list[Vectors] = []
    first: list[Numbers] = []
    last: list[Numbers] = []
    if known is not None:
        numbers = np.array([file.number for file in files], dtype=np.int64)
        kept = np.isin(known.first >> PLACE_BITS, numbers)
        vectors.append(known.vectors if kept.all() else known.vectors[kept])
        first.append(known.first[kept])
        last.append(known.last[kept])
    for file in files:
        for block in file.blocks:
            spans = np.frombuffer(block.spans, dtype="<i4").astype(np.int64).reshape(-1, 2)
            spans += file.first_id
            first.append(spans[:, 0])
            last.append(spans[:, 1])
            vectors.append(np.frombuffer(block.vectors, dtype="<f4").reshape(-1, dimensions))
    counts = [file.passages for file in files]
    ids = [np.arange(file.passages, dtype=np.int64) + file.first_id for file in files]
    return arranged(
        version=version,
        vectors=_joined(vectors, np.zeros((0, dimensions), dtype=np.float32)),
        first=_joined(first, np.zeros(0, dtype=np.int64)),
        last=_joined(last, np.zeros(0, dtype=np.int64)),
        passage_ids=_joined(ids, np.zeros(0, dtype=np.int64)),
        file_numbers=np.repeat(np.arange(len(files), dtype=np.int64), counts),
        file_ids=[file.file_id for file in files],
    )


def _joined(parts: Sequence[Any], nothing: Any) -> Any:
    return np.concatenate([nothing, *parts])
