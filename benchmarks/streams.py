"""Streams: what a delta costs, and how many streams keep pace."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager

from benchmarks import servers
from benchmarks.figures import Chapter, Fact, compare
from benchmarks.load import Stream, ask, connect, request, stream
from benchmarks.machine import cpu_ns
from benchmarks.options import Options
from benchmarks.rounds import Take, by_turns
from benchmarks.runs import DELTA, DONE, with_model
from benchmarks.servers import Process

_PER_S = 50
_STREAMS = 200
# Each takes seconds.
_ROUNDS = 1
_WORD = b'"content": "word '
_BEGIN_S = 30.0
_LEVELS = (25, 50, 75, 100, 150, 200, 300, 400, 600)
# A stream lags when a delta comes this much later than it was due.
_LAG_S = 0.25
_REPEATED = 3
SAID = {"role": "user", "content": "Tell me a long story."}


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
            return {
                "Locum": _delta_cost(Source(server).opened, server, options),
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
            chapter.facts.append(await _most_streams(Source(server), options))
    return [chapter]


Opened = Callable[[int, float, float], Awaitable[list[Stream]]]


class Source:
    """Runs of one assistant a pace, each in a thread of its own."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self._assistants: dict[str, str] = {}

    async def threads(self, count: int) -> list[str]:
        """So many on which nothing has run yet; one that is used again would grow."""
        (connection,) = await connect(self._server.port, 1)
        asked = request("POST", "/v1/threads", {"messages": [SAID]})
        made = [(await connection.ask(asked)).split(b'"id":"', 1)[1] for _ in range(count)]
        connection.close()
        return [answer.split(b'"', 1)[0].decode() for answer in made]

    async def assistant(self, model: str) -> str:
        if model not in self._assistants:
            made = await ask(self._server.port, "POST", "/v1/assistants", {"model": model})
            self._assistants[model] = made["id"]
        return self._assistants[model]

    async def opened(self, count: int, per_s: float, seconds: float) -> list[Stream]:
        assistant = await self.assistant(f"paced-{per_s}-{int(per_s * seconds)}")
        body = {"assistant_id": assistant, "stream": True}
        return [
            await stream(
                self._server.port,
                request("POST", f"/v1/threads/{thread_id}/runs", body),
                mark=DELTA,
                end=DONE,
            )
            for thread_id in await self.threads(count)
        ]


def _relayed(relay: Process) -> Opened:
    async def opened(count: int, per_s: float, seconds: float) -> list[Stream]:
        body = {"model": f"paced-{per_s}-{int(per_s * seconds)}", "messages": [SAID]}
        asked = request("POST", "/relay", body)
        return [await stream(relay.port, asked, mark=_WORD, end=b"[DONE]") for _ in range(count)]

    return opened


@asynccontextmanager
async def opened_by(
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
        async with opened_by(opened, _STREAMS, _PER_S, options.listen_s + 3) as streams:
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
        async with opened_by(source.opened, count, _PER_S, options.listen_s + 2) as streams:
            await asyncio.sleep(1.0)
            for one in streams:
                one.late_s = 0.0
            await asyncio.sleep(options.listen_s)
            if max(one.late_s for one in streams) > _LAG_S:
                break
            most = count
    return most
