"""Reading: lists of steps, one run, one step; shallow and deep, in small databases and large."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from benchmarks import rows, servers
from benchmarks.figures import Chapter, Figure, compare
from benchmarks.load import request
from benchmarks.options import Options
from benchmarks.rounds import Cast, Take, Taken, by_turns, interleave
from benchmarks.rows import Stored
from benchmarks.servers import Process
from benchmarks.trial import cost_of, same_size
from msgspec import Struct

_COUNT = 1_000
_CONTENT = "include[]=step_details.tool_calls[*].file_search.results[*].content"
_PAGE = "SELECT seq, id, document FROM steps WHERE project_id = ? AND run_id = ?"
_THE_QUERY = (
    "SELECT group_concat(id), group_concat(document), min(seq)"
    f" FROM ({_PAGE} ORDER BY seq DESC LIMIT 20)"
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


async def reading(
    start: Callable[[], Process], stored: Stored, options: Options, *, postgres: bool
) -> Chapter:
    """Every path against an application that answers as many bytes and does nothing."""
    database = "PostgreSQL" if postgres else "SQLite"
    chapter = Chapter(
        title=f"Reading, {database}",
        intro="Processor time of the server per request, eight requests at once. The ceiling is an"
        " ASGI application on granian that answers as many bytes and does nothing; the ratio is"
        " the ceiling's cost by Locum's. On Locum's own server that application costs less.",
    )
    paths = _paths(stored, postgres=postgres)
    casts: list[list[Taken]] = [[] for _ in paths]
    for _ in range(options.casts):
        with servers.running(start()) as server, servers.running(servers.ceiling()) as ceiling:
            for path, taken in zip(paths, casts, strict=True):
                constant = await same_size(server, path.asked)
                sides = {
                    "Locum": await cost_of(server, [path.asked], count=_COUNT),
                    "ceiling": await cost_of(ceiling, [constant], count=_COUNT),
                }
                taken.append(await interleave(sides, rounds=options.rounds))
    chapter.figures.append(await _own_server(paths[0], start, options))
    chapter.figures += [
        compare(
            Taken.joined(taken),
            path=path.name,
            ours="Locum",
            to="ceiling",
            against="same bytes",
            at_least=path.at_least,
        )
        for path, taken in zip(paths, casts, strict=True)
    ]
    return chapter


async def _own_server(path: Asked, start: Callable[[], Process], options: Options) -> Figure:
    """What of the cost is the server's, which Locum runs on: it does nothing there, either."""
    with servers.running(start()) as server:
        constant = await same_size(server, path.asked)

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        return {
            name: await cost_of(
                stack.enter_context(servers.running(begun)), [constant], count=_COUNT
            )
            for name, begun in (("own", servers.bare()), ("ceiling", servers.ceiling()))
        }

    return compare(
        await by_turns(cast, casts=options.casts, rounds=options.rounds),
        path="nothing, on Locum's own server",
        ours="own",
        to="ceiling",
        against="same bytes",
    )


async def own_rate(
    start: Callable[[], Process], stored: Stored, data: Path, options: Options
) -> Figure:
    """The list against the bare query on the same file, in a process that does nothing else."""
    values = ("proj_default", stored.run_id)

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        server = stack.enter_context(servers.running(start()))
        file = f"file:{data / 'locum.db'}?mode=ro"
        connection = stack.enter_context(closing(sqlite3.connect(file, uri=True)))

        async def query() -> float:
            before = time.thread_time_ns()
            for _ in range(_COUNT):
                connection.execute(_THE_QUERY, values).fetchall()
            return (time.thread_time_ns() - before) / _COUNT / 1_000

        asked = request("GET", f"{stored.run}/steps")
        return {"Locum": await cost_of(server, [asked], count=_COUNT), "query": query}

    return compare(
        await by_turns(cast, casts=options.casts, rounds=options.rounds),
        path="list 20 steps",
        ours="Locum",
        to="query",
        against="the query by itself",
    )


class Size(Struct, frozen=True):
    """A database with a run of so many steps."""

    steps: int
    stored: Stored
    start: Callable[[], Process]


async def growth(small: Size, large: Size, options: Options) -> list[Figure]:
    """The same page in a small database and in a large one, the newest and the oldest."""
    figures = []
    for name, place in (("first page", None), ("deepest page", 21)):
        after = "" if place is None else f"?after={rows.step_id(place)}"
        cast = _paging(small, large, after)
        figures.append(
            compare(
                await by_turns(cast, casts=options.casts, rounds=options.rounds),
                path=f"{name} of {large.steps:,} steps",
                ours=str(large.steps),
                to=str(small.steps),
                against=f"of {small.steps:,}",
                inverse=True,
                at_most=1.2,
            )
        )
    return figures


def _paging(small: Size, large: Size, after: str) -> Cast:
    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        return {
            str(size.steps): await cost_of(
                stack.enter_context(servers.running(size.start())),
                [request("GET", f"{size.stored.run}/steps{after}")],
                count=_COUNT,
            )
            for size in (small, large)
        }

    return cast


async def chapters(options: Options) -> list[Chapter]:
    with servers.folder() as first:
        few = await _filled(first, 1_000)
        chapter = await reading(few.start, few.stored, options, postgres=False)
        chapter.figures.append(await own_rate(few.start, few.stored, first, options))
        for count in options.rows:
            with servers.folder() as second:
                chapter.figures += await growth(few, await _filled(second, count), options)
    return [chapter]


async def _filled(data: Path, count: int) -> Size:
    return Size(count, await rows.fill(data, rows=count), partial(servers.locum, data))
