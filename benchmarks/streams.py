"""Streams: what a delta costs, how many streams keep pace, and what others notice of them."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from benchmarks import servers
from benchmarks.figures import Chapter, Fact, compare
from benchmarks.load import Connection, Stream, ask, connect, request, stream
from benchmarks.machine import cpu_ns, memory_mib
from benchmarks.options import Options
from benchmarks.rounds import Take, interleave
from benchmarks.runs import DELTA, DONE, with_model
from benchmarks.servers import Process

_PER_S = 50
_STREAMS = 200
_WORD = b'"content": "word '
_BEGIN_S = 30.0
_LEVELS = (25, 50, 75, 100, 150, 200, 300, 400, 600)
# A stream lags when a delta comes this much later than it was due.
_LAG_S = 0.25
_OPEN = 500
_POLLS = 300
_RUNS_PER_S = 100
_SAID = {"role": "user", "content": "Tell me a long story."}


async def chapters(options: Options) -> list[Chapter]:
    servers.allow_many_files()
    chapter = Chapter(
        title="Streaming",
        intro=f"Processor time of the server per delta, {_STREAMS} streams at {_PER_S} deltas a"
        " second from a model over HTTP, against an application on the same server that passes"
        " the model's bytes on.",
    )
    with (
        servers.folder() as data,
        servers.running(servers.model()) as model,
        servers.running(with_model(data, model)) as server,
        servers.running(servers.ceiling(model)) as relay,
    ):
        source = await Source.at(server)
        taken = await interleave(
            {
                "Locum": _delta_cost(source.opened, server, options),
                "relay": _delta_cost(_relayed(relay), relay, options),
            },
            rounds=options.stream_rounds,
        )
        chapter.figures.append(
            compare(
                taken,
                path=f"a delta, {_STREAMS} streams at {_PER_S}/s",
                ours="Locum",
                to="relay",
                against="byte relay",
                at_least=0.28,
            )
        )
        chapter.facts += [
            await _most_streams(source, options),
            *await _others(source, server),
        ]
    return [chapter]


Opened = Callable[[int, float, float], Awaitable[list[Stream]]]


class Source:
    """Runs of one assistant a pace, each in a thread of its own."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self._assistants: dict[str, str] = {}
        self._spare: list[str] = []

    @classmethod
    async def at(cls, server: Process) -> "Source":
        source = cls(server)
        await source.threads(_OPEN)
        return source

    async def threads(self, count: int) -> list[str]:
        """Threads on which nothing runs; they are given back by whoever has ended a run."""
        (connection,) = await connect(self._server.port, 1)
        asked = request("POST", "/v1/threads", {"messages": [_SAID]})
        while len(self._spare) < count:
            answer = await connection.ask(asked)
            self._spare.append(answer.split(b'"id":"', 1)[1].split(b'"', 1)[0].decode())
        connection.close()
        return self._spare[:count]

    async def assistant(self, model: str) -> str:
        if model not in self._assistants:
            made = await ask(self._server.port, "POST", "/v1/assistants", {"model": model})
            self._assistants[model] = made["id"]
        return self._assistants[model]

    async def opened(self, count: int, per_s: float, seconds: float) -> list[Stream]:
        assistant = await self.assistant(f"paced-{per_s}-{int(per_s * seconds)}")
        threads = await self.threads(count)
        self._spare = self._spare[count:]  # A thread that is used again would grow.
        body = {"assistant_id": assistant, "stream": True}
        return [
            await stream(
                self._server.port,
                request("POST", f"/v1/threads/{thread_id}/runs", body),
                mark=DELTA,
                end=DONE,
            )
            for thread_id in threads
        ]


def _relayed(relay: Process) -> Opened:
    async def opened(count: int, per_s: float, seconds: float) -> list[Stream]:
        body = {"model": f"paced-{per_s}-{int(per_s * seconds)}", "messages": [_SAID]}
        asked = request("POST", "/relay", body)
        return [await stream(relay.port, asked, mark=_WORD, end=b"[DONE]") for _ in range(count)]

    return opened


