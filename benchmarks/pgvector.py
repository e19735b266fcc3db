"""What pgvector would do: exact scans and approximate indexes, their time and their recall.

    python -m benchmarks.pgvector [--vectors 100000]

Vectors of 384 dimensions around 2,000 centres, as texts on the same matters are; queries are near
some of them. The matrix in memory, which is what a search uses, is measured on the same vectors.
"""

import argparse
import asyncio
import statistics
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray
from tests.kit.databases import postgres_server

_DIMENSIONS = 384
_CENTRES = 2_000
_SPREAD = 1.0
_QUERIES = 30
_WANTED = 50
_INDEXES = {
    "none: exact scan": ("", ("SELECT 1",)),
    "hnsw (m 16, ef_construction 64)": (
        "hnsw (v vector_cosine_ops)",
        tuple(f"SET hnsw.ef_search = {breadth}" for breadth in (50, 100, 200)),
    ),
    "ivfflat (316 lists)": (
        "ivfflat (v vector_cosine_ops) WITH (lists = 316)",
        tuple(f"SET ivfflat.probes = {probes}" for probes in (10, 40)),
    ),
}
Vectors = NDArray[np.float32]


def _unit(vectors: Vectors) -> Vectors:
    made: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def _made(count: int) -> tuple[Vectors, Vectors]:
    chance = np.random.default_rng(7)

    def some(number: int) -> Vectors:
        return chance.standard_normal((number, _DIMENSIONS), dtype=np.float32)

    centres = _unit(some(_CENTRES))
    stored = _unit(centres[chance.integers(0, _CENTRES, count)] + _SPREAD * _unit(some(count)))
    asked = stored[chance.integers(0, count, _QUERIES)]
    return stored, _unit(asked + 0.7 * _unit(some(_QUERIES)))


async def main(count: int) -> None:
    stored, queries = _made(count)
    exact, took = await _each(queries, _in_memory(stored))
    print(f"matrix in memory: {_told(took)}, {stored.nbytes / 1e6:.0f} MB")
    server = postgres_server()
    connection = await asyncpg.connect(server.url(await server.empty_database()))
    await connection.execute("CREATE EXTENSION vector")
    await connection.execute(f"CREATE TABLE w (id BIGINT, v vector({_DIMENSIONS}) STORAGE PLAIN)")
    await connection.execute("SET maintenance_work_mem = '1GB'; SET jit = off")
    begun = time.perf_counter()
    await connection.copy_to_table("w", source=_copied(stored), format="binary")
    print(f"{count} vectors written in {time.perf_counter() - begun:.0f} s")
    for name, (index, settings) in _INDEXES.items():
        begun = time.perf_counter()
        if index:
            await connection.execute(f"CREATE INDEX w_index ON w USING {index}")
        built = time.perf_counter() - begun
        size = await connection.fetchval(
            "SELECT COALESCE(pg_relation_size(to_regclass('w_index')), 0)"
        )
        print(f"{name}: built in {built:.0f} s, {size / 1e6:.0f} MB")
        for setting in settings:
            await connection.execute(setting)
            found, took = await _each(queries, _in_postgres(connection))
            shared = [
                len(set(one) & set(right)) / _WANTED
                for one, right in zip(found, exact, strict=True)
            ]
            print(f"  {setting}: {_told(took)}, recall {statistics.mean(shared):.3f}")
        await connection.execute("DROP INDEX IF EXISTS w_index")
    await connection.close()


async def _each(
    queries: Vectors, search: Callable[[Vectors], Awaitable[Sequence[int]]]
) -> tuple[list[Sequence[int]], list[float]]:
    found, took = [], []
    for query in queries:
        begun = time.perf_counter()
        found.append(await search(query))
        took.append(time.perf_counter() - begun)
    return found, took


def _in_memory(stored: Vectors) -> Callable[[Vectors], Awaitable[Sequence[int]]]:
    async def search(query: Vectors) -> Sequence[int]:
        cosines = stored @ query
        best: list[int] = np.argpartition(-cosines, _WANTED)[:_WANTED].tolist()
        return best

    return search


def _in_postgres(connection: Any) -> Callable[[Vectors], Awaitable[Sequence[int]]]:
    async def search(query: Vectors) -> Sequence[int]:
        written = str(query.tolist())
        rows = await connection.fetch(
            f"SELECT id FROM w ORDER BY v <=> $1::text::vector LIMIT {_WANTED}", written
        )
        return [row[0] for row in rows]

    return search


async def _copied(stored: Vectors) -> Any:
    """Rows as PostgreSQL's binary copy wants them."""
    yield b"PGCOPY\n\xff\r\n\x00" + struct.pack(">II", 0, 0)
    size = 4 + 4 * _DIMENSIONS
    for number, vector in enumerate(stored):
        head = struct.pack(">hiqihh", 2, 8, number, size, _DIMENSIONS, 0)
        yield head + vector.astype(">f4").tobytes()
    yield struct.pack(">h", -1)


def _told(took: Sequence[float]) -> str:
    return f"p50 {statistics.median(took) * 1e3:.1f} ms, least {min(took) * 1e3:.1f} ms"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--vectors", type=int, default=100_000)
    asyncio.run(main(asked.parse_args().vectors))
