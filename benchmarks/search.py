"""How long a search of a large vector store takes, on SQLite and on PostgreSQL.

    python -m benchmarks.search [--passages 100000]

Passages of 150 words drawn as words are (few often, most seldom), two random vectors each, in
files of 100 passages. The query's embedding is not counted: that is the model's time. On a machine
that others use, the processor time of this process says more than the clock.
"""

import argparse
import asyncio
import random
import statistics
import time
from array import array
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tests.kit.databases import fresh_database
from tests.store import objects

from locum.store.passages import PassageTable, StoreKey, TextRow, VectorBlock, WordBlock
from locum.store.tables import Store
from locum.store.vector_store_files import Entry
from locum.tools.file_search.search import Searcher
from locum.tools.file_search.stored_index import StoredIndex, name_of
from locum.tools.file_search.words import pack
from locum.wire.vector_stores import ChunkSizes, StaticChunking, VectorStoreFile

_KEY = StoreKey("p", "vs_1")
_DIMENSIONS = 384
_VOCABULARY = 20_000
_WORDS = 150
_PER_FILE = 100
_WINDOWS = 2
_SEARCHES = 40
_QUERY_WORDS = 6


class _Embedder:
    name = "random/384"
    dimensions = _DIMENSIONS

    def __init__(self) -> None:
        self._chance = np.random.default_rng(11)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        kind: Literal["passage", "query"],  # noqa: ARG002  # chance knows no difference
    ) -> Sequence["array[float]"]:
        return [array("f", _vectors(self._chance, 1)[0].tobytes()) for _ in texts]


def _vectors(chance: np.random.Generator, count: int) -> NDArray[np.float32]:
    made = chance.standard_normal((count, _DIMENSIONS), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


async def _fill(store: Store, passages: int) -> None:
    chance, vectors = random.Random(7), np.random.default_rng(7)
    vocabulary = [f"word{n}" for n in range(_VOCABULARY)]
    weights = [1 / (n + 10) for n in range(_VOCABULARY)]
    cumulative = list(np.cumsum(weights))
    for number in range(passages // _PER_FILE):
        texts = [
            " ".join(chance.choices(vocabulary, cum_weights=cumulative, k=_WORDS))
            for _ in range(_PER_FILE)
        ]
        await _add(store, f"file-{number}", texts, _vectors(vectors, _PER_FILE * _WINDOWS))


async def _add(
    store: Store,
    file_id: str,
    texts: list[str],
    vectors: NDArray[np.float32],
) -> None:
    table: PassageTable = store.passages
    spans = np.repeat(np.arange(_PER_FILE, dtype="<i4"), 2 * _WINDOWS)
    async with store.transaction() as tx:
        await store.files.insert(
            tx, "p", file_id, objects.file(file_id), purpose="assistants", blob=file_id
        )
        held = VectorStoreFile(
            id=file_id,
            usage_bytes=0,
            created_at=1,
            vector_store_id="vs_1",
            status="completed",
            last_error=None,
            chunking_strategy=StaticChunking(
                ChunkSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400)
            ),
            attributes={},
        )
        await store.vector_store_files.add(tx, "p", "vs_1", [Entry(held, None)])
        number = await table.begin(tx, _KEY, file_id, pages=[])
        await table.write(tx, number, 0, [TextRow(text, text) for text in texts])
        await table.write_words(tx, number, WordBlock(0, pack(texts)))
        await table.write_block(tx, number, 0, VectorBlock(spans.tobytes(), vectors.tobytes()))
        await table.go_live(tx, _KEY, file_id, number, passages=len(texts), model=_Embedder.name)


async def _measure(dialect: str, passages: int) -> None:
    async with fresh_database(dialect) as database:
        store = Store(database)
        begun = time.perf_counter()
        await _fill(store, passages)
        filled = time.perf_counter() - begun
        # PostgreSQL does so by itself, a minute later.
        await database.script("ANALYZE;")
        embedder = _Embedder()
        index = StoredIndex(store.passages, model=embedder.name, dimensions=_DIMENSIONS)
        searcher = Searcher(index, embedder)
        chance = random.Random(13)
        begun = time.perf_counter()
        await searcher.search([name_of(_KEY)], ["word1"], most=20)
        first = time.perf_counter() - begun
        contents = await index.contents(name_of(_KEY))
        taken: dict[str, list[float]] = {
            "whole search": [],
            "its processor time": [],
            "keywords alone": [],
        }
        for _ in range(_SEARCHES):
            words = [
                f"word{int(chance.paretovariate(0.5)) % _VOCABULARY}" for _ in range(_QUERY_WORDS)
            ]
            begun, worked = time.perf_counter(), time.process_time()
            await searcher.search([name_of(_KEY)], [" ".join(words)], most=20)
            taken["whole search"].append(time.perf_counter() - begun)
            taken["its processor time"].append(time.process_time() - worked)
            begun = time.perf_counter()
            contents.words.best(words, most=50)
            taken["keywords alone"].append(time.perf_counter() - begun)
        print(
            f"{dialect}: {passages} passages written in {filled:.0f} s, first search {first:.1f} s"
        )
        matrix, words_bytes = contents.matrix.size_bytes, contents.words.size_bytes
        print(f"  in memory: vectors {matrix / 1e6:.0f} MB, words {words_bytes / 1e6:.0f} MB")
        for name, times in taken.items():
            p95 = statistics.quantiles(times, n=20)[18]
            p50, least = statistics.median(times) * 1e3, min(times) * 1e3
            print(f"  {name}: least {least:.1f} ms, p50 {p50:.1f} ms, p95 {p95 * 1e3:.1f} ms")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--passages", type=int, default=100_000)
    options = asked.parse_args()
    for dialect in ("sqlite", "postgres"):
        asyncio.run(_measure(dialect, options.passages))


if __name__ == "__main__":
    main()
