"""What no call takes away: the sessions of deleted threads, the copies of deleted files."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.kit.clocks import SteppedClock
from tests.tools.code_interpreter.rig import UNSAFE, sandbox_of

from locum.app import Parts, open_house
from locum.llm.scripted import Scripted
from locum.service import blobs, files, threads
from locum.service.scope import Scope
from locum.settings import Settings
from locum.tools.code_interpreter.notes import Notes
from locum.tools.code_interpreter.on_demand import SandboxOnDemand
from locum.tools.code_interpreter.sandbox import Owner, Sandbox
from locum.tools.code_interpreter.sessions import Sessions
from locum.tools.code_interpreter.tidying import Tidying
from locum.wire.files import CreateFile
from locum.wire.threads import CreateThread

_BODY = CreateFile(filename="a.txt", purpose="vision")


class Bench:
    """A house of one project, and a directory of sessions beside it."""

    def __init__(self, scope: Scope, directory: Path) -> None:
        self.scope = scope
        self.directory = directory
        self.source = directory / "source"
        directory.mkdir()
        self.source.write_text("of a file")

    async def sandbox(self) -> Sessions:
        sandbox = sandbox_of(UNSAFE, self.directory)
        await sandbox.prepare()
        return sandbox

    def unbuilt(self) -> SandboxOnDemand:
        settings = sandbox_of(UNSAFE, self.directory).settings
        return SandboxOnDemand(settings, tier="unsafe-subprocess", clock=SteppedClock())

    async def thread(self) -> Owner:
        created = await threads.create_thread(self.scope, body=CreateThread())
        return Owner("p", created.read().id)

    async def file(self) -> str:
        async with blobs.arriving(self.scope, limit=10) as blob:
            await blob.write(b"text")
            return (await files.create_file(self.scope, body=_BODY, blob=blob)).id

    async def tidy(self, sandbox: Sandbox) -> None:
        clock = self.scope.house.clock
        await Tidying(sandbox, store=self.scope.store, clock=clock).once()

    @property
    def kept(self) -> list[str]:
        below = (self.directory / "sessions").rglob("*")
        return sorted(path.relative_to(self.directory / "sessions").as_posix() for path in below)


Work = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def at_bench(tmp_path: Path) -> Callable[[Work], None]:
    def run(work: Work) -> None:
        async def bounded() -> None:
            settings = Settings(data=tmp_path / "house", durable=False, files_at_once=0)
            parts = Parts(clock=SteppedClock(), backend=Scripted())
            async with asyncio.timeout(20), open_house(settings, parts) as house:
                await work(Bench(Scope(house, "p"), tmp_path / "sandbox"))

        asyncio.run(bounded())

    return run


def test_a_deleted_file_leaves_sessions_in_which_no_code_is_run(
    at_bench: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        sandbox = bench.unbuilt()
        gone, stays = await bench.file(), await bench.file()
        for key in ("open", "ended"):
            session = await sandbox.session(key, await bench.thread())
            for file_id in (gone, stays):
                await session.put(file_id, bench.source, of=file_id)
            async with aclosing(session.run("_ = open('own', 'w').write('x')")) as outputs:
                assert [output async for output in outputs] == []
            if key == "ended":
                await session.close()
        await files.delete_file(bench.scope, file_id=gone)

        await bench.tidy(sandbox)
        await bench.tidy(sandbox)

        left = [f"{key}{name}" for key in ("ended", "open") for name in ("", f"/{stays}", "/own")]
        assert bench.kept == sorted(left)
        await sandbox.close()

    at_bench(work)


def test_a_session_that_runs_code_is_left_to_its_next_call(
    at_bench: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        session = await sandbox.session("busy", await bench.thread())
        await session.put("file-gone", bench.source, of="file-gone")
        async with aclosing(session.run("print('begun')\nwhile True: pass")) as outputs:
            await anext(outputs)
            await bench.tidy(sandbox)
            assert bench.kept == ["busy", "busy/file-gone"]

        assert await session.keep_only(()) == {"file-gone"}
        await sandbox.close()

    at_bench(work)


def test_what_dead_servers_left_of_deleted_threads_is_removed_and_the_rest_kept(
    at_bench: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        dead = await bench.sandbox()
        deleted, alive = await bench.thread(), await bench.thread()
        for key, owner in (("deleted", deleted), ("alive", alive)):
            session = await dead.session(key, owner)
            await session.put("file-gone", bench.source, of="file-gone")
            await session.put("own", bench.source)
        await threads.delete_thread(bench.scope, thread_id=deleted.thread_id)
        (bench.directory / "sessions" / "nobodys" / "sub").mkdir(parents=True)
        (bench.directory / "sessions" / "no directory").touch()
        await dead.close()

        await bench.tidy(bench.unbuilt())

        assert bench.kept == ["alive", "alive/own", "no directory"]
        assert [path.name for path in (bench.directory / "notes").iterdir()] == ["alive"]

    at_bench(work)


def test_what_another_living_server_has_is_let_alone(at_bench: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        living, other = await bench.sandbox(), await bench.sandbox()
        session = await living.session("theirs", Owner("of another database", "thread_x"))
        await session.put("file-x", bench.source, of="file-x")

        for sandbox in (other, bench.unbuilt()):
            await bench.tidy(sandbox)
            await sandbox.keep_only("theirs", ())

        assert bench.kept == ["theirs", "theirs/file-x"]
        await living.close()
        await bench.tidy(other)
        assert bench.kept == []
        await other.close()

    at_bench(work)


def test_one_session_that_cannot_be_removed_leaves_the_others_theirs(
    at_bench: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = Notes.remove

    def failing(notes: Notes, key: str) -> None:
        if key == "a":
            raise PermissionError
        remove(notes, key)

    async def work(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        for key in ("a", "b"):
            await sandbox.session(key)
        monkeypatch.setattr(Notes, "remove", failing)

        await bench.tidy(sandbox)

        assert bench.kept == ["a"]
        await sandbox.close()

    at_bench(work)


def test_a_copy_that_comes_while_its_session_is_forgotten_is_not_kept(
    at_bench: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        sandbox = await bench.sandbox()
        session = await sandbox.session("a")
        (bench.directory / "notes" / "a").unlink()

        with pytest.raises(FileNotFoundError):
            await session.put("file-x", bench.source, of="file-x")

        assert bench.kept == ["a"]
        await sandbox.close()

    at_bench(work)


def test_what_cannot_be_tidied_now_is_looked_at_again(
    at_bench: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tidying, "every_s", 0)

    async def work(bench: Bench) -> None:
        sandbox = bench.unbuilt()
        answers = [RuntimeError("out of order")]
        again = asyncio.Event()

        async def kept() -> dict[str, None]:
            if answers:
                raise answers.pop()
            again.set()
            return {}

        monkeypatch.setattr(sandbox, "kept", kept)
        tidying = Tidying(sandbox, store=bench.scope.store, clock=bench.scope.house.clock)
        await tidying.close()
        tidying.start()
        await again.wait()
        await tidying.close()

    at_bench(work)
