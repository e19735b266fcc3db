"""Code that hides from the server what it holds or what it goes on with."""

import os

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter import processes
from locum.tools.code_interpreter.limits import Limits

MIB = 1 << 20

# A process whose first thread has ended looks dead, and goes on.
HEADLESS = """
import ctypes, os, threading, time
def behead(work):
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        threading.Thread(target=work, args=(writing,)).start()
        ctypes.CDLL(None).syscall(93 if os.uname().machine == 'aarch64' else 60, 0)
    os.close(writing)
    os.read(reading, 1)
    return child
"""


def test_a_process_without_its_first_thread_does_not_survive_its_call(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, HEADLESS)
    code = "def work(ready):\n  os.write(ready, b'x')\n  time.sleep(1000)\nchild = behead(work)"

    assert any_rig.logs(session, code) == ""

    threads = "os.listdir(f'/proc/{child}/task') == [str(child)]"
    assert any_rig.logs(session, threads) == "True"


@pytest.mark.slow
def test_memory_of_a_process_without_its_first_thread_counts(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(memory_bytes=200 * MIB))
    code = f"""{HEADLESS}
def work(ready):
    hoard = b'x' * (120 << 20)
    os.write(ready, b'x')
    time.sleep(1000)
behead(work)
behead(work)
time.sleep(1000)
"""
    assert rig.logs(rig.session(), code) == "killed: more than 200 MiB of memory"


def test_a_process_that_hands_on_its_life_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One forks and ends, its child does the same: each is gone when it is looked at."""
    lives = iter(range(100, 200))
    states = {3: "Z"}
    monkeypatch.setattr(processes, "children", lambda pid: [2, 3, next(lives)] if pid == 1 else [])
    monkeypatch.setattr(processes, "_state", lambda pid, _=0: states.get(pid, "X"))
    monkeypatch.setattr(processes, "_threads", lambda pid: [pid], raising=False)
    monkeypatch.setattr(os, "pidfd_open", _no_such_process)

    assert not processes.kill_below(1, but=2)

    monkeypatch.setattr(processes, "children", lambda pid: [2, 3] if pid == 1 else [])
    assert processes.kill_below(1, but=2)


def _no_such_process(_: int) -> int:
    raise ProcessLookupError
