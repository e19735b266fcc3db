"""What a server costs by being there: its start, its memory, and what each run leaves behind."""

import asyncio

from benchmarks import servers
from benchmarks.figures import Chapter, Fact, short
from benchmarks.load import ask, closed_loop, connect, request
from benchmarks.machine import memory_mib
from benchmarks.options import Options
from benchmarks.rounds import Spread
from benchmarks.runs import with_model
from benchmarks.servers import Process
from benchmarks.streams import Source

_STARTS = 5
_RUNS = 2_000
# What fills once: SQLite's pages, the pools of memory.
_FIRST = 500
_ENDED_S = 60.0


async def chapters(_options: Options) -> list[Chapter]:
    chapter = Chapter(
        title="Start and memory", intro="Seconds until a server listens; memory by share."
    )
    starts, idle = [], []
    for _ in range(_STARTS):
        with servers.folder() as data, servers.running(servers.locum(data)) as server:
            starts.append(server.ready_s)
            idle.append(memory_mib(server.pid))
    start, memory = Spread.of(starts), Spread.of(idle)
    chapter.facts += [
        Fact(
            name="start, until it listens",
            value=f"{start.median:.2f} s ({start.least:.2f}–{start.most:.2f})",
        ),
        Fact(name="memory, idle", value=f"{short(memory.median)} MiB"),
        await _per_run(),
    ]
    return [chapter]


async def _per_run() -> Fact:
    """After the first have filled what fills once."""
    with (
        servers.folder() as data,
        servers.running(servers.model()) as model,
        servers.running(with_model(data, model)) as server,
    ):
        source = Source(server)
        instant = await source.assistant("instant")
        threads = await source.threads(_FIRST + _RUNS)
        body = {"assistant_id": instant}
        asked = [request("POST", f"/v1/threads/{one}/runs", body) for one in threads]
        connections = await connect(server.port, 8)
        await closed_loop(connections, asked[:_FIRST], _FIRST)
        await _ended(server, threads[:_FIRST])
        before = memory_mib(server.pid)
        await closed_loop(connections, asked[_FIRST:], _RUNS)
        await _ended(server, threads[_FIRST:])
        grown = (memory_mib(server.pid) - before) * 1_024 / _RUNS
    return Fact(name="memory that a run leaves behind", value=f"{grown:.1f} KiB")


async def _ended(server: Process, threads: list[str]) -> None:
    async with asyncio.timeout(_ENDED_S):
        for thread_id in threads:
            while True:
                runs = await ask(server.port, "GET", f"/v1/threads/{thread_id}/runs")
                if runs["data"][0]["status"] == "completed":
                    break
                await asyncio.sleep(0.01)
