"""The processes of one session as the server sees them: who they are, what they hold, their end.

Found by descent from a process of ours, which is the first of a namespace or has made itself the
heir of orphans. A signal goes through a pidfd, to a process seen to descend from ours both before
and after the pidfd was opened: a number that was used again in between is never hit.
"""

import mmap
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What a process that has gone, or is going, answers to a reader of /proc.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(*_GONE):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 -- read 20 times a second
            with suppress(*_GONE):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def descendants(pid: int) -> set[int]:
    """All that live below `pid`, without `pid`; the dead that nobody has buried do not count."""
    found: set[int] = set()
    unseen = children(pid)
    while unseen:
        child = unseen.pop()
        if child not in found:
            found.add(child)
            unseen += children(child)
    return {child for child in found if _state(child) not in "ZX"}


def stopped(pid: int) -> bool:
    """Whether every thread of the process stands still."""
    with suppress(*_GONE):
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        return all(_state_of(f"/proc/{pid}/task/{thread}/stat") in "TtZX" for thread in threads)
    return True


def kill_below(pid: int, *, but: int | None = None) -> bool:
    """Kill what lives below `pid`, except `but`; whether there was nothing to kill."""
    # Looked at twice: the kernel leaves out some of the living while others are being buried.
    seen = (descendants(pid) | descendants(pid)) - {but}
    if not seen:
        return True
    with _pidfds(seen) as handles:
        for child in descendants(pid) & handles.keys():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handles[child], signal.SIGKILL)
    return False


class _pidfds:  # noqa: N801 -- used as a function
    def __init__(self, pids: set[int]) -> None:
        self._handles: dict[int, int] = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                self._handles[pid] = os.pidfd_open(pid)

    def __enter__(self) -> dict[int, int]:
        return self._handles

    def __exit__(self, *_: object) -> None:
        for handle in self._handles.values():
            os.close(handle)


def memory_bytes(pids: set[int], *, limit: int) -> int:
    """What the processes hold together.

    First by what each has resident, which is cheap and counts shared pages once for each process;
    only where that is over the limit, by each one's share of its pages.
    """
    held = sum(map(_resident, pids))
    return held if held <= limit else sum(map(_share, pids))


def _resident(pid: int) -> int:
    with suppress(*_GONE):
        return int(_read(f"/proc/{pid}/statm").split()[1]) * mmap.PAGESIZE
    return 0


def _share(pid: int) -> int:
    with suppress(*_GONE):
        for line in _lines(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return _resident(pid)


def _state(pid: int) -> str:
    with suppress(*_GONE):
        return _state_of(f"/proc/{pid}/stat")
    return "X"


def _state_of(stat: str) -> str:
    # The name stands in parentheses and may hold any character, parentheses as well.
    return _read(stat).rpartition(")")[2].split()[0]


def _lines(path: str) -> Iterator[str]:
    yield from _read(path).splitlines()


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")
