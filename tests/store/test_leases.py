"""The queue of runs: who may take which, in what order, and what that counts as."""

import asyncio
from collections import Counter

import msgspec
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.store.processes import Process
from locum.store.runs import Plan, RunRecord
from locum.store.tables import Store


async def _join(store: Store, name: str, *, until: int = 100) -> None:
    process = Process(
        name=name,
        host="h",
        pid=1,
        roles="worker",
        version="1",
        started_at=1,
        alive_until=until,
        room=10,
    )
    await store.processes.join(process, before="", alone=False)


async def _add(
    store: Store, run_id: str, *, project_id: str = "p", status: str = "queued", by: str = ""
) -> None:
    run = objects.run(run_id, thread_id=f"thread_of_{run_id}", status=status)
    async with store.transaction() as tx:
        await store.runs.add(tx, project_id, run, plan=Plan(), leased_by=by or None)


async def _claim(
    store: Store, worker: str, *, most: int = 10, per_project: int | None = None
) -> list[str]:
    claimed = await store.leases.claim(worker=worker, now=50, most=most, per_project=per_project)
    return [record.run.id for record in claimed]


async def _record(store: Store, run_id: str) -> RunRecord:
    record = await store.runs.record("p", f"thread_of_{run_id}", run_id)
    assert record is not None
    return record


@on_every_database
async def test_what_nobody_holds_is_taken_and_what_waits_for_its_client_is_not(
    store: Store,
) -> None:
    await _join(store, "living")
    await _join(store, "dead", until=50)
    await _add(store, "run_new")
    await _add(store, "run_of_the_living", by="living")
    await _add(store, "run_of_the_dead", by="dead", status="in_progress")
    await _add(store, "run_of_nobody_known", by="unknown", status="cancelling")
    await _add(store, "run_waiting", status="requires_action")
    await _add(store, "run_over", status="completed")
    taken = ["run_new", "run_of_the_dead", "run_of_nobody_known"]
    assert await store.leases.waiting(50) == 3
    assert await _claim(store, "w") == taken
    assert [(await _record(store, run_id)).leased_by for run_id in taken] == ["w"] * 3


@on_every_database
async def test_a_life_is_counted_for_what_was_begun_and_a_loss_for_what_was_not_given_back(
    store: Store,
) -> None:
    await _join(store, "dead", until=1)
    await _add(store, "run_new", by="dead")
    await _add(store, "run_lost", by="dead", status="in_progress")
    await _add(store, "run_given_back", status="in_progress")
    await _claim(store, "w")
    records = [await _record(store, f"run_{name}") for name in ("new", "lost", "given_back")]
    assert [(record.fence, record.attempts, record.losses) for record in records] == [
        (1, 0, 0),
        (1, 1, 1),
        (1, 1, 0),
    ]


@on_every_database
async def test_projects_take_turns_and_within_each_the_oldest_comes_first(store: Store) -> None:
    await _join(store, "w")
    for number in range(4):
        await _add(store, f"run_a{number}", project_id="loud")
    await _add(store, "run_b", project_id="quiet")
    assert await _claim(store, "w", most=2) == ["run_a0", "run_b"]
    assert await _claim(store, "w", most=2) == ["run_a1", "run_a2"]


@on_every_database
async def test_what_is_held_counts_against_the_limit_of_its_project(store: Store) -> None:
    await _join(store, "w")
    for number in range(4):
        await _add(store, f"run_a{number}", project_id="loud")
    await _add(store, "run_b", project_id="quiet")
    assert await _claim(store, "w", per_project=2) == ["run_a0", "run_a1", "run_b"]
    assert await _claim(store, "w", per_project=2) == []
    async with store.transaction() as tx:
        await tx.execute("UPDATE runs SET status = 'requires_action' WHERE id = 'run_a0'")
    assert await _claim(store, "w", per_project=2) == ["run_a2"]


@on_every_database
async def test_of_many_who_claim_at_once_each_run_goes_to_one(store: Store) -> None:
    workers = [f"w{number}" for number in range(6)]
    for worker in workers:
        await _join(store, worker)
    for number in range(30):
        await _add(store, f"run_{number}", project_id=f"p{number % 3}")
    taken: list[str] = []
    for _ in range(10):
        claimed = await asyncio.gather(*(_claim(store, worker, most=3) for worker in workers))
        taken += [run_id for some in claimed for run_id in some]
    assert sorted(Counter(taken).values()) == [1] * 30


@on_every_database
async def test_the_limit_of_a_project_holds_however_many_claim(store: Store) -> None:
    workers = [f"w{number}" for number in range(6)]
    for worker in workers:
        await _join(store, worker)
    for number in range(12):
        await _add(store, f"run_{number}")
    claimed = await asyncio.gather(*(_claim(store, worker, per_project=4) for worker in workers))
    assert sum(len(some) for some in claimed) == 4


@on_every_database
async def test_what_is_given_back_is_free_at_once_and_only_its_holder_gives_it(
    store: Store,
) -> None:
    await _join(store, "w")
    await _add(store, "run_1")
    await _claim(store, "w")
    key = ("p", "thread_of_run_1", "run_1")
    assert await store.leases.held("w") == [(key, 1)]
    assert not await store.leases.release(key, fence=0)
    assert await _claim(store, "v") == []
    assert await store.leases.release(key, fence=1)
    assert await store.leases.held("w") == []
    assert await _claim(store, "v") == ["run_1"]


@on_every_database
async def test_the_holder_of_a_run_is_one_that_lives(store: Store) -> None:
    await _join(store, "w", until=100)
    await _add(store, "run_1", by="w")
    await _add(store, "run_2")
    record = await _record(store, "run_1")
    assert await store.leases.holder(record, now=99) == "w"
    assert await store.leases.holder(record, now=100) is None
    assert await store.leases.holder(await _record(store, "run_2"), now=1) is None


@on_every_database
async def test_who_was_buried_stays_dead(store: Store) -> None:
    await _join(store, "slow", until=10)
    await _join(store, "other", until=10)
    assert await store.processes.beat("slow", until=20, driving=3)
    assert [(p.name, p.driving) for p in await store.processes.alive(15)] == [("slow", 3)]
    assert await store.processes.bury(now=20, but="other") == 1
    assert await store.processes.bury(now=20, but="other") == 0
    assert not await store.processes.beat("slow", until=30, driving=3)
    assert await store.processes.beat("other", until=30, driving=0)
    await store.processes.leave("other")
    assert await store.processes.alive(0) == []


@on_every_database
async def test_a_duty_is_done_by_one_and_again_when_it_is_due(store: Store) -> None:
    async def take(now: int) -> bool:
        return await store.processes.take_duty("sweep", now=now, every_s=10)

    assert sorted(await asyncio.gather(*(take(100) for _ in range(5)))) == [False] * 4 + [True]
    assert not await take(109)
    assert await take(110)
    await store.processes.end_duty("sweep", now=111)
    assert await take(111)


@on_every_database
async def test_what_a_lapsed_process_held_is_free_when_it_comes_back_and_no_loss(
    store: Store,
) -> None:
    await _join(store, "slow")
    await _add(store, "run_1", by="slow", status="in_progress")
    process = (await store.processes.alive(0))[0]
    again = msgspec.structs.replace(process, name="slow-again")
    await store.processes.join(again, before="slow", alone=False)
    assert [one.name for one in await store.processes.alive(0)] == ["slow-again"]
    assert await _claim(store, "slow-again") == ["run_1"]
    record = await _record(store, "run_1")
    assert (record.attempts, record.losses) == (1, 0)
