"""What a session does, behind whichever walls."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig, our_processes

from locum.tools.code_interpreter import processes
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import Logs, Output

MIB = 1 << 20


def test_variables_live_from_one_call_to_the_next(any_rig: Rig) -> None:
    session = any_rig.session()

    assert any_rig.run(session, "answer = 41") == []
    assert any_rig.run(session, "answer + 1") == [Logs("42")]


def test_an_interpreter_that_is_slow_to_stand_still_lives_on(
    walled: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine where others keep it from its turn."""
    session = walled.session()
    looked: list[int] = []
    look = processes.stopped

    def late(pid: int) -> bool:
        looked.append(pid)
        return len(looked) > 300 and look(pid)

    walled.run(session, "answer = 41")
    monkeypatch.setattr(processes, "stopped", late)
    assert walled.run(session, "answer + 1") == [Logs("42")]


def test_sessions_do_not_share_variables(any_rig: Rig) -> None:
    any_rig.run(any_rig.session("one"), "secret = 1")

    assert "NameError" in any_rig.logs(any_rig.session("two"), "secret")


def test_the_last_expression_is_a_log_and_none_is_silent(any_rig: Rig) -> None:
    session = any_rig.session()

    assert any_rig.run(session, "'a\\nb'") == [Logs("'a\\nb'")]
    assert any_rig.run(session, "None") == []
    assert any_rig.run(session, "5;") == []
    assert any_rig.run(session, "") == []
    assert any_rig.run(session, "# only a remark") == []


def test_a_value_begins_on_a_line_of_its_own(any_rig: Rig) -> None:
    assert any_rig.logs(any_rig.session(), "print('so far', end='')\n7") == "so far\n7"


def test_both_streams_are_told_in_the_order_of_printing(any_rig: Rig) -> None:
    code = (
        "import sys, os\nprint('a')\nprint('b', file=sys.stderr)\nos.system('echo c')\nprint('d')"
    )

    assert any_rig.logs(any_rig.session(), code) == "a\nb\nc\nd\n"


def test_logs_arrive_before_the_code_ends(any_rig: Rig, tmp_path: Path) -> None:
    session = any_rig.session()
    (tmp_path / "go").write_text("on")
    waiting = (
        "import os\nprint('ready')\nwhile not os.path.exists('/mnt/data/go'): pass\nprint('gone')"
    )

    async def conversation() -> list[Output]:
        told: list[Output] = []
        async with aclosing(session.run(waiting)) as outputs:
            async for output in outputs:
                if not told:
                    await session.put("go", tmp_path / "go")
                told.append(output)
        return told

    assert any_rig.wait(conversation()) == [Logs("ready\n"), Logs("gone\n")]


def test_a_traceback_shows_the_code_and_nothing_of_ours(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "def half(x):\n    return 1 / x")

    text = any_rig.logs(session, "half(0)")

    assert text.startswith(
        'Traceback (most recent call last):\n  File "<cell 2>", line 1, in <module>\n'
    )
    assert '  File "<cell 1>", line 2, in half\n    return 1 / x\n' in text
    assert text.endswith("ZeroDivisionError: division by zero\n")
    assert "runner" not in text
    assert any_rig.run(session, "1") == [Logs("1")]


def test_a_syntax_error_is_a_log(any_rig: Rig) -> None:
    text = any_rig.logs(any_rig.session(), "x = = 1")

    assert text.startswith('  File "<cell 1>", line 1\n')
    assert "SyntaxError" in text


def test_strings_that_are_no_text_are_told_escaped(any_rig: Rig) -> None:
    session = any_rig.session()

    assert any_rig.logs(session, "print('\\ud800')\n'\\ud800é'") == "\\ud800\n'\\ud800é'"
    assert any_rig.logs(session, "raise ValueError('\\udfff')").endswith("ValueError: \\udfff\n")
    assert "�" in any_rig.logs(session, "import os; _ = os.write(1, b'\\xff')")


def test_leaving_ends_the_call_and_not_the_session(any_rig: Rig) -> None:
    session = any_rig.session()

    assert any_rig.logs(session, "x = 1\nimport sys\nsys.exit('enough')") == "SystemExit: enough\n"
    assert any_rig.run(session, "x") == [Logs("1")]


