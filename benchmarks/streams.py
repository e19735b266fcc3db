"""Streams: what a delta costs, how many streams keep pace, and what others notice of them."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.awake import awake
from benchmarks.figures import Chapter, Fact, Figure, compare
from benchmarks.load import Stream, ask, connect, request, stream
from benchmarks.machine import Disk, Elsewhere, cpu_ns, memory_mib, stand_back
from benchmarks.options import Options
from benchmarks.poll import Asked, Poller, polling
from benchmarks.rounds import Take, Taken, by_turns
from benchmarks.runs import DELTA, DONE, with_model
from benchmarks.servers import Process
from msgspec import Struct

_PER_S = 50
_STREAMS = 200
# Each takes seconds.
_ROUNDS = 1
_WORD = b'"content": "word '
_BEGIN_S = 30.0
_LEVELS = (25, 50, 75, 100, 150, 200, 300, 400, 600)
# A stream lags when a delta comes this much later than it was due.
_LAG_S = 0.25
_OPEN = 500
_POLLED_S = 35
# Long enough to be polled beside twice.
_OPEN_S = 80
_REPEATED = 3
_RUNS_PER_S = 100
_READ, _WRITE = "a read", "a write"
_SIDES = _IDLE, _BESIDE, _STARTING = "idle", "streams", "runs"
# A disk that takes so many times as long as it can is not itself.
_SLOWED = 3.0
_STARTING_S = 40
_SAID = {"role": "user", "content": "Tell me a long story."}


async def chapters(options: Options) -> list[Chapter]:
    servers.allow_many_files()
    chapter = Chapter(
        title="Streaming",
        intro=f"Processor time of the server per delta, {_STREAMS} streams at {_PER_S} deltas a"
        " second from a model over HTTP, against an application on the same server that passes"
        " the model's bytes on.",
    )
    with servers.running(servers.model()) as model:

        async def cast(stack: ExitStack) -> Mapping[str, Take]:
            data = stack.enter_context(servers.folder())
            server = stack.enter_context(servers.running(with_model(data, model)))
            relay = stack.enter_context(servers.running(servers.bare(model)))
            source = await Source.at(server)
            return {
                "Locum": _delta_cost(source.opened, server, options),
                "relay": _delta_cost(_relayed(relay), relay, options),
            }

        chapter.figures.append(
            compare(
                await by_turns(cast, casts=options.casts, rounds=_ROUNDS),
                path=f"a delta, {_STREAMS} streams at {_PER_S}/s",
                ours="Locum",
                to="relay",
                against="byte relay",
                at_least=0.28,
            )
        )
        with servers.folder() as data, servers.running(with_model(data, model)) as server:
            chapter.facts.append(await _most_streams(await Source.at(server), options))
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
    """More streams and more, until a delta of one of them comes late; and again."""
    reached = sorted([await _kept_pace(source, options) for _ in range(_REPEATED)])
    return Fact(
        name=f"streams at {_PER_S} deltas/s before one waits {_LAG_S:g} s for a delta",
        value=f"{reached[_REPEATED // 2]} ({reached[0]}–{reached[-1]})",
    )


async def _kept_pace(source: Source, options: Options) -> int:
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
    return most


async def polling_beside(options: Options) -> list[Chapter]:
    """Taken last: whoever has let others go first cannot take that back."""
    servers.allow_many_files()
    chapter = Chapter(
        title="Asking while others stream",
        intro="Wall-clock time that one in a hundred requests exceeds, by themselves and beside"
        " others: reads (a run, its steps, one of them, messages, an assistant) and writes (a"
        " message, a thread, a thread with a run). One client asks for them by turns for"
        f" {_POLLED_S} seconds a side. It has a process of its own and goes before the other"
        " clients and the model, which would be on other machines; the server has a processor of"
        " its own. A page is written and synced ten times a second beside it all: a round during"
        " which the disk by itself was slower is taken again.",
    )
    with (
        servers.folder() as data,
        servers.running(servers.model()) as model,
        servers.running(with_model(data, model)) as server,
        awake(),
    ):
        source = await Source.at(server)
        figures, facts = await _polling(source, server, model, data, options)
        chapter.figures += figures
        chapter.facts += facts
    return [chapter]


class _Round(Struct, frozen=True):
    """What one round gave: by side, milliseconds by kind of request, and those of the disk."""

    took: Mapping[str, Mapping[str, float]]
    page_ms: Mapping[str, float]
    elsewhere: float
    stream_kib: float


async def _polling(
    source: Source, server: Process, model: Process, data: Path, options: Options
) -> tuple[list[Figure], list[Fact]]:
    """What who asks notices of five hundred streams and a hundred new runs a second."""
    instant = await source.assistant("instant")
    asked = await _asked(server, instant)
    taken: list[_Round] = []
    async with polling(server.port, _POLLED_S, asked) as poller:
        stand_back(model.pid)
        stand_back(os.getpid())
        most = 2 * options.poll_rounds
        while len(_undisturbed(taken)) < options.poll_rounds and len(taken) < most:
            taken.append(await _round(poller, source, server, data, instant))
    kept = _undisturbed(taken)
    if len(kept) <= options.poll_rounds // 2:
        kept = taken
    figures = [
        compare(
            Taken.of(
                {at: [one.took[at][kind] for one in kept] for at in _SIDES},
                [one.elsewhere for one in kept],
                slowed=len(kept) - len(_undisturbed(kept)),
            ),
            path=f"{kind}, {_OPEN} open streams{also}",
            ours=side,
            to=_IDLE,
            against="no others",
            unit="ms",
            inverse=True,
            at_most=2.0,
        )
        for kind in (_READ, _WRITE)
        for side, also in ((_BESIDE, ""), (_STARTING, f", {_RUNS_PER_S} runs started a second"))
    ]
    # The first streams make room that the later ones find.
    memory = max(one.stream_kib for one in taken)
    return figures, [
        Fact(name="memory of an open stream", value=f"{memory:.0f} KiB"),
        Fact(
            name="rounds that are not counted, because the disk by itself was slower",
            value=f"{len(taken) - len(kept)} of {len(taken)}",
        ),
    ]


async def _round(
    poller: Poller, source: Source, server: Process, data: Path, instant: str
) -> _Round:
    took: dict[str, Mapping[str, float]] = {}
    page_ms: dict[str, float] = {}

    async def take(side: str) -> None:
        with Disk(data) as disk:
            took[side] = await poller.p99()
        page_ms[side] = disk.page_ms

    with Elsewhere() as watch:
        await take(_IDLE)
        before = memory_mib(server.pid)
        await source.threads(_OPEN + _RUNS_PER_S * _STARTING_S)
        async with _open(source.opened, _OPEN, 1, _OPEN_S):
            await take(_BESIDE)
            stream_kib = (memory_mib(server.pid) - before) * 1_024 / _OPEN
            threads = await source.threads(_RUNS_PER_S * _STARTING_S)
            begun = asyncio.ensure_future(_start_runs(server, instant, threads))
            await take(_STARTING)
            begun.cancel()
            await asyncio.wait([begun])
    return _Round(took, page_ms, watch.cores, stream_kib)


def _undisturbed(taken: Sequence[_Round]) -> list[_Round]:
    """The rounds of whose every side the disk was as quick as it can be, or nearly."""
    quickest = min((ms for one in taken for ms in one.page_ms.values()), default=0.0)
    return [one for one in taken if max(one.page_ms.values()) < _SLOWED * quickest]


async def _asked(server: Process, assistant_id: str) -> Sequence[Asked]:
    said = {"messages": [_SAID]}
    thread_id, written_to = [
        (await ask(server.port, "POST", "/v1/threads", said))["id"] for _ in range(2)
    ]
    runs = f"/v1/threads/{thread_id}/runs"
    streamed = request("POST", runs, {"assistant_id": assistant_id, "stream": True})
    first = await stream(server.port, streamed, mark=DELTA, end=DONE)
    await first.ended
    first.close()
    run = f"{runs}/{(await ask(server.port, 'GET', runs))['data'][0]['id']}"
    step = (await ask(server.port, "GET", f"{run}/steps"))["data"][0]
    whole = {"assistant_id": assistant_id, "thread": said}
    return [
        (_READ, "GET", run, None),
        (_READ, "GET", f"{run}/steps", None),
        (_WRITE, "POST", f"/v1/threads/{written_to}/messages", _SAID),
        (_READ, "GET", f"{run}/steps/{step['id']}", None),
        (_WRITE, "POST", "/v1/threads", said),
        (_READ, "GET", f"/v1/threads/{thread_id}/messages", None),
        (_READ, "GET", f"/v1/assistants/{assistant_id}", None),
        (_WRITE, "POST", "/v1/threads/runs", whole),
    ]


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
