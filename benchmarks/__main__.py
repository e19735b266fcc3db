"""Measures the hot paths, each against what limits it, and writes RESULTS.md beside this file.

    python -m benchmarks [--only lists,runs] [--casts 2] [--full] [--noisy]

`--full` goes on to ten million rows and writes RESULTS-FULL.md. `--noisy` shows on a busy machine
what would be refused, and writes nothing.
"""

import argparse
import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import databases, lists, polling, runs, standing, streams
from benchmarks.figures import Chapter, as_markdown
from benchmarks.machine import describe, leave_room
from benchmarks.options import FULL, Options
from msgspec.structs import replace

_HERE = Path(__file__).parent
_PARTS = {
    "lists": lists.chapters,
    "runs": runs.chapters,
    "streams": streams.chapters,
    "standing": standing.chapters,
    "databases": databases.chapters,
    "polling": polling.chapters,
}
_HEAD = """# What the hot paths cost

Written by `make bench`. Every ratio is taken in one run, by turns, as the median of several casts
of processes with its least and most; how, and what limits each figure, is told in
[performance](../docs/explanation/performance.md). A figure that could not be taken cleanly is not
told. Search and ingestion have trials of their own: `benchmarks/search.py`,
`benchmarks/ingestion.py`, `benchmarks/retrieval/`.
"""


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("--only", default=",".join(_PARTS))
    asked.add_argument("--full", action="store_true")
    asked.add_argument("--noisy", action="store_true")
    asked.add_argument("--casts", type=int, help="fewer for a look")
    options = asked.parse_args()
    # Else the servers of a trial that is told to stop would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    leave_room()
    begun = time.monotonic()
    chapters: list[Chapter] = []
    for name in options.only.split(","):
        print(f"measuring {name} …", flush=True)
        chapters += asyncio.run(_PARTS[name](_chosen(options)))
    told = "\n".join([_head(), *(as_markdown(one, noisy=options.noisy) for one in chapters)])
    print(told)
    print(f"took {time.monotonic() - begun:.0f} s")
    if not options.noisy and options.only == ",".join(_PARTS):
        results = _HERE / ("RESULTS-FULL.md" if options.full else "RESULTS.md")
        results.write_text(f"{told.rstrip()}\n", "utf-8")


def _chosen(options: argparse.Namespace) -> Options:
    chosen = FULL if options.full else Options()
    if options.casts is None:
        return chosen
    return replace(chosen, casts=options.casts, poll_rounds=options.casts)


def _head() -> str:
    machine = [*describe(), ("Date", datetime.now(UTC).strftime("%d %B %Y"))]
    lines = [f"| {name} | {told} |" for name, told in machine]
    return "\n".join([_HEAD, "| | |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    main()
