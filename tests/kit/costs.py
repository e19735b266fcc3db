"""What an operation costs, in counts that no clock and no busy machine can blur.

    python -m tests.kit.costs

writes the table anew: after a change that is meant to cost what it costs. Statements are exact on
every Python; calls of functions are those of one minor version, which the table names.
"""

import asyncio
import json
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from tests.kit.inside import Inside, inside

from locum.store.sqlite import SqliteDatabase

TABLE = Path(__file__).parent.parent / "costs.toml"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_TRIES = 5
_SHORT, _LONG = 50, 150
_PAGE = 20

Work = Callable[[], Awaitable[object]]


class Costs(Struct, frozen=True):
    statements: dict[str, int]
    calls: dict[str, int]


def expected() -> tuple[str, Costs]:
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return table["python"], Costs(table["statements"], table["calls"])


async def measure() -> Costs:
    async with _stocked() as (house, paths):
        statements = {name: await statements_of(house, work) for name, work in paths.items()}
        calls = {name: await calls_of(paths[name]) for name in ("list 20 steps", "retrieve run")}
        short, long = [await calls_of(_streamed(house, words)) for words in (_SHORT, _LONG)]
        calls["one streamed delta"] = (long - short) // (_LONG - _SHORT)
    return Costs(statements, calls)


@asynccontextmanager
async def _stocked() -> AsyncIterator[tuple[Inside, dict[str, Work]]]:
    """A house with a run of twenty-odd steps, and what is asked of it."""
    async with inside() as house:
        made = await house.json("POST", "/v1/assistants", {"model": "scripted"})
        thread = await house.json("POST", "/v1/threads", {"messages": [_said("hello")]})
        runs = f"/v1/threads/{thread.json['id']}/runs"
        answer = await house.json("POST", runs, {"assistant_id": made.json["id"], "stream": True})
        assert answer.body.endswith(b"[DONE]\n\n")
        listed = await house.json("GET", runs)
        run = f"{runs}/{listed.json['data'][0]['id']}"
        (step,) = (await house.json("GET", f"{run}/steps")).json["data"]
        await _copy(house, step, _PAGE + 5)
        newest = "step_" + f"{_PAGE + 5:024}"
        free = await house.json("POST", "/v1/threads", {})
        messages = f"/v1/threads/{free.json['id']}/messages"
        yield (
            house,
            {
                "list 20 steps": lambda: _fine(house, "GET", f"{run}/steps"),
                "list 20 steps after a cursor": lambda: _fine(
                    house, "GET", f"{run}/steps?after={newest}"
                ),
                "retrieve run": lambda: _fine(house, "GET", run),
                "retrieve step": lambda: _fine(house, "GET", f"{run}/steps/{step['id']}"),
                "list messages": lambda: _fine(house, "GET", messages),
                "create message": lambda: _fine(house, "POST", messages, _said("hello")),
                "assistant, thread and run, streamed to its end": _streamed(house, 1),
            },
        )


async def _copy(house: Inside, step: Any, count: int) -> None:
    async with house.house.store.transaction() as tx:
        for number in range(1, count + 1):
            copy = step | {"id": f"step_{number:024}"}
            await tx.execute(
                "INSERT INTO steps (project_id, thread_id, run_id, id, document)"
                " VALUES ('proj_default', $1, $2, $3, $4)",
                step["thread_id"],
                step["run_id"],
                copy["id"],
                json.dumps(copy, separators=(",", ":")),
            )


async def _fine(house: Inside, method: str, path: str, body: Any = None) -> None:
    answer = await house.json(method, path, body)
    assert answer.status == 200, answer.body


def _streamed(house: Inside, words: int) -> Work:
    """One answer of so many words, from the request to the end of its stream."""

    async def work() -> None:
        assistant = await house.json("POST", "/v1/assistants", {"model": "scripted"})
        text = " ".join(["word"] * words)
        body = {
            "assistant_id": assistant.json["id"],
            "thread": {"messages": [_said(text)]},
            "stream": True,
        }
        answer = await house.json("POST", "/v1/threads/runs", body)
        assert answer.body.endswith(b"[DONE]\n\n")

    return work


def _said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def statements_of(house: Inside, work: Work) -> int:
    """What SQLite is told. Reaches inside: nothing else sees every statement."""
    database = house.house.store.db
    assert isinstance(database, SqliteDatabase)
    counts = []
    for _ in range(_TRIES):
        told: list[str] = []
        for connection in (database._reader, database._writer):
            connection.set_trace_callback(told.append)
        await work()
        for connection in (database._reader, database._writer):
            connection.set_trace_callback(None)
        counts.append(len(told))
    return min(counts)  # The watch of the house may have looked around meanwhile.


async def calls_of(work: Work) -> int:
    """Calls of functions, of Python's and of C's, in this thread; the least of some tries."""
    counts = []
    for _ in range(_TRIES):
        count = 0

        def note(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            await work()
        finally:
            sys.setprofile(before)
        counts.append(count)
    return min(counts)


def _write(costs: Costs) -> None:
    lines = [
        "# What operations cost: statements of SQLite, exact, and calls of functions, to a tenth.",
        "# A change that is meant to cost more, or less, renews it: python -m tests.kit.costs",
        f'python = "{MINOR}"',
    ]
    for name in ("statements", "calls"):
        lines += ["", f"[{name}]"]
        lines += [f'"{key}" = {count}' for key, count in getattr(costs, name).items()]
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    _write(asyncio.run(measure()))
