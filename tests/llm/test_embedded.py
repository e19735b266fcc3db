"""The embedded model's process: that it starts, is watched, and never outlives us."""

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit.fake_model import FakeModel, breaks_off, refuses, speaks
from tests.kit.weights import demo_gguf
from tests.llm.asking_chat import HALF
from tests.llm.turns import BOUND_S, PYTHON, SEARCH, WEATHER, after, asking, collect, fold

from locum.llm.demo import LABEL, DemoTools
from locum.llm.embedded import Embedded, Loading
from locum.llm.protocol import ModelError, Named
from locum.llm.weights import demo_weights

# Stands in for the process that runs llama.cpp: says where a server listens, and how it began.
STAND_IN = """
import json, os, pathlib, sys
asked = json.loads(sys.stdin.readline())
notes = pathlib.Path(sys.argv[1])
notes.open("a").write(f"{os.getpid()} {asked['threads']}\\n")
print(json.dumps({"address": sys.argv[2]}), flush=True)
sys.stdin.read()
"""


def stand_in(notes: Path, url: str) -> Sequence[str]:
    return (sys.executable, "-c", STAND_IN, str(notes), url.removesuffix("/v1"))


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"no weights at all")
    return path


def started(notes: Path) -> list[int]:
    if not notes.exists():
        return []
    return [int(line.split()[0]) for line in notes.read_text().splitlines()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_starts_with_the_first_turn_and_ends_with_close(
    tmp_path: Path, gguf: Path
) -> None:
    notes = tmp_path / "notes"

    async def scene() -> None:
        async with FakeModel() as server, asyncio.timeout(BOUND_S):
            embedded = Embedded(
                gguf, loading=Loading(threads=3), command=stand_in(notes, server.url)
            )
            assert await embedded.models() == ["tiny"]
            assert "tiny" in await embedded.check()
            assert started(notes) == []
            asked = [embedded.stream(asking("!say Hi")) for _ in range(2)]
            await asyncio.gather(*(anext(events) for events in asked))
            for events in asked:
                await events.aclose()
            assert len(started(notes)) == 1
            assert server.bodies[0]["model"] == "tiny"
            assert server.received[0].headers["Authorization"].startswith("Bearer ")
            await embedded.close()
            assert not is_alive(started(notes)[0])

    asyncio.run(scene())
    assert notes.read_text().split()[1] == "3"


def test_a_process_that_died_is_started_again(tmp_path: Path, gguf: Path) -> None:
    notes = tmp_path / "notes"

    async def scene() -> None:
        async with FakeModel() as server, asyncio.timeout(BOUND_S):
            embedded = Embedded(gguf, command=stand_in(notes, server.url))
            for text in ("one", "two"):
                events = [event async for event in embedded.stream(asking(f"!say {text}"))]
                assert fold(events).text == text
                os.kill(started(notes)[-1], 9)
                # Reaches inside: that it died is noticed a moment later, and seen nowhere else.
                assert embedded._process._process
                await embedded._process._process.wait()
                assert not embedded.is_running
            await embedded.close()
        assert len(started(notes)) == 2

    asyncio.run(scene())


def test_a_failure_of_the_model_is_told_and_its_process_kept(tmp_path: Path, gguf: Path) -> None:
    notes = tmp_path / "notes"

    async def scene() -> None:
        async with FakeModel() as server:
            embedded = Embedded(gguf, command=stand_in(notes, server.url))
            with pytest.raises(ModelError, match="Too long"):
                await collect(embedded, asking("!error invalid_prompt Too long"))

    asyncio.run(scene())
    assert len(started(notes)) == 1


def test_weights_that_are_absent_are_told_with_what_to_do(tmp_path: Path) -> None:
    embedded = Embedded(demo_weights(tmp_path), label=LABEL)
    expected = r"The weights of smollm2-135m \(demo\) are not there: run `locum model get`"
    with pytest.raises(ModelError, match=expected):
        asyncio.run(collect(embedded, asking("Hi")))
    with pytest.raises(ModelError, match=expected):
        asyncio.run(embedded.check())


def test_a_missing_runtime_is_told_with_what_to_do(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'locum\[embedded\]'"):
        asyncio.run(Embedded(gguf).check())


def test_a_process_that_ends_too_early_is_told(gguf: Path) -> None:
    embedded = Embedded(gguf, command=(sys.executable, "-c", ""))
    with pytest.raises(ModelError, match=r"'tiny\.gguf': its process ended before"):
        asyncio.run(collect(embedded, asking("Hi")))


def test_a_file_that_is_no_model_is_told(gguf: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot run 'tiny\.gguf': Failed to init"):
        asyncio.run(collect(Embedded(gguf), asking("Hi")))


def test_a_turn_that_found_its_process_dead_is_asked_once_more(tmp_path: Path, gguf: Path) -> None:
    notes = tmp_path / "notes"

    async def kill(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        os.kill(started(notes)[-1], 9)
        assert request.transport
        request.transport.close()
        return web.Response()

    async def scene() -> None:
        async with FakeModel(kill, breaks_off(), speaks()) as server:
            embedded = Embedded(gguf, command=stand_in(notes, server.url))
            assert fold(await collect(embedded, asking("!say Hi"))).text == "Hi"
        assert len(started(notes)) == 2

    asyncio.run(scene())


def test_a_turn_that_fails_beside_a_living_process_is_not_asked_again(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.llm.embedded._DEATH_S", 0.01)
    notes = tmp_path / "notes"

    async def scene() -> None:
        async with FakeModel(refuses(501, {"error": "Out of memory"})) as server:
            embedded = Embedded(gguf, command=stand_in(notes, server.url))
            with pytest.raises(ModelError, match="Out of memory"):
                await collect(embedded, asking("Hi"))
            assert len(server.received) == 1

    asyncio.run(scene())


def test_a_turn_that_lost_its_process_in_mid_answer_fails(tmp_path: Path, gguf: Path) -> None:
    notes = tmp_path / "notes"

    async def scene() -> None:
        async with FakeModel(breaks_off(HALF), speaks()) as server:
            embedded = Embedded(gguf, command=stand_in(notes, server.url))
            with pytest.raises(ModelError, match="in mid-answer"):
                await collect(embedded, asking("Hi"))

    asyncio.run(scene())


def test_a_process_that_does_not_begin_is_stopped(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.llm.embedded._START_S", 0.05)
    monkeypatch.setattr("locum.llm.embedded._STOP_S", 0.05)
    embedded = Embedded(gguf, command=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(ModelError, match="it was not loaded within"):
        asyncio.run(collect(embedded, asking("Hi")))
    assert not embedded.is_running


def test_a_start_that_is_cancelled_leaves_no_process(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.llm.embedded._STOP_S", 0.05)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"open({str(fifo)!r}, 'w').write(str(__import__('os').getpid())); input(); input()"

    async def scene() -> None:
        embedded = Embedded(gguf, command=(sys.executable, "-c", code))
        starting = asyncio.create_task(embedded.start())
        pid = int(await asyncio.to_thread(fifo.read_text))
        starting.cancel()
        await asyncio.wait([starting], timeout=BOUND_S)
        assert starting.cancelled()
        assert not is_alive(pid)
        await embedded.close()

    asyncio.run(scene())


def test_the_process_does_not_outlive_one_that_was_killed(tmp_path: Path, gguf: Path) -> None:
    notes = tmp_path / "notes"
    command = tuple(stand_in(notes, "http://127.0.0.1:9"))
    parent = f"""
import asyncio, pathlib
from locum.llm.embedded import Embedded
async def main():
    await Embedded(pathlib.Path({str(gguf)!r}), command={command!r}).start()
    print("started", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        (child,) = started(notes)
        ended = os.pidfd_open(child)
        process.kill()
        try:
            assert select.select([ended], [], [], BOUND_S)[0], "the child lives on"
        finally:
            os.close(ended)


# With real weights -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real_gguf() -> Path:
    return demo_gguf()


# What a model says is drawn from what is likely; at nought it is the likeliest, each time.
certain = partial(asking, temperature=0.0)


@pytest.mark.slow
def test_a_real_model_speaks_calls_searches_and_stops(real_gguf: Path) -> None:
    async def scene() -> None:
        embedded = Embedded(real_gguf, label=LABEL)
        demo = DemoTools(embedded)
        try:
            async with asyncio.timeout(120):
                hello = fold([e async for e in demo.stream(certain("Hello!", max_tokens=40))])
                assert hello.text
                assert hello.finished.counted_by_backend
                assert hello.finished.usage.prompt_tokens > 0

                story = certain("Tell me a long story about a king.", max_tokens=5)
                short = fold([e async for e in demo.stream(story)])
                assert short.finished.reason == "length"
                assert short.finished.usage.completion_tokens == 5

                weather = certain("Paris?", offers=(WEATHER,), choice=Named("get_weather"))
                called = fold([e async for e in demo.stream(weather)])
                assert called.calls[0].name == "get_weather"
                assert '"unit":' in called.calls[0].arguments

                code = certain("Compute 3*7", offers=(PYTHON,), choice="required")
                assert fold([e async for e in demo.stream(code)]).calls[0].name == "python"

                search = certain("Where is it sunny?", offers=(SEARCH,))
                searched = fold([e async for e in demo.stream(search)])
                found = after(search, searched, ["【0:0†a.txt】\nLisbon is sunny."])
                assert "【0:0†a.txt】" in fold([e async for e in demo.stream(found)]).text

                schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
                wanted = {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {**schema, "required": ["ok"]}},
                }
                request = certain("Are you well?", response_format=wanted, max_tokens=60)
                assert "ok" in fold([e async for e in demo.stream(request)]).text
        finally:
            await demo.close()

    asyncio.run(scene())


@pytest.mark.slow
def test_leaving_a_real_model_frees_it_for_the_next(real_gguf: Path) -> None:
    async def scene() -> None:
        embedded = Embedded(real_gguf, loading=Loading(parallel=1))
        try:
            async with asyncio.timeout(60):
                events = embedded.stream(asking("Count to a thousand, one number a line."))
                await anext(events)
                await events.aclose()
                next_turn = embedded.stream(asking("Hi", max_tokens=3))
                assert fold([event async for event in next_turn])
        finally:
            await embedded.close()

    asyncio.run(scene())
