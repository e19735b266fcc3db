"""What a server costs by being there: its start, its memory, and what each run leaves behind."""

from benchmarks import servers
from benchmarks.figures import Chapter, Fact, short
from benchmarks.load import closed_loop, connect, request
from benchmarks.machine import memory_mib
from benchmarks.options import Options
from benchmarks.rounds import Spread
from benchmarks.runs import with_model
from benchmarks.streams import Source

_STARTS = 5
_RUNS = 500


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
    """After a first hundred has filled what fills once."""
    with (
        servers.folder() as data,
        servers.running(servers.model()) as model,
        servers.running(with_model(data, model)) as server,
    ):
        source = await Source.at(server)
        instant = await source.assistant("instant")
        threads = await source.threads(_RUNS + 100)
        body = {"assistant_id": instant}
        asked = [request("POST", f"/v1/threads/{one}/runs", body) for one in threads]
        connections = await connect(server.port, 8)
        await closed_loop(connections, asked[:100], 100)
        before = memory_mib(server.pid)
        await closed_loop(connections, asked[100:], _RUNS)
        grown = (memory_mib(server.pid) - before) * 1_024 / _RUNS
    return Fact(name="memory that a run leaves behind", value=f"{grown:.1f} KiB")
