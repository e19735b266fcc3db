"""Writing: a message, a run from its creation to its end, the first word of an answer."""

import asyncio
import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import rows, servers
from benchmarks.awake import by_the_clock
from benchmarks.figures import Chapter, Fact, compare
from benchmarks.load import ask, request, stream
from benchmarks.options import Options
from benchmarks.rounds import Take, by_turns
from benchmarks.servers import Process
from benchmarks.trial import AT_ONCE, cost_of, same_size

DELTA = b"event: thread.message.delta"
DONE = b"data: [DONE]"
_WORD = b'"content": "word '
_WAIT_S = 60.0
_RUNS_A_ROUND = 4
_SAID = {"role": "user", "content": "How long is the deposit kept after the end of the contract?"}


async def chapters(options: Options) -> list[Chapter]:
    with servers.running(servers.model()) as model:
        return [await _messages(options), await answering(options, model)]


async def _messages(options: Options) -> Chapter:
    chapter = Chapter(
        title="Writing a message, SQLite",
        intro="Processor time of the server per message, eight at once in eight threads, against a"
        " constant answer of granian to the same body; without what comes once a second, the moving"
        " of the log.",
    )
    kinds = {"NORMAL": ("false", 0.50), "FULL": ("true", 0.45)}

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        ceiling = stack.enter_context(servers.running(servers.ceiling()))
        sides = {}
        for kind, (durable, _) in kinds.items():
            data = stack.enter_context(servers.folder())
            server = stack.enter_context(servers.running(servers.locum(data, durable=durable)))
            asked = []
            for _ in range(AT_ONCE):
                _, thread_id = await rows.conversation(server.port)
                asked.append(request("POST", f"/v1/threads/{thread_id}/messages", _SAID))
            sides[kind] = await cost_of(server, asked)
        constant = await same_size(server, asked[0], _SAID)
        return {**sides, "ceiling": await cost_of(ceiling, [constant])}

    taken = await by_turns(cast, casts=options.casts, rounds=options.rounds)
    chapter.figures += [
        compare(
            taken,
            path=f"create message, synchronous={kind}",
            ours=kind,
            to="ceiling",
            against="constant answer",
            at_least=target,
        )
        for kind, (_, target) in kinds.items()
    ]
    return chapter


async def answering(
    options: Options, model: Process, *, database_url: str | None = None
) -> Chapter:
    name = "SQLite" if database_url is None else "PostgreSQL"
    chapter = Chapter(
        title=f"Answering, {name}",
        intro="Milliseconds of wall-clock time that a run takes beyond the same call made of the"
        " model directly, one at a time, by turns; the model is a server that answers at once.",
    )

    async def cast(stack: ExitStack) -> Mapping[str, Take]:
        data = stack.enter_context(servers.folder())
        started = with_model(data, model, database_url=database_url)
        server = stack.enter_context(servers.running(started))
        assistant = await ask(server.port, "POST", "/v1/assistants", {"model": "instant"})
        # A thread that is used again would have grown.
        threads = await _threads(server, 2 * (options.long_rounds + 1) * _RUNS_A_ROUND)
        return {
            f"{side}, {until}": take
            for until, to_first in (("completed", False), ("first delta", True))
            for side, take in (
                ("Locum", _asking_locum(server, assistant["id"], threads, to_first=to_first)),
                ("model", _asking_model(model, to_first=to_first)),
            )
        }

    taken = await by_the_clock(cast, options)
    for what, most in (("completed", 10.0), ("first delta", 5.0)):
        added = taken.difference(f"Locum, {what}", f"model, {what}")
        chapter.facts.append(
            Fact(
                name=f"create run → {what}, beyond the model call",
                value=f"{added.median:.2f} ms ({added.least:.2f}–{added.most:.2f})",
                target=f"< {most:g} ms",
                holds=added.median < most,
                refused=taken.refusal(added),
            )
        )
    return chapter


def with_model(data: Path, model: Process, **settings: object) -> Process:
    given = {name: value for name, value in settings.items() if value is not None}
    url = f"http://127.0.0.1:{model.port}/v1"
    return servers.locum(data, model="auto", backend_url=url, **given)


async def _threads(server: Process, count: int) -> Iterator[str]:
    made = []
    for _ in range(count):
        thread = await ask(server.port, "POST", "/v1/threads", {"messages": [_SAID]})
        made.append(str(thread["id"]))
    return itertools.cycle(made)


def _asking_locum(
    server: Process, assistant_id: str, threads: Iterator[str], *, to_first: bool
) -> Take:
    body = {"assistant_id": assistant_id, "stream": True}

    async def take() -> float:
        return await _median_ms(
            server.port,
            [
                request("POST", f"/v1/threads/{next(threads)}/runs", body)
                for _ in range(_RUNS_A_ROUND)
            ],
            mark=DELTA,
            end=DONE,
            to_first=to_first,
        )

    return take


def _asking_model(model: Process, *, to_first: bool) -> Take:
    body = {"model": "instant", "messages": [_SAID], "stream": True}
    asked = [request("POST", "/v1/chat/completions", body)] * _RUNS_A_ROUND

    async def take() -> float:
        return await _median_ms(model.port, asked, mark=_WORD, end=b"[DONE]", to_first=to_first)

    return take


async def _median_ms(
    port: int, requests: Sequence[bytes], *, mark: bytes, end: bytes, to_first: bool
) -> float:
    loop = asyncio.get_running_loop()
    times = []
    for asked in requests:
        begun = loop.time()
        one = await stream(port, asked, mark=mark, end=end)
        async with asyncio.timeout(_WAIT_S):
            await one.ended
        ended = loop.time()
        one.close()
        assert one.first_at is not None
        times.append(((one.first_at if to_first else ended) - begun) * 1_000)
    return statistics.median(times)
