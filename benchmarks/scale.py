"""What it costs to share runs between processes: runs a second, cost a run, first words from afar.

    python -m benchmarks.scale [--runs 400] [--rounds 5]

Over a PostgreSQL of its own without fsync, with the scripted model, whose answers take no time. The
queue is filled while no worker lives; then one drains it, or two. Ratios within one run count;
figures of a shared machine do not.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.kit.databases import postgres_server
from tests.kit.fleet import Member, fleet
from tests.kit.inside import Inside, inside

from locum.service import assistants, runs
from locum.service.scope import Scope
from locum.store.connections import Connection
from locum.store.tables import Store
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage
from locum.wire.runs import CreateRunQuery, CreateThreadAndRun
from locum.wire.threads import CreateThread

_HEADERS = {"Authorization": "Bearer sk-any", "Content-Type": "application/json"}
_TEXT = "!say One two three four five six seven eight nine ten."
_LOOK_EVERY_S = 0.02


def _cpu_s(member: Member) -> float:
    """Seconds that a process and its threads have had of a core."""
    tasks = Path(f"/proc/{member.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


# ------------------------------------------------------------------------- draining


def _drained(count: int, workers: int) -> tuple[float, float]:
    """Runs a second, and CPU milliseconds of the workers for each."""
    with fleet(webs=1, workers=0) as ships:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: ships.begin(_TEXT), range(count)))
        members = ships.start("worker", count=workers)
        before = sum(_cpu_s(member) for member in members)
        begun, took_s = ships.in_store(_until_none_is_left)
        spent_s = sum(_cpu_s(member) for member in members) - before
        ships.check()
        return begun / took_s, spent_s / begun * 1000


async def _until_none_is_left(store: Store) -> tuple[int, float]:
    """How many runs there were to drive, and how long it took until there was none."""
    query = "SELECT count(*) FROM runs WHERE status IN ('queued', 'in_progress')"
    begun_at, left = time.monotonic(), (await store.db.fetch(query))[0][0]
    begun = left
    while left:
        await asyncio.sleep(_LOOK_EVERY_S)
        left = (await store.db.fetch(query))[0][0]
    return begun, time.monotonic() - begun_at


# ---------------------------------------------------------------------- first words


def _first_delta_s(member: Member, assistant_id: str) -> float:
    """From the request to the first delta of its stream."""
    said = {"messages": [{"role": "user", "content": _TEXT}]}
    asked = {"assistant_id": assistant_id, "stream": True, "thread": said}
    host = member.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        begun = time.monotonic()
        connection.request("POST", "/v1/threads/runs", json.dumps(asked), _HEADERS)
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"event: thread.message.delta"):
                took_s = time.monotonic() - begun
                answer.read()
                return took_s
    raise AssertionError("no delta came")


def _first_words(rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"here": [], "elsewhere": []}
    with fleet(webs=1, workers=1) as ships:
        [both] = ships.start("both")
        web = ships.webs[0]
        # The one that does both would take what the other leaves to a worker.
        made = both.sdk().beta.assistants.create(model="scripted")
        for _ in range(20 * rounds):
            took["here"].append(_first_delta_s(both, made.id))
            both.freeze()
            took["elsewhere"].append(_first_delta_s(web, made.id))
            both.thaw()
    return took


# --------------------------------------------------------------------- cost of a run


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """How often each statement is sent, by how it begins."""
    counted: dict[str, int] = {}
    originals = {name: getattr(Connection, name) for name in ("fetch", "execute", "execute_many")}
    originals["run"] = Connection.run

    def counting(original: Any) -> Any:
        async def call(self: Connection, sql: str, *values: Any, **options: Any) -> Any:
            kind = " ".join(sql.split()[:3])
            counted[kind] = counted.get(kind, 0) + 1
            return await original(self, sql, *values, **options)

        return call

    try:
        for name, original in originals.items():
            setattr(Connection, name, counting(original))
        yield counted
    finally:
        for name, original in originals.items():
            setattr(Connection, name, original)


async def _cost(count: int) -> dict[str, float]:
    server = postgres_server()
    name = await server.migrated_database()
    async with inside(database_url=server.url(name)) as door:
        scope = Scope(door.house, "proj_bench")
        made = await assistants.create_assistant(scope, body=CreateAssistant(model="scripted"))
        await _run(door, scope, made.id)  # Statements are prepared with it.
        wal = await _wal(door)
        with _counted() as counted:
            cpu, begun = time.process_time(), time.monotonic()
            for _ in range(count):
                await _run(door, scope, made.id)
            spent_s, took_s = time.process_time() - cpu, time.monotonic() - begun
        statements = sum(counted.values())
        for kind, times in sorted(counted.items(), key=lambda item: -item[1])[:20]:
            print(f"    {times / count:6.2f}  {kind}")
        grown = await _wal(door) - wal
    await server.take_back(name, reuse=True)
    return {
        "CPU ms": spent_s / count * 1000,
        "ms from the request to the end": took_s / count * 1000,
        "statements": statements / count,
        "bytes of WAL": grown / count,
    }


async def _wal(door: Inside) -> int:
    rows = await door.house.store.db.fetch("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    return int(rows[0][0])


async def _run(door: Inside, scope: Scope, assistant_id: str) -> None:
    said = CreateThread(messages=(CreateMessage(role="user", content=_TEXT),))
    created = await runs.create_thread_and_run(
        scope,
        body=CreateThreadAndRun(assistant_id=assistant_id, thread=said),
        query=CreateRunQuery(),
    )
    assert not isinstance(created, runs.RunStream)
    run = created.read()
    async for _ in door.house.engine.follow((scope.project_id, run.thread_id, run.id)):
        pass


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=400)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()

    print("one run, alone in its process:")
    for what, figure in asyncio.run(_cost(given.runs)).items():
        print(f"  {what:32} {figure:10.1f}")

    took = _first_words(given.rounds)
    medians = {where: statistics.median(times) * 1000 for where, times in took.items()}
    print("ms from the request to the first delta, p50:")
    print(f"  driven by the server asked       {medians['here']:10.1f}")
    print(f"  driven by another process        {medians['elsewhere']:10.1f}")
    print(f"  added                            {medians['elsewhere'] - medians['here']:10.1f}")
    print(f"  ratio                            {medians['elsewhere'] / medians['here']:10.2f}")

    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(given.rounds):
        for workers in (1, 2) if number % 2 else (2, 1):
            rate, cpu_ms = _drained(given.runs, workers)
            rates[workers].append(rate)
            print(
                f"  {workers} worker(s): {rate:7.0f} runs/s, {cpu_ms:5.1f} CPU ms a run", flush=True
            )
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    print(f"two workers give {two / one:.2f} times the runs/s of one")


if __name__ == "__main__":
    main()
