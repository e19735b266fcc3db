"""What a tree of processes costs, what else the machine does meanwhile, and which machine it is."""

import os
import platform
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # idle and iowait, among the times of a processor
_MIB = 1024
# As Linux numbers the clocks of processes, exact to the nanosecond.
_OF_PROCESS = 2
_LAST = 15
_PAGE_BYTES = 4096
_LOOK_EVERY_S = 0.1
# Who is measured has a processor to itself, where there are two; its clients have the others.
ALL = os.sched_getaffinity(0)
MEASURED = {max(ALL)}
_OTHERS = ALL - MEASURED or ALL


def leave_room() -> None:
    """Keep to the processors that are not for who is measured, with all that is started here."""
    os.sched_setaffinity(0, _OTHERS)


def stand_back(pid: int) -> None:
    """Have a process let all others go first, for as long as it lives."""
    for thread in _entries(_PROC / str(pid) / "task"):
        os.setpriority(os.PRIO_PROCESS, int(thread.name), _LAST)


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for known in found:
        for task in _entries(_PROC / str(known) / "task"):
            found += map(int, _text(task / "children").split())
    return found


def cpu_ns(*pids: int) -> int:
    """The time that the trees of these processes have spent on a processor so far."""
    return sum(_spent_ns(member) for pid in pids for member in tree(pid))


def memory_mib(pid: int) -> float:
    """What the tree alone occupies: shared pages count by their share."""
    kib = 0
    for member in tree(pid):
        for line in _text(_PROC / str(member) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / _MIB


class Elsewhere:
    """How many processors others kept busy while a block ran. All that we start is our child."""

    def __init__(self) -> None:
        self.cores = 0.0

    def __enter__(self) -> Self:
        self._begun = time.perf_counter_ns(), _busy_ns(), cpu_ns(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        wall, busy, ours = self._begun
        elapsed = max(time.perf_counter_ns() - wall, 1)
        self.cores = (_busy_ns() - busy - (cpu_ns(os.getpid()) - ours)) / elapsed


class Disk:
    """How long the disk takes by itself to keep a page while a block runs, or several.

    Some machines have disks that are now and then many times slower for some seconds or minutes,
    whoever writes; what is told of that time tells of the disk. So it is told what one page in
    ten exceeds: the slowest hundredth of requests would be those of a tenth that was slow.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "disk"
        self._took: list[float] = []

    @property
    def page_ms(self) -> float:
        return statistics.quantiles(self._took, n=10)[-1] * 1_000

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT)
        page = os.urandom(_PAGE_BYTES)
        try:
            while not self._over.wait(_LOOK_EVERY_S):
                begun = time.perf_counter()
                os.pwrite(file, page, 0)
                os.fdatasync(file)
                self._took.append(time.perf_counter() - begun)
        finally:
            os.close(file)


def describe() -> list[tuple[str, str]]:
    """The machine and the versions, without any name of the machine."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _text(_PROC / "cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown",
    )
    names = ("uvicorn", "httptools", "granian", "starlette", "msgspec", "aiohttp", "asyncpg")
    return [
        ("Processor", f"{model}, {os.cpu_count()} cores"),
        ("System", f"{platform.system()} {platform.release().split('-')[0]}"),
        ("Python", platform.python_version()),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in names)),
    ]


def _busy_ns() -> int:
    ticks = [int(number) for number in _text(_PROC / "stat").split("\n", 1)[0].split()[1:9]]
    return sum(count for place, count in enumerate(ticks) if place not in _IDLE) * _TICK_NS


def _spent_ns(pid: int) -> int:
    """Of one process with all its threads, those that have ended, too."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _OF_PROCESS)
    except OSError:
        return 0  # It has ended since.


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # The process has ended since.


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
