"""Runs: one at a time holds a thread; one worker at a time holds a run."""

import asyncio
from typing import Any

import pytest
from tests.kit.databases import fresh_database, on_every_database
from tests.store import objects

from locum.store.database import AlreadyExists, Database, Row
from locum.store.events import Event
from locum.store.runs import LostLease, Plan, RunRecord, RunTable
from locum.store.tables import Store


async def _add(
    store: Store,
    run_id: str,
    *,
    thread_id: str = "thread_1",
    status: str = "queued",
    expires_at: int = 600,
) -> None:
    run = objects.run(run_id, thread_id=thread_id, status=status, expires_at=expires_at)
    async with store.transaction() as tx:
        await store.runs.add(tx, "p", run, plan=Plan(include=True))


async def _record(store: Store, run_id: str, *, thread_id: str = "thread_1") -> RunRecord:
    record = await store.runs.record("p", thread_id, run_id)
    assert record is not None
    return record


def _event(number: int) -> Event:
    return Event(number, 1, "thread.message.delta", "{}")


async def _end(store: Store, run_id: str) -> None:
    ended = objects.run(run_id, status="completed")
    async with store.transaction() as tx:
        await store.runs.replace(tx, "p", run_id, ended, owner_id="thread_1", status="completed")


@on_every_database
async def test_a_run_is_kept_with_its_private_columns(store: Store) -> None:
    await _add(store, "run_1")
    assert await _record(store, "run_1") == RunRecord(
        project_id="p",
        run=objects.run("run_1"),
        fence=0,
        attempts=0,
        events=0,
        plan=Plan(include=True),
    )
    assert await store.runs.state("p", "thread_1", "run_1") == ("queued", 600)
    assert await store.runs.state("p", "thread_2", "run_1") is None
    assert await store.runs.record("other", "thread_1", "run_1") is None


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action", "cancelling"])
def test_an_active_run_keeps_others_off_its_thread(status: str) -> None:
    @on_every_database
    async def check(store: Store) -> None:
        await _add(store, "run_1", status=status)
        assert await store.runs.active("p", "thread_1") == "run_1"
        with pytest.raises(AlreadyExists):
            await _add(store, "run_2")
        await _add(store, "run_3", thread_id="thread_2")
        await _end(store, "run_1")
        assert await store.runs.active("p", "thread_1") is None
        await _add(store, "run_2")

    for dialect in ("sqlite", "postgres"):
        check(dialect)


@on_every_database
async def test_of_many_runs_begun_at_once_one_gets_the_thread(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(_add(store, f"run_{number}") for number in range(12)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == (
        ["AlreadyExists"] * 11 + ["NoneType"]
    )


@on_every_database
async def test_one_of_many_workers_gets_the_claim(store: Store) -> None:
    await _add(store, "run_1")
    record = await _record(store, "run_1")

    async def claim(worker: str) -> int | None:
        async with store.transaction() as tx:
            return await store.runs.claim(tx, record, worker=worker)

    fences = await asyncio.gather(*(claim(f"worker_{number}") for number in range(12)))
    assert sorted(fence for fence in fences if fence is not None) == [1]
    assert (await _record(store, "run_1")).fence == 1


@on_every_database
async def test_a_worker_whose_fence_has_passed_writes_nothing(store: Store) -> None:
    await _add(store, "run_1")
    old = await _record(store, "run_1")
    async with store.transaction() as tx:
        await store.events.note(old, [_event(1), _event(3)], now=1, tx=tx, attempts=1)
    # A claim by what was read before that write would begin with numbers that are taken.
    seen = await _record(store, "run_1")
    async with store.transaction() as tx:
        assert await store.runs.claim(tx, old, worker="w") is None
        assert await store.runs.claim(tx, seen, worker="w") == 1
    with pytest.raises(LostLease):
        async with store.transaction() as tx:
            await store.events.note(old, [_event(9)], now=1, tx=tx)
    new = await _record(store, "run_1")
    assert (new.fence, new.events, new.attempts) == (1, 3, 1)


@on_every_database
async def test_a_claim_and_a_late_write_meet_and_one_of_them_wins(store: Store) -> None:
    for turn in range(5):
        run_id = f"run_{turn}"
        await _add(store, run_id, thread_id=f"thread_{turn}")
        record = await _record(store, run_id, thread_id=f"thread_{turn}")

        async def write(record: RunRecord = record) -> str:
            try:
                await store.events.note(record, [_event(5)], now=1)
            except LostLease:
                return "lost"
            return "written"

        async def claim(record: RunRecord = record) -> int | None:
            async with store.transaction() as tx:
                return await store.runs.claim(tx, record, worker="w")

        written, fence = await asyncio.gather(write(), claim())
        after = await _record(store, run_id, thread_id=f"thread_{turn}")
        won = (None, 0, 5) if written == "written" else (1, 1, 0)
        assert (fence, after.fence, after.events) == won


@on_every_database
async def test_runs_whose_time_is_up_are_found(store: Store) -> None:
    await _add(store, "run_b", thread_id="thread_b", status="in_progress", expires_at=50)
    await _add(store, "run_a", thread_id="thread_a", expires_at=100)
    await _add(store, "run_c", thread_id="thread_c", status="completed", expires_at=10)
    assert [record.run.id for record in await store.runs.overdue(50)] == ["run_b"]
    assert await store.runs.overdue(49) == []


@on_every_database
async def test_whoever_waits_longer_than_there_was_time_is_counted_no_more(store: Store) -> None:
    await _add(store, "run_a", thread_id="thread_a", expires_at=50)
    await _add(store, "run_b", thread_id="thread_b", expires_at=100)
    assert await store.runs.queued("p", now=49, most=10) == 2
    assert await store.runs.queued("p", now=50, most=10) == 1


def test_whoever_waits_is_counted_without_reading_all_the_runs_there_ever_were() -> None:
    class Spy:
        def __init__(self, database: Database) -> None:
            self._database = database
            self.plans: list[str] = []

        async def fetch(self, sql: str, *values: Any) -> list[Row]:
            plan = await self._database.fetch(f"EXPLAIN QUERY PLAN {sql}", *values)
            self.plans += [row[3] for row in plan]
            return await self._database.fetch(sql, *values)

    async def check() -> None:
        async with fresh_database("sqlite") as database:
            store = Store(database)
            await _add(store, "run_a", thread_id="thread_a")
            await _add(store, "run_b", thread_id="thread_b", status="in_progress")
            spy = Spy(database)
            assert await RunTable(spy, "sqlite").queued("p", now=1, most=10) == 1
            assert any("runs_alive" in plan for plan in spy.plans), spy.plans

    asyncio.run(check())