@asynccontextmanager
async def _open(
    opened: Opened, count: int, per_s: float, seconds: float
) -> AsyncIterator[list[Stream]]:
    streams = await opened(count, per_s, seconds)
    try:
        async with asyncio.timeout(_BEGIN_S):
            await asyncio.gather(*(one.begun for one in streams))
        yield streams
        async with asyncio.timeout(_BEGIN_S + seconds):
            await asyncio.gather(*(one.ended for one in streams))
    finally:
        for one in streams:
            one.close()


def _delta_cost(opened: Opened, server: Process, options: Options) -> Take:
    async def take() -> float:
        # Long enough that all have begun, and none has ended, while they are listened to.
        async with _open(opened, _STREAMS, _PER_S, options.listen_s + 3) as streams:
            before, seen = cpu_ns(server.pid), sum(one.seen for one in streams)
            await asyncio.sleep(options.listen_s)
            spent = cpu_ns(server.pid) - before
            return spent / (sum(one.seen for one in streams) - seen) / 1_000

    return take


async def _most_streams(source: Source, options: Options) -> Fact:
    """More streams and more, until a delta of one of them comes late."""
    most = 0
    for count in _LEVELS:
        async with _open(source.opened, count, _PER_S, options.listen_s + 2) as streams:
            await asyncio.sleep(1.0)
            for one in streams:
                one.late_s = 0.0
            await asyncio.sleep(options.listen_s)
            if max(one.late_s for one in streams) > _LAG_S:
                break
            most = count
    return Fact(
        name=f"streams at {_PER_S} deltas/s before one waits {_LAG_S:g} s for a delta",
        value=f"{most}" if most < _LEVELS[-1] else f"{most} or more",
    )


async def _others(source: Source, server: Process) -> list[Fact]:
    """What a client that polls notices of five hundred streams and a hundred new runs a second."""
    thread_id = (await source.threads(1))[0]
    runs = f"/v1/threads/{thread_id}/runs"
    instant = await source.assistant("instant")
    run = await ask(server.port, "POST", runs, {"assistant_id": instant})
    await asyncio.sleep(1.0)
    (connection,) = await connect(server.port, 1)
    polled = request("GET", f"{runs}/{run['id']}")
    idle = await _poll(connection, polled)
    before = memory_mib(server.pid)
    await source.threads(_OPEN + _RUNS_PER_S * 6)
    starting = source.threads
    async with _open(source.opened, _OPEN, 1, 16) as _:
        busy = await _poll(connection, polled)
        each = (memory_mib(server.pid) - before) * 1_024 / _OPEN
        begun = asyncio.ensure_future(_start_runs(server, instant, await starting(600)))
        busier = await _poll(connection, polled)
        begun.cancel()
        await asyncio.wait([begun])
    connection.close()
    return [
        _compared(f"poll p99 with {_OPEN} open streams", idle, busy),
        _compared(
            f"poll p99 with {_OPEN} open streams and {_RUNS_PER_S} runs started a second",
            idle,
            busier,
        ),
        Fact(name="memory of an open stream", value=f"{each:.0f} KiB"),
    ]


def _compared(name: str, idle: Sequence[float], busy: Sequence[float]) -> Fact:
    still, moved = (statistics.quantiles(one, n=100)[98] for one in (idle, busy))
    return Fact(
        name=name,
        value=f"{moved / still:.1f} × idle ({moved:.2f} ms; idle {still:.2f} ms,"
        f" p50 {statistics.median(busy):.2f} / {statistics.median(idle):.2f} ms)",
        target="≤ 2 × idle",
        holds=moved <= 2 * still,
    )


async def _poll(connection: Connection, asked: bytes) -> list[float]:
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(_POLLS):
        begun = loop.time()
        await connection.ask(asked)
        taken.append((loop.time() - begun) * 1_000)
        await asyncio.sleep(0.01)
    return taken


async def _start_runs(server: Process, assistant_id: str, threads: Sequence[str]) -> None:
    connections = await connect(server.port, 8)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def start(mine: int) -> None:
        for number in range(mine, len(threads), len(connections)):
            await asyncio.sleep(begun + number / _RUNS_PER_S - loop.time())
            body = {"assistant_id": assistant_id}
            asked = request("POST", f"/v1/threads/{threads[number]}/runs", body)
            await connections[mine].ask(asked)

    try:
        await asyncio.gather(*(start(mine) for mine in range(len(connections))))
    finally:
        for connection in connections:
            connection.close()
