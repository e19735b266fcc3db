"""`locum tail`: runs as they happen, whatever happens to the connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.kit.server import Server
from tests.kit.talk import Talk, function, path_of

from locum.cli import main
from locum.terminal.client import Client
from locum.terminal.paint import Paint
from locum.terminal.tail import Tail

_BOUND_S = 20.0
_PLAIN = Paint(is_on=False)


class _Lines:
    """What was told, and a way to wait for what is told next."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.told.append(line)
        self._more.set()

    async def until(self, words: str) -> None:
        async with asyncio.timeout(_BOUND_S):
            while not any(words in line for line in self.told):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def _tailing(url: str, **options: Any) -> AsyncIterator[tuple[Tail, _Lines]]:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.01)

    lines = _Lines()
    async with Client(url, key="sk-any") as client:
        yield Tail(client, tell=lines, paint=_PLAIN, width=80, sleep=soon, **options), lines


async def _aside(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


def _words(lines: list[str], run: Any) -> list[str]:
    """Lines without their times, their run's name and their steps' ids."""
    return [
        line.partition(f" {run['id']} ")[2].split(" step_")[0] if run["id"] in line else line
        for line in lines
    ]


def test_a_run_is_followed_from_its_beginning_through_its_pause_to_its_end(server: Server) -> None:
    talk = Talk(server.http())
    begun = talk.run('!call get_weather {"n":1}\n!then\n!say So.', tools=[function("get_weather")])

    async def scene() -> tuple[str, list[str]]:
        async with _tailing(server.url) as (tail, lines):
            following = asyncio.create_task(tail.follow(begun["id"]))
            await lines.until("waits for get_weather")
            await _aside(talk.submit, begun, ["mild"])
            async with asyncio.timeout(_BOUND_S):
                return await following, lines.told

    status, told = asyncio.run(scene())
    assert status == "completed"
    words = _words(told, begun)
    assert words[0].startswith("queued scripted · thread_")
    assert words[1:4] == ["in_progress", "step 1 begins", "requires_action"]
    assert words[4] == '           waits for get_weather({"n":1})'
    assert words[5].startswith("step 1 get_weather completed 0 s ")
    assert words[6:8] == ['           {"n":1}', "           → mild"]
    assert words[-2] == "           So."
    assert words[-1].startswith("completed 0 s ")


def test_all_runs_of_a_project_are_followed_as_they_come(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    talk = Talk(server.http())
    talk.run("!say Long ago")
    waiting = talk.run("!call get_weather {}", tools=[function("get_weather")])

    async def scene() -> list[str]:
        async with _tailing(server.url) as (tail, lines):
            following = asyncio.create_task(tail.follow())
            await lines.until("waits for get_weather")
            await _aside(talk.run, "!say Now")
            await lines.until("           Now")
            await _aside(talk.run, "!error server_error Oh no")
            await lines.until("server_error: Oh no")
            following.cancel()
            await asyncio.wait([following])
            return lines.told

    told = asyncio.run(scene())
    assert not any("Long ago" in line for line in told)
    assert any(waiting["id"] in line for line in told)


def test_only_one_thread_is_followed_where_it_is_named(server: Server) -> None:
    talk = Talk(server.http())
    thread_id = talk.thread("!say Here")
    asked = {"assistant_id": talk.assistant()}

    async def scene() -> list[str]:
        async with _tailing(server.url) as (tail, lines):
            following = asyncio.create_task(tail.follow(thread_id=thread_id))
            await _aside(talk.run, "!say Elsewhere")
            await _aside(talk.http.post, f"/v1/threads/{thread_id}/runs", asked)
            await lines.until("           Here")
            following.cancel()
            await asyncio.wait([following])
            return lines.told

    assert not any("Elsewhere" in line for line in asyncio.run(scene()))


def test_a_broken_connection_loses_and_repeats_nothing(server: Server) -> None:
    talk = Talk(server.http())
    run = talk.run("!words 30\n!then\n!say So.")

    async def scene() -> tuple[list[str], list[str]]:
        async with _tailing(server.url, as_json=True) as (tail, whole):
            await tail.follow(run["id"])
        async with (
            _cutting(server.port, after_bytes=1500) as (url, connections),
            _tailing(url, as_json=True) as (tail, lines),
            asyncio.timeout(_BOUND_S),
        ):
            assert await tail.follow(run["id"]) == "completed"
            assert len(connections) > 5
        return whole.told, lines.told

    whole, pieced = asyncio.run(scene())
    assert len(whole) > 20
    assert pieced == whole
    assert json.loads(whole[0])["event"] == "thread.run.created"


@asynccontextmanager
async def _cutting(
    port: int, *, after_bytes: int
) -> AsyncIterator[tuple[str, set[asyncio.Task[Any]]]]:
    """The server behind a line that breaks after so many bytes of an answer, each time."""
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        there, here = await asyncio.open_connection("127.0.0.1", port)
        asked = await reader.readuntil(b"\r\n\r\n")
        here.write(asked.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        is_stream, left = False, after_bytes
        while piece := await there.read(200):
            is_stream = is_stream or b"text/event-stream" in piece
            writer.write(piece)
            left -= len(piece)
            if is_stream and left < 0:
                break
        for each in (here, writer):
            each.close()
            await each.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", serving
    await asyncio.wait(serving)


def test_a_run_whose_journal_is_forgotten_still_tells_its_end(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    run = Talk(server.http()).run("!say Well")

    async def forget(store: Any) -> None:
        async with store.transaction() as tx:
            await store.events.prune(tx, before=server.clock.now() + 1)

    server.in_store(forget)

    async def scene() -> list[str]:
        async with _tailing(server.url) as (tail, lines):
            assert await tail.follow(run["id"]) == "completed"
            return lines.told

    (line,) = asyncio.run(scene())
    assert f"{run['id']} completed 0 s" in line


def test_a_deleted_run_ends_its_tail(make_server: Callable[..., Server]) -> None:
    server = make_server()
    talk = Talk(server.http())
    run = talk.begin("!say Well\n!think 60")

    async def scene() -> list[str]:
        async with _tailing(server.url) as (tail, lines):
            following = asyncio.create_task(tail.follow(run["id"]))
            await lines.until("step 1 begins")
            await _aside(talk.http.delete, f"/v1/threads/{run['thread_id']}")
            async with asyncio.timeout(_BOUND_S):
                await following
            return lines.told

    assert "The run was deleted." in " ".join(asyncio.run(scene()))


def test_the_command_says_by_its_exit_how_the_run_has_ended(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(server.http())
    good, bad = talk.run("!say Well"), talk.run("!error server_error Oh no")
    assert main(["tail", good["id"], "--url", server.url]) == 0
    assert main(["tail", bad["id"], "--url", server.url]) == 1
    assert "server_error: Oh no" in capsys.readouterr().out
    assert main(["tail", "run_nope", "--url", server.url]) == 1
    assert main(["tail", "run_nope", "--url", "http://127.0.0.1:9"]) == 1
    assert "No answer from http://127.0.0.1:9/v1" in capsys.readouterr().err
    assert talk.http.get(path_of(good)).status == 200
