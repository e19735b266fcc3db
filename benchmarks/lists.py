"""Reading: lists of steps, one run, one step; shallow and deep, in small databases and large."""

import sqlite3
import time
from pathlib import Path

from benchmarks import rows, servers
from benchmarks.figures import Chapter, Figure, compare
from benchmarks.load import request
from benchmarks.options import Options
from benchmarks.rounds import Take, interleave
from benchmarks.rows import Stored
from benchmarks.servers import Process
from benchmarks.trial import cost_of, same_size
from msgspec import Struct

_COUNT = 400
_CONTENT = "include[]=step_details.tool_calls[*].file_search.results[*].content"
_THE_QUERY = (
    "SELECT id, document FROM steps WHERE project_id = ? AND run_id = ? ORDER BY seq DESC LIMIT 21"
)


class Asked(Struct, frozen=True):
    name: str
    asked: bytes
    at_least: float | None = None


def _paths(stored: Stored, *, postgres: bool) -> list[Asked]:
    run = stored.run
    return [
        Asked("route, key, constant answer", request("GET", "/v1/models"), 0.75),
        Asked("retrieve run", request("GET", run), 0.42 if postgres else 0.55),
        Asked("list 20 steps", request("GET", f"{run}/steps"), 0.30 if postgres else 0.40),
        Asked("list 100 steps", request("GET", f"{run}/steps?limit=100")),
        Asked("retrieve step", request("GET", f"{run}/steps/{rows.step_id(7)}")),
        Asked("list 20 searches", request("GET", f"{stored.search_run}/steps")),
        Asked(
            "list 20 searches, with what they found",
            request("GET", f"{stored.search_run}/steps?{_CONTENT}"),
        ),
    ]


async def reading(server: Process, stored: Stored, *, rounds: int, postgres: bool) -> Chapter:
    """Every path against an application that answers as many bytes and does nothing."""
    database = "PostgreSQL" if postgres else "SQLite"
    chapter = Chapter(
        title=f"Reading, {database}",
        intro="Processor time of the server per request, eight requests at once. The ceiling is an"
        " ASGI application on the same server that answers as many bytes and does nothing;"
        " the ratio is the ceiling's cost by Locum's.",
    )
    with servers.running(servers.ceiling()) as ceiling:
        for path in _paths(stored, postgres=postgres):
            sides: dict[str, Take] = {
                "Locum": await cost_of(server, [path.asked], count=_COUNT),
                "ceiling": await cost_of(
                    ceiling, [await same_size(server, path.asked)], count=_COUNT
                ),
            }
            taken = await interleave(sides, rounds=rounds)
            chapter.figures.append(
                compare(
                    taken,
                    path=path.name,
                    ours="Locum",
                    to="ceiling",
                    against="same bytes",
                    at_least=path.at_least,
                )
            )
    return chapter


async def own_rate(server: Process, stored: Stored, data: Path, *, rounds: int) -> Figure:
    """The list against the bare query on the same file, in a process that does nothing else."""
    connection = sqlite3.connect(f"file:{data / 'locum.db'}?mode=ro", uri=True)
    values = ("proj_default", stored.run_id)

    async def query() -> float:
        before = time.thread_time_ns()
        for _ in range(_COUNT):
            connection.execute(_THE_QUERY, values).fetchall()
        return (time.thread_time_ns() - before) / _COUNT / 1_000

    try:
        sides = {
            "Locum": await cost_of(server, [request("GET", f"{stored.run}/steps")], count=_COUNT),
            "query": query,
        }
        taken = await interleave(sides, rounds=rounds)
    finally:
        connection.close()
    return compare(
        taken, path="list 20 steps", ours="Locum", to="query", against="the query by itself"
    )


async def growth(
    small: tuple[Process, Stored, int], large: tuple[Process, Stored, int], *, rounds: int
) -> list[Figure]:
    """The same page in a small database and in a large one, the newest and the oldest."""
    figures = []
    for name, place in (("first page", None), ("deepest page", 21)):
        after = "" if place is None else f"?after={rows.step_id(place)}"
        sides = {
            str(count): await cost_of(
                server, [request("GET", f"{stored.run}/steps{after}")], count=_COUNT
            )
            for server, stored, count in (small, large)
        }
        taken = await interleave(sides, rounds=rounds)
        figures.append(
            compare(
                taken,
                path=f"{name} of {large[2]:,} steps",
                ours=str(large[2]),
                to=str(small[2]),
                against=f"of {small[2]:,}",
                inverse=True,
                at_most=1.2,
            )
        )
    return figures


async def chapters(options: Options) -> list[Chapter]:
    with servers.folder() as first:
        few = 1_000
        stored = await rows.fill(first, rows=few)
        with servers.running(servers.locum(first)) as small:
            chapter = await reading(small, stored, rounds=options.rounds, postgres=False)
            chapter.figures.append(await own_rate(small, stored, first, rounds=options.rounds))
            for many in options.rows:
                with servers.folder() as second:
                    stored_many = await rows.fill(second, rows=many)
                    with servers.running(servers.locum(second)) as large:
                        chapter.figures += await growth(
                            (small, stored, few),
                            (large, stored_many, many),
                            rounds=options.rounds,
                        )
    return [chapter]
