"""How long a search takes once its query is embedded, and what its matrix weighs.

The index answers at once and holds no words, so that only vectors are counted: the product, the
nomination, the word evidence of the nominated and the fusion.
"""

# ruff: noqa: ARG002 - the index answers the same whatever it is asked

import time
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Literal

import numpy as np
from tests.kit.memory_index import MemoryIndex

from locum.store.passages import PLACE_BITS
from locum.tools.file_search.index import Contents, FileEntry, Passage, Vectors, arranged
from locum.tools.file_search.search import Searcher
from locum.tools.file_search.words import Words

_DIMENSIONS = 384
_SIZES = (1_000, 10_000, 100_000)
# Windows of 96 tokens for each passage of 800, of which 400 are repeated.
_WINDOWS = 4
_ROUNDS = 15
_WORDS = "the ledger of the northern branch is sealed at the end of each month " * 40


class _StillIndex(MemoryIndex):
    """As many passages as asked for, whose words are all alike."""

    def __init__(self, passages: int) -> None:
        super().__init__(dimensions=_DIMENSIONS)
        chance = np.random.default_rng(7)
        vectors = chance.standard_normal((passages * _WINDOWS, _DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = np.arange(passages, dtype=np.int64) + (1 << PLACE_BITS)
        spoken_for = np.repeat(ids, _WINDOWS)
        self.kept = Contents(
            version=0,
            file_ids={1: "file-1"},
            matrix=arranged(vectors=vectors, first=spoken_for, last=spoken_for, passage_ids=ids),
            words=Words(),
        )

    async def files(
        self, store_id: str, *, only: Collection[str] | None = None
    ) -> Mapping[str, FileEntry]:
        return {"file-1": FileEntry("a.txt", {})}

    async def contents(self, store_id: str, *, known: Contents | None = None) -> Contents:
        return self.kept

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        return [Passage(n, "file-1", _WORDS, _WORDS) for n in passage_ids]


class _Echo:
    dimensions = _DIMENSIONS

    def __init__(self, vector: Vectors) -> None:
        self._vector = vector

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> list[Vectors]:
        return [self._vector for _ in texts]


async def table() -> list[str]:
    lines = ["", "## Time and memory of a search", ""]
    lines += ["| passages | vectors | matrix | p50 |", "|---|---|---|---|"]
    for passages in _SIZES:
        index = _StillIndex(passages)
        searcher = Searcher(index, _Echo(index.kept.matrix.vectors[0]))
        took = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            await searcher.search(["vs"], ["when is the northern ledger sealed"], most=20)
            took.append(time.perf_counter() - began)
        lines.append(
            f"| {passages:,} | {passages * _WINDOWS:,} | {index.kept.size_bytes / 1e6:.0f} MB "
            f"| {median(took) * 1000:.1f} ms |"
        )
    return lines
