"""The processes of a session as the server sees them: what it kills, and when it is done."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from locum.tools.code_interpreter import processes


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a child."""
    command = ["sh", "-c", "sleep 100 & echo begun; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_child_that_one_look_has_left_out_is_killed_all_the_same(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel leaves out some of the living while others are being buried."""
    looked: list[int] = []
    look = processes.children

    def leaves_out(pid: int) -> list[int]:
        looked.append(pid)
        return [] if len(looked) == 1 else look(pid)

    monkeypatch.setattr(processes, "children", leaves_out)
    assert not processes.kill_below(parent.pid), "it was taken for alone"
    parent.wait(10)
    assert processes.kill_below(parent.pid)


def test_a_process_is_shut_where_one_of_its_threads_is(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not processes.is_shut(parent.pid)
    monkeypatch.setattr(processes, "threads", lambda _: [parent.pid, 0])
    assert not processes.is_shut(parent.pid), "a thread that has ended is not shut"

    def refuses(path: str) -> Iterator[os.DirEntry[str]]:
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", refuses)
    assert processes.is_shut(parent.pid)
    monkeypatch.setattr(processes, "_read", lambda _: "State: Z (zombie)\n")
    assert not processes.is_shut(parent.pid), "what has ended is not shut"


def test_memory_that_was_swapped_out_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "/proc/7/task/7/status": "VmRSS:\t 100 kB\nVmPTE:\t 10 kB\nVmSwap:\t 5000 kB\n",
        "/proc/7/smaps_rollup": "Rss: 100 kB\nPss: 50 kB\nPss_Anon: 9 kB\nSwapPss: 2000 kB\n",
    }
    monkeypatch.setattr(processes, "_read", told.__getitem__)

    assert processes.resident_bytes([7]) == 5110 << 10
    assert processes.share_bytes([7]) == 2060 << 10
