"""Code that hides from the server what it holds or what it goes on with."""

import os
import platform
import threading
from collections.abc import Collection

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter import processes
from locum.tools.code_interpreter.files import DataDirectory, Usage
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


def test_what_is_woken_by_the_end_of_its_processes_stands_still_again(walled: Rig) -> None:
    """The kernel wakes a group of processes when its last tie to the session's others ends."""
    session = walled.session()
    code = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(1000)
    os.setpgid(0, 0)
    os.write(writing, b'x')
    time.sleep(1000)
_ = os.read(reading, 1)
"""
    assert walled.logs(session, code) == ""
    assert walled.logs(session, "'reading' in dir()") == "True"


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
    monkeypatch.setattr(processes, "threads", lambda pid: [pid], raising=False)
    monkeypatch.setattr(os, "pidfd_open", _no_such_process)

    assert not processes.kill_below(1, but=2)

    monkeypatch.setattr(processes, "children", lambda pid: [2, 3] if pid == 1 else [])
    assert processes.kill_below(1, but=2)


def _no_such_process(_: int) -> int:
    raise ProcessLookupError


@pytest.mark.slow
def test_tables_of_pages_count_as_memory(build_walled: Build) -> None:
    """Room that is only read takes no memory but that of its tables."""
    rig = build_walled(limits=Limits(memory_bytes=100 * MIB))
    code = """
import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
step, many, private_and_not_reserved, small_pages = 2 << 20, 10_000_000, 0x4022, 15
start = libc.mmap(None, step * many, 1, private_and_not_reserved, -1, 0)
libc.madvise(start, step * many, small_pages)
for n in range(many): ctypes.string_at(start + n * step, 1)
"""
    assert rig.logs(rig.session(), code) == "killed: more than 100 MiB of memory"


@pytest.mark.slow
def test_counting_shared_memory_holds_nothing_else_up(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(memory_bytes=500 * MIB))
    session = rig.session()
    code = """
import os, time
hoard = bytearray(400 << 20)
for n in range(0, len(hoard), 4096): hoard[n] = 1
for _ in range(10):
    if os.fork() == 0:
        time.sleep(100)
time.sleep(0.5)
"""
    counted_in: set[str] = set()
    share = processes.share_bytes

    def counting(pids: Collection[int]) -> int:
        counted_in.add(threading.current_thread().name)
        return share(pids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "share_bytes", counting)
        rig.logs(session, code)

    assert counted_in
    assert threading.main_thread().name not in counted_in


def test_memory_is_watched_while_the_disk_is_looked_at(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code decides how much there is to look at, and so for how long."""
    rig = build_walled(limits=Limits(memory_bytes=100 * MIB))
    looked, waited = threading.Event(), []
    usage = DataDirectory._usage

    def slow(data: DataDirectory, holders: Collection[int] = ()) -> Usage:
        if holders:
            waited.append(looked.wait(5))
        return usage(data, holders)

    monkeypatch.setattr(DataDirectory, "_usage", slow)
    code = """
import os, time
os.fork()
hoard = b'x' * (60 << 20)
time.sleep(1000)
"""
    text = rig.logs(rig.session(), code)
    waited_for = list(waited)
    looked.set()

    assert text == "killed: more than 100 MiB of memory"
    assert waited_for == []


def test_more_mappings_than_can_be_looked_through_are_stopped(build_any: Build) -> None:
    rig = build_any(limits=Limits(mappings=1000, wall_s=10))
    session = rig.session()
    code = """
import mmap, os
with open('mapped', 'wb') as file: file.truncate(2 * mmap.PAGESIZE)
file, held = os.open('mapped', os.O_RDONLY), []
def hold(many):
    for n in range(many):
        start = n % 2 * mmap.PAGESIZE
        held.append(mmap.mmap(file, mmap.PAGESIZE, access=mmap.ACCESS_READ, offset=start))
hold(100)
"""
    assert rig.logs(session, code) == ""
    text = rig.logs(session, "import time\nfor _ in range(4): os.fork()\ntime.sleep(1000)")

    assert text == "killed: more than 1000 mappings of memory"


