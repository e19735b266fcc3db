"""Reading: lists of steps, one run, one step; shallow and deep, in small databases and large."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import rows, servers
from benchmarks.figures import Chapter, Figure, compare
from benchmarks.load import request
from benchmarks.options import Options
from benchmarks.query import asking
from benchmarks.rounds import Take, by_turns
from benchmarks.rows import Stored
from benchmarks.servers import Process
from benchmarks.trial import EACH_ROUND, cost_of, same_size
from msgspec import Struct

_NOTHING = "nothing, on Locum's own server"
_CONTENT = "include[]=step_details.tool_calls[*].file_search.results[*].content"


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

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        server, ceiling, own = (
            stack.enter_context(servers.running(process))
            for process in (start(), servers.ceiling(), servers.bare())
        )
        # All paths by turns: then none has the bad luck of a bad second.
        sides = {}
        for path in paths:
            constant = await same_size(server, path.asked)
            sides[path.name] = await cost_of(server, [path.asked])
            sides[_ceiling_of(path)] = await cost_of(ceiling, [constant])
            if path is paths[0]:
                sides[_NOTHING] = await cost_of(own, [constant])
        return sides

    taken = await by_turns(cast, casts=options.casts, rounds=options.rounds)
    for name, path in ((_NOTHING, paths[0]), *((path.name, path) for path in paths)):
        chapter.figures.append(
            compare(
                taken,
                path=name,
                ours=name,
                to=_ceiling_of(path),
                against="same bytes",
                at_least=None if name == _NOTHING else path.at_least,
            )
        )
    return chapter


def _ceiling_of(path: Asked) -> str:
    return f"{path.name}, ceiling"


async def own_rate(
    start: Callable[[], Process], stored: Stored, data: Path, options: Options
) -> Figure:
    """The list against the bare query on the same file, in a process that does nothing else."""

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        server = stack.enter_context(servers.running(start()))
        query = stack.enter_context(asking(data / "locum.db", stored.run_id, count=EACH_ROUND))
        asked = request("GET", f"{stored.run}/steps")
        return {"Locum": await cost_of(server, [asked]), "query": query}

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
    pages = {"first page": "", "deepest page": f"?after={rows.step_id(21)}"}

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        started = [
            (size, stack.enter_context(servers.running(size.start()))) for size in (small, large)
        ]
        return {
            _page_of(size, name): await cost_of(
                server, [request("GET", f"{size.stored.run}/steps{after}")]
            )
            for name, after in pages.items()
            for size, server in started
        }

    taken = await by_turns(cast, casts=options.casts, rounds=options.rounds)
    return [
        compare(
            taken,
            path=_page_of(large, name),
            ours=_page_of(large, name),
            to=_page_of(small, name),
            against=f"of {small.steps:,}",
            inverse=True,
            at_most=1.2,
        )
        for name in pages
    ]


def _page_of(size: Size, name: str) -> str:
    return f"{name} of {size.steps:,} steps"


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