def test_overrunning_code_is_interrupted_and_its_variables_stay(build_any: Build) -> None:
    rig = build_any(limits=Limits(wall_s=0.3))
    session = rig.session()

    text = rig.logs(session, "x = 5\nwhile True: pass")

    assert "KeyboardInterrupt" in text
    assert text.endswith("timed out after 0.3 s")
    assert rig.run(session, "x") == [Logs("5")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "stubborn",
    [
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "import signal\n[signal.signal(s, print) for s in {*signal.Signals} - {9, 19}]\nwhile 1: 0",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {2, 15})\nwhile True: pass",
    ],
)
def test_overrunning_code_that_ignores_interrupts_is_killed(
    build_any: Build, stubborn: str
) -> None:
    rig = build_any(limits=Limits(wall_s=0.2, grace_s=0.1))
    session = rig.session()
    rig.run(session, "x = 5")

    assert rig.logs(session, stubborn).endswith("timed out after 0.2 s")
    text = rig.logs(session, "'x' in dir()")
    assert "variables of earlier calls are lost" in text
    assert text.endswith("False")


def test_too_much_memory_in_one_process_is_an_error_of_the_code(build_any: Build) -> None:
    rig = build_any(limits=Limits(memory_bytes=128 * MIB))
    session = rig.session()

    assert "MemoryError" in rig.logs(session, "x = 1\ny = bytearray(1 << 30)")
    assert rig.run(session, "x") == [Logs("1")]


def test_a_dead_interpreter_is_a_log_and_the_next_call_starts_over(build_any: Build) -> None:
    rig = build_any()
    session = rig.session()
    rig.run(session, "open('kept.txt', 'w').write('here')\nlost = 1")

    assert rig.logs(session, "print('last words', flush=True)\nimport os\nos._exit(3)") == (
        "last words\nThe interpreter died."
    )
    text = rig.logs(session, "print(open('kept.txt').read(), 'lost' in dir())")
    assert text.endswith("kept.\nhere False\n")
    assert rig.logs(session, "1") == "1"


@pytest.mark.slow
def test_cpu_time_ends_with_a_reason(build_any: Build) -> None:
    rig = build_any(limits=Limits(cpu_s=2))

    text = rig.logs(rig.session(), "while True: pass")

    assert text == "The interpreter died: it used up its 2 s of CPU time."


def test_output_is_cut_with_a_line_that_says_so(build_any: Build) -> None:
    rig = build_any(limits=Limits(output_bytes=1000))
    session = rig.session()

    text = rig.logs(session, "print('x' * 5000)\nprint('never told')\n'nor this'")

    assert text == "x" * 1000 + "\n[output cut after 1000 bytes]\n"
    assert rig.logs(session, "print('told again')") == "told again\n"


@pytest.mark.parametrize("character", ["x", "\\0", "\\u00e9", "\\U0001f600", "\\ud800"])
def test_a_value_is_cut_however_long_it_is(build_any: Build, character: str) -> None:
    rig = build_any(limits=Limits(output_bytes=1000, picture_bytes=1000))
    session = rig.session()
    code = f"class Long:\n  def __repr__(self): return '{character}' * 1_000_000\nLong()"

    text = rig.logs(session, code)

    assert text.endswith("[output cut after 1000 bytes]\n")
    assert len(text.encode()) < 1100
    assert rig.logs(session, "'Long' in dir()") == "True"


def test_a_picture_that_is_too_large_is_not_shown_and_costs_no_variables(build_any: Build) -> None:
    rig = build_any(limits=Limits(output_bytes=1000, picture_bytes=1000))
    session = rig.session()
    code = r"""
class Large:
    def _repr_png_(self): return b'\x89PNG\r\n\x1a\n' + bytes(100_000)
Large()
"""

    assert rig.logs(session, code) == "[a picture was not shown: no PNG, or too large]"
    assert rig.logs(session, "'Large' in dir()") == "True"


def test_a_child_of_fork_does_not_speak_for_the_interpreter(any_rig: Rig) -> None:
    code = "import os, sys\nprint('before')\nif os.fork() == 0: sys.exit('child')\n_ = os.wait()"
    session = any_rig.session()

    assert any_rig.logs(session, code) == "before\n"
    assert any_rig.run(session, "6 * 7") == [Logs("42")]


