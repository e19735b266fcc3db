"""Code that takes more than its share, behind the walls. The server and the next call go on."""

import os
from pathlib import Path

import pytest
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig, our_processes

from locum.tools.code_interpreter.limits import Limits

pytestmark = pytest.mark.slow

MIB = 1 << 20


def test_a_fork_bomb_is_stopped_and_leaves_nothing(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(processes=20, wall_s=0.5, grace_s=0.1))
    session = rig.session()
    rig.run(session, "import os")
    before = our_processes()

    text = rig.logs(session, "while True:\n  try: os.fork()\n  except OSError: pass")

    assert text.endswith(("timed out after 0.5 s", "killed: more than 20 processes"))
    assert our_processes() <= before
    assert rig.logs(session, "1 + 1").endswith("2")


def test_processes_beyond_the_limit_are_refused(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(processes=10))
    code = """
import subprocess
started = []
try:
    for _ in range(100): started.append(subprocess.Popen(['sleep', '100']))
except OSError as error:
    print(type(error).__name__)
len(started) < 10
"""
    session = rig.session()

    assert rig.logs(session, code) == "BlockingIOError\nTrue"


def test_threads_count_as_processes(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(processes=10))
    code = """
import threading, time
for n in range(100):
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
"""
    assert "can't start new thread" in rig.logs(rig.session(), code)


def test_memory_of_all_processes_together_is_limited(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(memory_bytes=200 * MIB))
    session = rig.session()
    before = our_processes()
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        hoard = b'x' * (100 << 20)
        time.sleep(100)
time.sleep(100)
"""
    text = rig.logs(session, code)

    assert text == "killed: more than 200 MiB of memory"
    assert our_processes() <= before
    text = rig.logs(session, "1 + 1")
    assert text.startswith("The interpreter was started again")
    assert text.endswith("2")


def test_memory_shared_between_processes_counts_once(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(memory_bytes=200 * MIB))
    code = """
import os, time
hoard = b'x' * (100 << 20)
children = []
for _ in range(4):
    if (child := os.fork()) == 0:
        time.sleep(0.3)
        os._exit(0)
    children.append(child)
[os.waitpid(child, 0)[1] for child in children]
"""
    assert rig.logs(rig.session(), code) == "[0, 0, 0, 0]"


def test_memory_that_is_mapped_as_shared_is_in_a_file_of_limited_size(build_walled: Build) -> None:
    rig = build_walled()
    code = """
import mmap
try: mmap.mmap(-1, 1 << 20)
except PermissionError: print('refused')
with open('/dev/shm/hoard', 'w+b') as file:
    block, n = b'x' * (1 << 20), 0
    try:
        while file.write(block): n += 1
    except OSError as error: print(error.strerror)
n <= 64
"""
    assert rig.logs(rig.session(), code) == "refused\nNo space left on device\nTrue"


def test_a_full_disk_stops_the_code_and_is_emptied_of_what_filled_it(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(disk_bytes=4 * MIB))
    session = rig.session()
    rig.run(session, "_ = open('earlier', 'w').write('kept')")
    code = """
block, n = b'x' * (1 << 20), 0
while True:
    n += 1
    with open(f'part{n}', 'wb') as file: file.write(block)
"""
    text = rig.logs(session, code)

    assert text == "stopped: more than 4 MiB in /mnt/data; the newest files were removed"
    left = rig.wait(session.files())
    assert "earlier" in left
    assert sum(file.size_bytes for file in left.values()) <= 4 * MIB


def test_a_disk_filled_faster_than_it_is_watched_is_found_afterwards(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(disk_bytes=4 * MIB))
    session = rig.session()
    code = "for n in range(6): _ = open(f'part{n}', 'wb').write(b'x' * (1 << 20))"

    assert "more than 4 MiB in /mnt/data" in rig.logs(session, f"{code}\nx = 5")
    assert len(rig.wait(session.files())) == 4
    assert rig.logs(session, "len(os.listdir('.')) if 'os' in dir() else 'fine'")


def test_holes_in_files_count_as_if_they_were_full(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(disk_bytes=4 * MIB))
    session = rig.session()
    code = "for n in range(3): open(f'hole{n}', 'wb').truncate(3 << 20)"

    assert "more than 4 MiB in /mnt/data" in rig.logs(session, code)
    assert len(rig.wait(session.files())) == 1


@pytest.mark.parametrize(
    "flood",
    [
        "n = 0\nwhile True:\n  n += 1\n  open(f'{n}', 'w').close()",
        "n = 0\nwhile True:\n  n += 1\n  os.mkdir(f'{n}')",
        "while True:\n  os.mkdir('deeper')\n  os.chdir('deeper')",
        "while True:\n  os.mkdir('shut'); os.chdir('shut'); os.mkdir('x'); os.chmod('.', 0o300)",
    ],
)
def test_too_many_files_or_too_deep_stop_the_code(build_walled: Build, flood: str) -> None:
    rig = build_walled(limits=Limits(disk_entries=500))
    session = rig.session("flooded")

    text = rig.logs(session, f"import os\n{flood}")

    assert text == "stopped: more than 500 files in /mnt/data, or too deep; it was emptied"
    assert rig.wait(session.files()) == {}
    rig.wait(rig.sandbox.forget("flooded"))
    assert not (rig.sandbox.settings.directory / "sessions" / "flooded").exists()


def test_a_flood_of_output_costs_the_server_little(build_walled: Build) -> None:
    rig = build_walled(limits=Limits(output_bytes=10_000, wall_s=0.5))
    before = os.times()

    text = rig.logs(rig.session(), "while True: print('x' * 10_000)")

    after = os.times()
    assert text.startswith("x" * 9_000)
    assert text.count("[output cut after 10000 bytes]") == 1
    assert text.endswith("timed out after 0.5 s")
    assert after.user + after.system - before.user - before.system < 0.3


def test_a_daemon_does_not_survive_its_call(build_walled: Build) -> None:
    rig = build_walled()
    session = rig.session()
    rig.run(session, "import os, signal, time")
    before = our_processes()
    code = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.Signals) - {9, 19}: signal.signal(number, signal.SIG_IGN)
        time.sleep(1000)
    os._exit(0)
_ = os.wait()
"""
    assert rig.logs(session, code) == ""
    assert our_processes() == before


def test_a_thread_left_running_stands_still_between_calls(build_walled: Build) -> None:
    rig = build_walled()
    session = rig.session()
    rig.run(session, "import threading, time\nturns = 0")
    code = """
def spin():
    global turns
    while True: turns += 1
threading.Thread(target=spin, daemon=True).start()
"""
    rig.run(session, code)
    runner = max(our_processes())
    before = _cpu_ticks(runner)

    for _ in range(20):
        rig.run(rig.session("other"), "sum(range(100_000))")

    assert _cpu_ticks(runner) == before
    assert rig.logs(session, "turns > 0") == "True"


def test_killing_everything_ends_the_session_only(walled: Rig) -> None:
    session, other = walled.session(), walled.session()
    walled.run(other, "x = 1")

    code = "import os\ntry: os.kill(-1, 9)\nexcept OSError: print('alone')\nos.kill(os.getpid(), 9)"

    assert walled.logs(session, code) == "alone\nThe interpreter died."
    assert walled.logs(other, "x") == "1"


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
