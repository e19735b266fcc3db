"""Asking while others stream: what who polls notices of them."""

import asyncio
import os
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.awake import awake
from benchmarks.figures import Chapter, Fact, Figure, compare
from benchmarks.load import ask, connect, request, stream
from benchmarks.machine import Disk, Elsewhere, memory_mib, paused, stand_back
from benchmarks.options import Options
from benchmarks.poll import Asked, Poller, polling
from benchmarks.rounds import Taken
from benchmarks.runs import DELTA, DONE, with_model
from benchmarks.servers import Process
from benchmarks.streams import SAID, Source, opened_by
from msgspec import Struct

_OPEN = 500
_RUNS_PER_S = 100
# A side is asked for so long, so many times a round, by turns with the others.
_TURN_S = 2.0
_TURNS = 15
# What the turn before has left behind is over by then.
_SETTLED_S = 0.5
_READ, _WRITE = "a read", "a write"
_SIDES = _IDLE, _BESIDE, _STARTING = "idle", "streams", "runs"
_OPEN_S = _TURNS * len(_SIDES) * (_TURN_S + _SETTLED_S)
# A disk that takes so many times as long as it can is not itself.
_SLOWED = 3.0


async def chapters(options: Options) -> list[Chapter]:
    """Taken last: whoever has let others go first cannot take that back."""
    servers.allow_many_files()
    chapter = Chapter(
        title="Asking while others stream",
        intro="Wall-clock time that one in a hundred requests exceeds, by themselves and beside"
        " others: reads (a run, its steps, one of them, messages, an assistant) and writes (a"
        " message, a thread, a thread with a run). One client asks for them, by turns of"
        f" {_TURN_S:g} seconds: a server on which nothing else happens, one with its streams, and"
        f" that with new runs as well, {_TURNS} times a round. It has a process of its own and goes"
        " before the other clients and the models, which would be on other machines; the two"
        " servers have a processor of their own, on which the other one is silent meanwhile. A"
        " page is written and synced ten times a second beside it all: a round during which the"
        " disk by itself was slower is taken again.",
    )
    chapter.figures, chapter.facts = await _polling(options)
    return [chapter]


class _Server(Struct, frozen=True):
    """A server, the model that it asks, and who asks it."""

    process: Process
    model: Process
    poller: Poller
    source: Source
    instant: str

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["_Server"]:
        with (
            servers.folder() as data,
            servers.running(servers.model()) as model,
            servers.running(with_model(data, model)) as process,
        ):
            source = Source(process)
            instant = await source.assistant("instant")
            asked = await _asked(process, instant)
            async with polling(process.port, _TURN_S, asked) as poller:
                stand_back(model.pid)
                yield cls(process, model, poller, source, instant)


class _Round(Struct, frozen=True):
    """What one round gave: by side, milliseconds by kind of request, and those of the disk."""

    p99: Mapping[str, Mapping[str, float]]
    page_ms: Mapping[str, float]
    elsewhere: float
    stream_kib: float


async def _polling(options: Options) -> tuple[list[Figure], list[Fact]]:
    """What who asks notices of five hundred streams and a hundred new runs a second."""
    taken: list[_Round] = []
    async with _Server.running() as alone, _Server.running() as busy:
        with servers.folder() as data, awake():
            stand_back(os.getpid())
            most = 2 * options.poll_rounds
            while len(_undisturbed(taken)) < options.poll_rounds and len(taken) < most:
                taken.append(await _round(alone, busy, data))
    kept = _undisturbed(taken)
    if len(kept) <= options.poll_rounds // 2:
        kept = taken
    figures = [
        compare(
            Taken.of(
                {at: [one.p99[at][kind] for one in kept] for at in _SIDES},
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


async def _round(alone: _Server, busy: _Server, data: Path) -> _Round:
    took = {side: {kind: list[float]() for kind in (_READ, _WRITE)} for side in _SIDES}
    disks = {side: Disk(data) for side in _SIDES}

    async def take(side: str, poller: Poller) -> None:
        await asyncio.sleep(_SETTLED_S)
        with disks[side]:
            for kind, values in (await poller.took()).items():
                took[side][kind] += values

    async def turn(side: str) -> None:
        if side == _IDLE:
            with paused(busy.model.pid):
                await take(side, alone.poller)
        elif side == _BESIDE:
            await take(side, busy.poller)
        else:
            async with _runs_starting(busy):
                await take(side, busy.poller)

    with Elsewhere() as watch:
        before = memory_mib(busy.process.pid)
        async with opened_by(busy.source.opened, _OPEN, 1, _OPEN_S):
            stream_kib = (memory_mib(busy.process.pid) - before) * 1_024 / _OPEN
            for number in range(_TURNS):
                # Whoever goes after another finds what that one left.
                for side in _SIDES if number % 2 == 0 else _SIDES[::-1]:
                    await turn(side)
    return _Round(
        {
            side: {kind: statistics.quantiles(values, n=100)[98] for kind, values in kinds.items()}
            for side, kinds in took.items()
        },
        {side: disk.page_ms for side, disk in disks.items()},
        watch.cores,
        stream_kib,
    )


def _undisturbed(taken: Sequence[_Round]) -> list[_Round]:
    """The rounds of whose every side the disk was as quick as it can be, or nearly."""
    quickest = min((ms for one in taken for ms in one.page_ms.values()), default=0.0)
    return [one for one in taken if max(one.page_ms.values()) < _SLOWED * quickest]


async def _asked(server: Process, assistant_id: str) -> Sequence[Asked]:
    said = {"messages": [SAID]}
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
        (_WRITE, "POST", f"/v1/threads/{written_to}/messages", SAID),
        (_READ, "GET", f"{run}/steps/{step['id']}", None),
        (_WRITE, "POST", "/v1/threads", said),
        (_READ, "GET", f"/v1/threads/{thread_id}/messages", None),
        (_READ, "GET", f"/v1/assistants/{assistant_id}", None),
        (_WRITE, "POST", "/v1/threads/runs", whole),
    ]


@asynccontextmanager
async def _runs_starting(busy: _Server) -> AsyncIterator[None]:
    threads = await busy.source.threads(int(_RUNS_PER_S * (_TURN_S + 2 * _SETTLED_S)))
    starting = asyncio.ensure_future(_start_runs(busy, threads))
    try:
        yield
    finally:
        starting.cancel()
        await asyncio.wait([starting])


async def _start_runs(busy: _Server, threads: Sequence[str]) -> None:
    connections = await connect(busy.process.port, 8)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def start(mine: int) -> None:
        for number in range(mine, len(threads), len(connections)):
            await asyncio.sleep(begun + number / _RUNS_PER_S - loop.time())
            body = {"assistant_id": busy.instant}
            asked = request("POST", f"/v1/threads/{threads[number]}/runs", body)
            await connections[mine].ask(asked)

    try:
        await asyncio.gather(*(start(mine) for mine in range(len(connections))))
    finally:
        for connection in connections:
            connection.close()
