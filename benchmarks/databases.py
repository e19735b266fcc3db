"""PostgreSQL beside SQLite, several writers, and what a second process brings."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import lists, rows, runs, servers
from benchmarks.awake import by_the_clock
from benchmarks.figures import Chapter, Figure, compare
from benchmarks.load import request
from benchmarks.machine import ALL
from benchmarks.options import Options
from benchmarks.rounds import Take
from benchmarks.rows import Stored
from benchmarks.servers import Process
from benchmarks.trial import AT_ONCE, time_of
from tests.kit.databases import fresh_url

_COUNT = 160


async def chapters(options: Options) -> list[Chapter]:
    made = [await _writers(options)]
    async with fresh_url() as url:
        with servers.folder() as data:
            stored = await rows.fill(data, rows=1_000, database_url=url)
            start = partial(servers.locum, data, database_url=url)
            chapter = await lists.reading(start, stored, options, postgres=True)
            chapter.figures.append(await _two(stored, data, url, options))
            made.append(chapter)
    async with fresh_url() as url:
        with servers.running(servers.model()) as model:
            made.append(await runs.answering(options, model, database_url=url))
    return made


async def _two(stored: Stored, data: Path, url: str, options: Options) -> Figure:
    """Time per list with a second server beside the first; client and database share the cores."""
    asked = [request("GET", f"{stored.run}/steps")]

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        one, two = (
            stack.enter_context(servers.running(servers.locum(data, database_url=url).roam()))
            for _ in range(2)
        )
        return {
            "two": await time_of([one, two], asked, count=_COUNT, at_once=AT_ONCE),
            "one": await time_of([one], asked, count=_COUNT, at_once=AT_ONCE),
        }

    return compare(
        await by_the_clock(cast, options, processors=ALL),
        path="list 20 steps, 2 web processes",
        ours="two",
        to="one",
        against="1 process",
    )


async def _writers(options: Options) -> Chapter:
    chapter = Chapter(
        title="Several writers, SQLite",
        intro="Wall-clock time per message with durable commits: four clients at once, who share a"
        " commit, against one.",
    )

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        data = stack.enter_context(servers.folder())
        server = stack.enter_context(servers.running(servers.locum(data)))
        return {
            "four": await time_of([server], await _asked(server, 4), count=_COUNT, at_once=4),
            "one": await time_of([server], await _asked(server, 1), count=_COUNT, at_once=1),
        }

    chapter.figures.append(
        compare(
            await by_the_clock(cast, options),
            path="a message, 4 writers",
            ours="four",
            to="one",
            against="1 writer",
        )
    )
    return chapter


async def _asked(server: Process, threads: int) -> list[bytes]:
    said = {"role": "user", "content": "How long is the deposit kept?"}
    made = [(await rows.conversation(server.port))[1] for _ in range(threads)]
    return [request("POST", f"/v1/threads/{one}/messages", said) for one in made]
