"""Moving in from a server that still answers: another Locum, the original, Azure."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit.moving import Place, at, contents, quiet
from tests.kit.server import Server, running

from locum.moving import live as live_room
from locum.moving.live import Live, LiveError
from locum.moving.pulling import Puller, thread_ids

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Server, str]]:
    """A server with a life behind it, and a thread of it."""
    with running(files_at_once=2) as server, server.sdk() as sdk:
        file = sdk.files.create(file=("notes.pdf.txt", b"Bring bread."), purpose="assistants")
        sdk.files.create(file=("a.jsonl", b"{}"), purpose="batch")
        store = sdk.vector_stores.create(name="Notes")
        sdk.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        assistant = sdk.beta.assistants.create(model="gpt-4o")
        thread = sdk.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        for _ in range(2):
            sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        yield server, thread.id


def _pulled(
    url: str,
    folder: Path,
    *,
    threads: tuple[str, ...] = (),
    key: str | None = "sk-any",
    api_version: str | None = None,
) -> Path:
    async def run() -> None:
        async with Live(url, key=key, api_version=api_version) as live:
            await Puller(live, folder, tick=quiet).run(thread_ids(threads))

    asyncio.run(run())
    return folder


@pytest.mark.parametrize("path", ["/v1", "/openai"])
def test_everything_of_another_locum_comes_along(
    source: tuple[Server, str], tmp_path: Path, path: str
) -> None:
    server, thread_id = source
    dump = _pulled(
        f"{server.url}{path}",
        tmp_path / "pulled",
        api_version="2024-05-01-preview" if path == "/openai" else None,
    )

    async def run(here: Place) -> dict[str, bytes]:
        report = await here.take(dump)
        assert report.is_whole
        found = contents(await here.give())
        assert thread_id in found["projects/proj_default/threads.jsonl"].decode()
        return found

    found = at(run)

    async def exported(store: Any) -> dict[str, bytes]:
        there = Place(store.db, tmp_path / "there")
        return contents(await there.give())

    theirs = server.in_store(exported)
    for kind in ("messages", "runs", "steps", "assistants"):
        name = f"projects/proj_default/{kind}.jsonl"
        assert found[name] == theirs[name]


def test_what_the_original_kept_to_itself_is_taken_from_what_was_read_of_it(
    source: tuple[Server, str], tmp_path: Path
) -> None:
    server, thread_id = source
    (tmp_path / "ids.csv").write_text(f"user,thread\n7,{thread_id}\n", "utf-8")
    dump = _pulled(f"{server.url}/v1", tmp_path / "p", threads=(str(tmp_path / "ids.csv"),))

    async def run(here: Place) -> None:
        report = await here.take(dump)
        said = [note.said for note in report.notes if note.kind == "files"]
        assert said == [
            "its bytes are not given out: what a vector store had read from it came instead"
        ]
        found = contents(await here.give())
        names = [json.loads(line)["filename"] for line in _lines(found, "files")]
        assert sorted(names) == ["a.jsonl", "notes.pdf.txt.txt"]
        assert b"Bring bread." in found.values()
        (held,) = _lines(found, "vector_store_files")
        assert json.loads(held)["status"] == "in_progress"

    at(run)


def test_a_pull_that_was_stopped_goes_on_with_what_is_missing(
    source: tuple[Server, str], tmp_path: Path
) -> None:
    server, _ = source
    dump = _pulled(f"{server.url}/v1", tmp_path / "p")
    before = contents(dump)
    stamp = (dump / "assistants.jsonl").stat().st_mtime_ns
    thread = next((dump / "threads").iterdir())
    thread.unlink()
    assert contents(_pulled(f"{server.url}/v1", dump)) == before
    assert (dump / "assistants.jsonl").stat().st_mtime_ns == stamp


def test_a_thread_that_is_gone_is_told_of(source: tuple[Server, str], tmp_path: Path) -> None:
    server, _ = source
    dump = _pulled(f"{server.url}/v1", tmp_path / "p", threads=("thread_gone1234",))

    async def run(here: Place) -> None:
        report = await here.take(dump)
        (note,) = [one for one in report.notes if one.kind == "threads"]
        assert note.id == "thread_gone1234"
        assert "No thread found" in note.said
        assert not report.is_whole

    at(run)


def test_a_wrong_key_ends_the_pull(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    secret, _ = server.add_key("proj_other")
    with pytest.raises(LiveError, match="401") as refused:
        _pulled(f"{server.url}/v1", tmp_path / "p", key="sk-very-wrong-indeed-1234")
    assert secret not in str(refused.value)
    assert "very-wrong" not in str(refused.value)


def _against(handler: Handler, work: Callable[[Live], Awaitable[None]]) -> None:
    """Something done with a server whose answers are the test's."""

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            async with Live(f"http://{host}:{port}/v1", key="k") as live:
                await work(live)
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_an_unwell_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_room, "_FIRST_WAIT_S", 0.001)
    answers = [503, 429, 200]

    async def handle(_: web.Request) -> web.Response:
        status = answers.pop(0)
        return web.json_response({"ok": True}, status=status, headers={"retry-after": "0"})

    async def work(live: Live) -> None:
        assert await live.get("/x") == {"ok": True}
        assert answers == []

    _against(handle, work)


