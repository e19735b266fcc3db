"""Events: read on from a place, in either life of a run, and forgotten when it has ended."""

import pytest
from msgspec.structs import replace
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.store.database import AlreadyExists
from locum.store.events import Event
from locum.store.runs import LostLease, Plan, RunRecord
from locum.store.tables import Store


def _event(number: int, life: int = 1) -> Event:
    return Event(number, life, "thread.message.delta", f'{{"n":{number}}}')


async def _append(store: Store, *events: Event, run_id: str = "run_1", now: int = 1) -> None:
    async with store.transaction() as tx:
        await store.events.append(tx, "p", run_id, list(events), now=now)


@on_every_database
async def test_events_are_read_on_from_a_place(store: Store) -> None:
    await _add(store, "run_1")
    await _add(store, "run_2")
    await _append(store)
    await _append(store, _event(1), _event(2))
    await _append(store, _event(3))
    await _append(store, _event(1), run_id="run_2")
    assert await store.events.after("p", "run_1", number=0, life=1, limit=10) == [
        _event(1),
        _event(2),
        _event(3),
    ]
    assert await store.events.after("p", "run_1", number=1, life=1, limit=1) == [_event(2)]
    assert await store.events.after("p", "run_1", number=3, life=1, limit=10) == []
    assert await store.events.after("other", "run_1", number=0, life=1, limit=10) == []


@on_every_database
async def test_a_reader_of_an_earlier_life_gets_what_was_written_since(store: Store) -> None:
    await _add(store, "run_1")
    await _append(store, _event(1), _event(2, life=2), _event(3, life=2))
    # He had seen deltas up to 5 that the first worker never wrote down.
    assert await store.events.after("p", "run_1", number=5, life=1, limit=10) == [
        _event(2, life=2),
        _event(3, life=2),
    ]


async def _add(store: Store, run_id: str) -> None:
    run = objects.run(run_id, thread_id=f"thread_of_{run_id}")
    async with store.transaction() as tx:
        await store.runs.add(tx, "p", run, plan=Plan())


async def _running(store: Store) -> RunRecord:
    run = objects.run("run_1", status="in_progress")
    async with store.transaction() as tx:
        await store.runs.add(tx, "p", run, plan=Plan(), fence=3, events=1, leased_by="a")
        await store.events.append(tx, "p", run.id, [_event(1)], now=1)
    return await _record(store, run.thread_id)


async def _record(store: Store, thread_id: str) -> RunRecord:
    record = await store.runs.record("p", thread_id, "run_1")
    assert record is not None
    return record


@on_every_database
async def test_a_run_notes_what_it_has_told(store: Store) -> None:
    record = await _running(store)
    await store.events.note(record, [_event(2), _event(3)], now=1)
    assert await store.events.after("p", "run_1", number=1, life=1, limit=9) == [
        _event(2),
        _event(3),
    ]
    assert await _record(store, record.run.thread_id) == replace(record, events=3)


@on_every_database
async def test_what_changes_of_a_run_is_written_with_its_events(store: Store) -> None:
    record = await _running(store)
    async with store.transaction() as tx:
        await store.events.note(record, [_event(2)], now=1, tx=tx, leased_by=None)
    told = replace(record, events=2, leased_by=None)
    assert await _record(store, record.run.thread_id) == told
    assert await store.events.after("p", "run_1", number=1, life=1, limit=9) == [_event(2)]


@on_every_database
async def test_a_run_that_has_told_nothing_may_change(store: Store) -> None:
    record = await _running(store)
    async with store.transaction() as tx:
        await store.events.note(record, [], now=1, tx=tx)
        with pytest.raises(LostLease):
            await store.events.note(replace(record, fence=2), [], now=1, tx=tx)
    assert await _record(store, record.run.thread_id) == record


@on_every_database
async def test_who_has_lost_a_run_notes_nothing(store: Store) -> None:
    record = await _running(store)
    for behind in (replace(record, fence=2), replace(record, events=0)):
        with pytest.raises(LostLease):
            await store.events.note(behind, [_event(2)], now=1)
    assert await store.events.after("p", "run_1", number=1, life=1, limit=9) == []
    assert await _record(store, record.run.thread_id) == record


@on_every_database
async def test_what_cannot_be_noted_leaves_the_run_as_it_was(store: Store) -> None:
    record = await _running(store)
    with pytest.raises(AlreadyExists):
        await store.events.note(record, [_event(2), _event(2)], now=1)
    assert await store.events.after("p", "run_1", number=0, life=1, limit=9) == [_event(1)]
    assert await _record(store, record.run.thread_id) == record


@on_every_database
async def test_a_number_is_given_once(store: Store) -> None:
    await _add(store, "run_1")
    await _append(store, _event(1))
    with pytest.raises(AlreadyExists):
        await _append(store, _event(2), _event(1))
    assert await store.events.after("p", "run_1", number=0, life=1, limit=9) == [_event(1)]


@on_every_database
async def test_only_journals_of_runs_that_ended_long_ago_are_forgotten(store: Store) -> None:
    ends = {"run_1": 10, "run_2": 20, "run_3": None}
    async with store.transaction() as tx:
        for run_id, ended_at in ends.items():
            status = "completed" if ended_at else "in_progress"
            run = objects.run(run_id, thread_id=f"thread_of_{run_id}", status=status)
            await store.runs.add(tx, "p", run, plan=Plan())
            record = await store.runs.record("p", run.thread_id, run_id, reader=tx)
            assert record is not None
            await store.runs.advance(tx, record, ended_at=ended_at)
    for run_id in ends:
        await _append(store, _event(1), _event(2), run_id=run_id)
    async with store.transaction() as tx:
        assert await store.events.prune(tx, before=20) == 2
        assert await store.events.prune(tx, before=20) == 0
    left = {
        run_id: len(await store.events.after("p", run_id, number=0, life=1, limit=9))
        for run_id in ends
    }
    assert left == {"run_1": 0, "run_2": 2, "run_3": 2}
