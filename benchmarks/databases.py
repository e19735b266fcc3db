"""PostgreSQL beside SQLite, several writers, and what a second process brings."""

from pathlib import Path

from benchmarks import lists, rows, runs, servers
from benchmarks.figures import Chapter, Figure, compare
from benchmarks.load import request
from benchmarks.options import Options
from benchmarks.rounds import interleave
from benchmarks.rows import Stored
from benchmarks.servers import Process
from benchmarks.trial import AT_ONCE, time_of
from tests.kit.databases import fresh_url

_COUNT = 200


async def chapters(options: Options) -> list[Chapter]:
    made = [await _writers(options)]
    async with fresh_url() as url:
        with servers.folder() as data:
            stored = await rows.fill(data, rows=1_000, database_url=url)
            with servers.running(servers.locum(data, database_url=url)) as server:
                chapter = await lists.reading(server, stored, rounds=options.rounds, postgres=True)
                chapter.figures.append(await _two(server, stored, data, url, options))
                made.append(chapter)
    async with fresh_url() as url:
        with servers.running(servers.model()) as model:
            made.append(await runs.answering(options, model, database_url=url))
    return made


async def _two(server: Process, stored: Stored, data: Path, url: str, options: Options) -> Figure:
    """Time per list with a second server beside the first; client and database share the cores."""
    asked = [request("GET", f"{stored.run}/steps")]
    with servers.running(servers.locum(data, database_url=url)) as second:
        taken = await interleave(
            {
                "two": await time_of([server, second], asked, count=_COUNT, at_once=AT_ONCE),
                "one": await time_of([server], asked, count=_COUNT, at_once=AT_ONCE),
            },
            rounds=options.rounds,
        )
    return compare(
        taken, path="list 20 steps, 2 web processes", ours="two", to="one", against="1 process"
    )


async def _writers(options: Options) -> Chapter:
    chapter = Chapter(
        title="Several writers, SQLite",
        intro="Wall-clock time per message with durable commits: four clients at once, who share a"
        " commit, against one.",
    )
    with servers.folder() as data, servers.running(servers.locum(data)) as server:
        taken = await interleave(
            {
                "four": await time_of([server], await _asked(server, 4), count=_COUNT, at_once=4),
                "one": await time_of([server], await _asked(server, 1), count=_COUNT, at_once=1),
            },
            rounds=options.rounds,
        )
    chapter.figures.append(
        compare(taken, path="a message, 4 writers", ours="four", to="one", against="1 writer")
    )
    return chapter


async def _asked(server: Process, threads: int) -> list[bytes]:
    said = {"role": "user", "content": "How long is the deposit kept?"}
    made = [(await rows.conversation(server.port))[1] for _ in range(threads)]
    return [request("POST", f"/v1/threads/{one}/messages", said) for one in made]