async def _told(handle: Callable[[Any, Any], Awaitable[None]], work: Any) -> None:
    """Something done with a server that says byte by byte what the test says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await handle(reader, writer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Live(f"http://127.0.0.1:{port}/v1", key="k") as live:
            await work(live)


def test_an_answer_that_breaks_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_room, "_FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(live_room, "_ANSWER_S", 1.0)
    answers = [b"{ ", b'{"ok": true}']

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"content-length: 12\r\n\r\n" + answers.pop(0))

    async def work(live: Live) -> None:
        assert await live.get("/x") == {"ok": True}

    asyncio.run(asyncio.wait_for(_told(handle, work), 30))


def test_an_answer_that_is_no_http_any_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_room, "_ANSWER_S", 1.0)

    async def run() -> None:
        heard = asyncio.Event()

        async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"transfer-encoding: chunked\r\n\r\n2\r\n{ \r\n")
            await heard.wait()
            writer.write(b"no size\r\n")

        async def work(live: Live) -> None:
            async for _ in live.pieces("/x"):
                heard.set()

        with pytest.raises(LiveError, match="broke off"):
            await _told(handle, work)

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize(
    ("broken", "status"), [("messages", 500), ("runs", 404), ("runs/run_abcdef/steps", 400)]
)
def test_a_thread_that_its_server_fails_at_does_not_keep_others_from_being_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, status: int
) -> None:
    monkeypatch.setattr(live_room, "_FIRST_WAIT_S", 0.001)
    ids = ("thread_abcdef", "thread_ghijkl")

    async def handle(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/v1/")
        if path == f"threads/thread_abcdef/{broken}":
            return web.json_response({"error": {"message": "No."}}, status=status)
        found = [{"id": "run_abcdef"}] if path.endswith("abcdef/runs") else []
        return web.json_response({"id": path[8:], "object": "thread", "data": found})

    async def work(live: Live) -> None:
        await Puller(live, tmp_path / "p", tick=quiet).run(ids)

    _against(handle, work)
    told = {path.name: path.read_text("utf-8") for path in (tmp_path / "p" / "threads").iterdir()}
    assert [name[9:-6] for name in sorted(told)] == list(ids)
    first, *_, last = map(json.loads, told["00000000-thread_abcdef.jsonl"].splitlines())
    assert first["id"] == "thread_abcdef"
    where = f"/threads/thread_abcdef/{broken}: {status}, No."
    assert last["said"] == f"not imported as a whole: {where}"


def test_a_file_that_its_server_fails_at_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_room, "_FIRST_WAIT_S", 0.001)

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("/content"):
            return web.json_response({"error": {"message": "No."}}, status=500)
        found = [{"id": "file-abcdef"}] if request.path == "/v1/files" else []
        return web.json_response({"data": found})

    async def work(live: Live) -> None:
        await Puller(live, tmp_path / "p", tick=quiet).run(["thread_abcdef"])

    _against(handle, work)
    _, note = map(json.loads, (tmp_path / "p" / "files.jsonl").read_text("utf-8").splitlines())
    assert note["said"] == "its bytes are not given out: /files/file-abcdef/content: 500, No."


@pytest.mark.parametrize(
    ("text", "says"), [("<html>", "not JSON"), ("[1]", "no object"), ("[" * 100_000, "not JSON")]
)
def test_an_answer_that_is_none_is_an_error(text: str, says: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text=text)

    async def work(live: Live) -> None:
        with pytest.raises(LiveError, match=says):
            await live.get("/x")

    _against(handle, work)


def test_pages_that_go_round_end() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "a"}, 3], "has_more": True})

    async def work(live: Live) -> None:
        assert [one["id"] async for one in live.listed("/x")] == ["a", "a"]

    _against(handle, work)


def test_no_redirect_is_followed() -> None:
    async def handle(_: web.Request) -> web.Response:
        raise web.HTTPFound("https://example.com/elsewhere")

    async def work(live: Live) -> None:
        with pytest.raises(LiveError, match="302"):
            await live.get("/x")

    _against(handle, work)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(LiveError, match="looks like"):
        Live("api.openai.com", key=None)


def _lines(found: dict[str, bytes], kind: str) -> list[str]:
    return found[f"projects/proj_default/{kind}.jsonl"].decode().splitlines()