HOLD = """
import os
held, block = [], b'x' * (1 << 20)
def hold(n):
    with open(f'part{n}', 'w+b') as file:
        os.unlink(f'part{n}')
        for _ in range(2): file.write(block)
        file.flush()
        held.append(keep(file))
"""


@pytest.mark.parametrize(
    "keep", ["os.dup(file.fileno())", "mmap.mmap(file.fileno(), 0)"], ids=["opened", "mapped"]
)
def test_removed_files_that_are_held_count_as_disk(build_any: Build, keep: str) -> None:
    rig = build_any(limits=Limits(disk_bytes=4 * MIB))
    session = rig.session()
    rig.run(session, f"import mmap\n{HOLD}\ndef keep(file): return {keep}")

    assert rig.logs(session, "for n in range(2): hold(n)") == ""
    assert rig.logs(session, "len(held)") == "2"
    text = rig.logs(session, "hold(2)")

    assert text == "stopped: more than 4 MiB in /mnt/data; the newest files were removed"
    assert rig.logs(session, "'held' in dir()").endswith("False")


# Copies itself into memory of no file, goes on there, unmaps the file it came from and sleeps.
_UNMAPS_ITSELF = """
7f454c46020101000000000000000000 02003e00010000007800400000000000 40000000000000000000000000000000
00000000400038000100000000000000 01000000050000000000000000000000 00004000000000000000400000000000
00020000000000000002000000000000 0010000000000000
b809000000 31ff be00100000 ba07000000 41ba22000000 4d31c0 49ffc8 4531c9 0f05 4889c3 488d3500000000
4889df b980000000 f3a4 4883c310 ffe3 b80b000000 bf00004000 be00100000 0f05 b822000000 0f05 ebf7
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a program for that machine")
def test_a_removed_file_that_is_only_run_counts_as_disk(build_any: Build) -> None:
    rig = build_any(limits=Limits(disk_bytes=4 * MIB, wall_s=10))
    code = f"""
import os, subprocess, time
running = []
for n in range(3):
    with open(f'part{{n}}', 'wb') as file:
        file.write(bytes.fromhex({_UNMAPS_ITSELF!r}))
        file.truncate(2 << 20)
    os.chmod(f'part{{n}}', 0o755)
    running.append(subprocess.Popen([f'./part{{n}}']))
    while 'part' in open(f'/proc/{{running[-1].pid}}/maps').read(): time.sleep(0.01)
    os.unlink(f'part{{n}}')
time.sleep(1000)
"""
    text = rig.logs(rig.session(), code)

    assert text == "stopped: more than 4 MiB in /mnt/data; the newest files were removed"


SHUT = "import ctypes, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"


def test_what_shuts_itself_to_the_server_is_ended(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = (rig := build_walled(limits=Limits(wall_s=5))).session()
    rig.run(session, "x = 1")
    if os.geteuid() == 0:
        # Nothing is shut to root.
        monkeypatch.setattr(processes, "is_shut", lambda _: True)

    text = rig.logs(session, f"{SHUT}time.sleep(1000)")

    assert text == "killed: what a process holds was hidden"
    assert rig.logs(session, "'x' in dir()").endswith("False")


def test_where_the_server_may_look_into_no_process_code_runs_all_the_same(
    build_walled: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "is_shut", lambda _: True)
    rig = build_walled()

    assert rig.logs(rig.session(), "6 * 7") == "42"


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_empty_files_in_the_scratch_space_have_a_number(build_walled: Build, place: str) -> None:
    rig = build_walled(limits=Limits(scratch_entries=100))
    session = rig.session()
    code = f"import os\nfor n in range(90): open(f'{place}/{{n}}', 'w').close()"

    assert rig.logs(session, code) == ""
    text = rig.logs(session, f"for n in range(90, 110): os.mkdir(f'{place}/{{n}}')")

    assert text == "stopped: more than 100 files in /tmp and /dev/shm"
    assert rig.logs(session, f"import os\nlen(os.listdir('{place}')) < 10").endswith("True")