def test_threads_and_processes_of_the_code_work(any_rig: Rig) -> None:
    code = """
import multiprocessing, subprocess, sys, threading
found = []
threading.Thread(target=found.append, args=(1,)).start()
with multiprocessing.Pool(2) as pool:
    found += pool.map(abs, [-2, -3])
found.append(int(subprocess.run([sys.executable, '-c', 'print(4)'], capture_output=True).stdout))
sorted(found)
"""
    assert any_rig.run(any_rig.session(), code) == [Logs("[1, 2, 3, 4]")]


def test_what_is_left_running_ends_with_the_call(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "import subprocess")
    before = our_processes()

    any_rig.run(session, "_ = subprocess.Popen(['sleep', '1000'], start_new_session=True)")

    assert our_processes() == before


def test_closing_the_outputs_stops_the_code_and_its_children_at_once(any_rig: Rig) -> None:
    session = any_rig.session()
    code = "import os\nfor _ in range(3): os.fork()\nprint('x', flush=True)\nwhile True: pass"
    before = our_processes()

    async def first() -> Output:
        async with aclosing(session.run(code)) as outputs:
            return await anext(outputs)

    assert isinstance(any_rig.wait(first()), Logs)
    assert our_processes() <= before
    assert "variables of earlier calls are lost" in any_rig.logs(session, "1")


def test_cancelling_the_task_stops_the_code(any_rig: Rig) -> None:
    session = any_rig.session()
    before = our_processes()

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def call() -> None:
            async with aclosing(session.run("print('begun')\nwhile True: pass")) as outputs:
                async for _ in outputs:
                    begun.set()

        task = asyncio.create_task(call())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    any_rig.wait(cancelled())
    assert our_processes() <= before


def test_closing_the_session_ends_a_running_call_and_keeps_the_files(any_rig: Rig) -> None:
    session = any_rig.session()

    async def closed() -> list[Output]:
        told = []
        async with aclosing(
            session.run("open('f','w').close()\nprint('begun')\nwhile 1: pass")
        ) as o:
            async for output in o:
                told.append(output)
                if len(told) == 1:
                    await session.close()
        return told

    assert any_rig.wait(closed()) == [Logs("begun\n"), Logs("The interpreter died.")]
    assert list(any_rig.wait(session.files())) == ["f"]


def test_files_go_in_and_come_out(any_rig: Rig, tmp_path: Path) -> None:
    session = any_rig.session()
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    any_rig.wait(session.put("file-abc", tmp_path / "in.csv"))
    any_rig.wait(session.put("in.csv", tmp_path / "in.csv"))

    code = """
import os
os.makedirs('/mnt/data/deep/er')
rows = open('/mnt/data/in.csv').read() + open('file-abc').read()
open('/mnt/data/deep/er/out.txt', 'w').write(rows)
open('/mnt/data/in.csv', 'a').write('3,4')
sorted(os.listdir())
"""
    assert any_rig.logs(session, code) == "['deep', 'file-abc', 'in.csv']"
    files = any_rig.wait(session.files())
    assert {name: written.size_bytes for name, written in files.items()} == {
        "deep/er/out.txt": 16,
        "file-abc": 8,
        "in.csv": 11,
    }
    assert any_rig.read(session, "deep/er/out.txt") == b"a,b\n1,2\na,b\n1,2\n"
    assert (tmp_path / "in.csv").read_text() == "a,b\n1,2\n"


def test_code_of_a_megabyte_is_taken(any_rig: Rig) -> None:
    assert any_rig.logs(any_rig.session(), f"x = '{'y' * 1_000_000}'\nlen(x)") == "1000000"


def test_calls_of_one_session_wait_for_each_other(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "import time; order = []")

    async def both() -> None:
        async def call(code: str) -> None:
            async with aclosing(session.run(code)) as outputs:
                async for _ in outputs:
                    pass

        await asyncio.gather(
            call("order.append(1); time.sleep(0.05); order.append(2)"), call("order.append(3)")
        )

    any_rig.wait(both())
    assert any_rig.logs(session, "order") == "[1, 2, 3]"
