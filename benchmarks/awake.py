"""Keeps processors awake, where a time of day is measured.

    python -m benchmarks.awake PROCESSOR

A virtual processor that has gone to sleep is woken by its host, who may take milliseconds for it:
one that slept and woke four hundred times a second, and wrote, lost an eighth of its time. What
spins here gives way at once to whoever else wants to run.

Where something is written it is only the processor of who is measured: a host that gives a
machine two processors has none left for its disk when both spin, and to sync a page took 5.6 ms
then in place of 0.3.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.machine import MEASURED
from benchmarks.options import Options
from benchmarks.rounds import Cast, Taken, by_turns


@contextmanager
def awake(processors: set[int] = MEASURED) -> Iterator[None]:
    words = (sys.executable, "-m", "benchmarks.awake")
    spinning = [subprocess.Popen([*words, str(processor)]) for processor in processors]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


async def by_the_clock(cast: Cast, options: Options, *, processors: set[int] = MEASURED) -> Taken:
    """Rounds of wall-clock time."""
    with awake(processors):
        return await by_turns(cast, casts=options.casts, rounds=options.long_rounds)


def _spin(processor: int) -> None:
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        os.sched_yield()


if __name__ == "__main__":
    _spin(int(sys.argv[1]))
