"""The bare query of a list, in a process that does nothing else.

    python -m benchmarks.query FILE RUN

For every number that it reads it asks so many times, and tells the microseconds that one took.
One process in ten asks half as dearly again for as long as it lives: were it the one that takes
the other figures, a whole run would tell of its luck. So every cast has a fresh one.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import MEASURED
from benchmarks.rounds import Take

_PAGE = "SELECT seq, id, document FROM steps WHERE project_id = ? AND run_id = ?"
_THE_QUERY = (
    "SELECT group_concat(id), group_concat(document), min(seq)"
    f" FROM ({_PAGE} ORDER BY seq DESC LIMIT 20)"
)


@contextmanager
def asking(file: Path, run_id: str, *, count: int) -> Iterator[Take]:
    """A measure of what the query costs in µs."""
    words = (sys.executable, "-m", "benchmarks.query", str(file), run_id)
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None
        os.sched_setaffinity(process.pid, MEASURED)

        async def take() -> float:
            print(count, file=asked, flush=True)
            return float(told.readline())

        yield take


def _main(file: str, run_id: str) -> None:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    values = ("proj_default", run_id)
    for line in sys.stdin:
        count = int(line)
        before = time.thread_time_ns()
        for _ in range(count):
            connection.execute(_THE_QUERY, values).fetchall()
        print((time.thread_time_ns() - before) / count / 1_000, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
