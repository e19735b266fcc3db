"""The processes of one session as the server sees them: who they are, what they hold, their end.

Found by descent from a process of ours, which is the first of a namespace or has made itself the
heir of orphans. A signal goes through a pidfd, to a process seen to descend from ours both before
and after the pidfd was opened: a number that was used again in between is never hit.
"""

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

# What a process that has gone, or is going, answers to a reader of /proc.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in threads(pid):
        with suppress(*_GONE):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def threads(pid: int) -> list[int]:
    with suppress(*_GONE):
        return list(map(int, os.listdir(f"/proc/{pid}/task")))  # noqa: PTH208 -- 20 times a second
    return []


def descendants(pid: int) -> set[int]:
    """All that live below `pid`, without `pid`; the dead that nobody has buried do not count."""
    return {child for child in _below(pid) if _lives(child)}


def stopped(pid: int) -> bool:
    """Whether every thread of the process stands still."""
    return all(_state(pid, thread) in "TtZX" for thread in threads(pid))


def kill_below(pid: int, *, but: int | None = None) -> bool:
    """Kill what lives below `pid`, except `but`; whether there was nothing to kill.

    Who forks and ends, and whose child does the same, may be gone whenever it is looked at, and its
    child not yet there. So nothing lives only where all that is seen was seen dead before.
    """
    seen = _below(pid) - {but}
    dead = {child for child in seen if _state(child) == "Z" and not _lives(child)}
    seen |= _below(pid) - {but}
    if seen == dead:
        return True
    with _pidfds(seen - dead) as handles:
        for child in _below(pid) & handles.keys():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handles[child], signal.SIGKILL)
    return False


def _below(pid: int) -> set[int]:
    """The living and the dead."""
    found: set[int] = set()
    unseen = children(pid)
    while unseen:
        child = unseen.pop()
        if child not in found:
            found.add(child)
            unseen += children(child)
    return found


def _lives(pid: int) -> bool:
    # What is told of a process is told of its first thread, which may end before the others.
    return _state(pid) not in "ZX" or any(
        _state(pid, thread) not in "ZX" for thread in threads(pid)
    )


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


def is_shut(pid: int) -> bool:
    """Whether the server may not see what the process holds."""
    return any(_is_shut(f"/proc/{pid}/task/{thread}") for thread in threads(pid))


def _is_shut(thread: str) -> bool:
    try:
        os.scandir(f"{thread}/fd").close()
    except PermissionError:
        # So are those that have ended or are about to; they have no memory any more.
        with suppress(*_GONE):
            return "VmRSS:" in _read(f"{thread}/status")
    except OSError:
        return False
    return False


def first_to_go(pid: int) -> None:
    """When memory runs out everywhere, the kernel is to take this process, not the server."""
    # In a container /proc may be closed to the server as well: then it is left to the kernel.
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")


def resident_bytes(pids: Collection[int]) -> int:
    """What the processes hold together. Cheap; shared pages count once for each process."""
    return sum(map(_resident, pids))


def share_bytes(pids: Collection[int]) -> int:
    """The same by each one's share of its pages. The kernel looks at every page: it takes time."""
    return sum(map(_share, pids))


def _resident(pid: int) -> int:
    # Code can have its own memory swapped out.
    return sum(_told(pid, "VmRSS:", "VmPTE:", "VmSwap:"))


def _share(pid: int) -> int:
    with suppress(*_GONE):
        lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
        if shares := [line for line in lines if line.startswith(("Pss:", "SwapPss:"))]:
            return sum(int(line.split()[1]) << 10 for line in shares) + sum(_told(pid, "VmPTE:"))
    return _resident(pid)


def _told(pid: int, *names: str) -> list[int]:
    """Bytes as the kernel tells them. The tables of pages count too: they can hold gigabytes."""
    # Of a thread that has ended there is nothing to tell, though its process may hold all it held.
    for thread in (pid, *threads(pid)):
        with suppress(*_GONE):
            lines = _read(f"/proc/{pid}/task/{thread}/status").splitlines()
            if found := [int(line.split()[1]) << 10 for line in lines if line.startswith(names)]:
                return found
    return []


def _state(pid: int, thread: int | None = None) -> str:
    with suppress(*_GONE):
        # The name stands in parentheses and may hold any character, parentheses as well.
        stat = _read(f"/proc/{pid}/task/{thread or pid}/stat")
        return stat.rpartition(")")[2].split()[0]
    return "X"


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")
