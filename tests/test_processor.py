"""Short turns on a processor: what Linux is told of whom."""

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from locum import processor
from locum.processor import take_short_turns

_GET_ATTRIBUTES = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
_TURN_NS = 100_000
# An older Linux takes the wish and keeps turns as they were.
_KNOWS_TURNS = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


_Given = TypeVar("_Given")


def _turn_ns(thread: int) -> int:
    size = ctypes.sizeof(processor._Attributes)
    found = processor._Attributes()
    call = ctypes.c_long(_GET_ATTRIBUTES[platform.machine()])
    assert ctypes.CDLL(None).syscall(call, thread, ctypes.byref(found), size, 0) == 0
    return int(found.runtime)


def _elsewhere(work: Callable[[], _Given]) -> _Given:
    """In a thread of its own: the thread of the tests stays as it is."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_a_thread_takes_short_turns_and_keeps_how_nice_it_is() -> None:
    def work() -> tuple[bool, int]:
        os.setpriority(os.PRIO_PROCESS, 0, 3)
        return take_short_turns() and take_short_turns(), os.getpriority(os.PRIO_PROCESS, 0)

    assert _elsewhere(work) == (True, 3)


def test_what_a_thread_starts_has_turns_like_everybody() -> None:
    def work() -> tuple[int, int, int, int]:
        usual = _turn_ns(0)
        take_short_turns()
        own = _turn_ns(0)
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        try:
            return usual, own, _elsewhere(lambda: _turn_ns(0)), _turn_ns(program.pid)
        finally:
            program.communicate()

    usual, own, thread, program = _elsewhere(work)
    assert own == (_TURN_NS if _KNOWS_TURNS else usual)
    assert (thread, program) == (usual, usual)


def test_who_was_started_to_stand_back_stands_back() -> None:
    def work() -> tuple[bool, int]:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return take_short_turns(), os.sched_getscheduler(0)

    assert _elsewhere(work) == (False, os.SCHED_BATCH)


def test_a_machine_that_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    assert not take_short_turns()


@pytest.mark.slow
def test_a_server_takes_short_turns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locum", "serve", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            assert b"http" in server.stdout.readline()
            assert _turn_ns(server.pid) == (_TURN_NS if _KNOWS_TURNS else _turn_ns(0))
        finally:
            server.kill()
