"""Transactions: whole or not at all, unseen until committed, seen by all afterwards."""

import asyncio
import contextlib

import pytest
from tests.kit.databases import fresh_database, on_every_database
from tests.store import objects

from locum.errors import Unavailable
from locum.store.database import AlreadyExists
from locum.store.tables import Store
from locum.wire.paging import PageQuery


async def _names(store: Store) -> list[str]:
    return sorted(name for name, _ in await store.keys.projects())


async def _add(store: Store, name: str) -> None:
    async with store.transaction() as tx:
        await store.keys.ensure_project(tx, name, name=name, now=1)


async def _add_and_fail(store: Store, name: str) -> None:
    async with store.transaction() as tx:
        await store.keys.ensure_project(tx, name, name=name, now=1)
        raise ZeroDivisionError


@on_every_database
async def test_an_error_undoes_the_whole_block(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await _add_and_fail(store, "a")
    await _add(store, "b")
    assert await _names(store) == ["b"]


@on_every_database
async def test_cancelling_undoes_the_whole_block(store: Store) -> None:
    inside = asyncio.Event()

    async def stuck() -> None:
        async with store.transaction() as tx:
            await store.keys.ensure_project(tx, "a", name="a", now=1)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _add(store, "b")
    assert await _names(store) == ["b"]


@on_every_database
async def test_cancelling_at_any_moment_leaves_all_or_nothing(store: Store) -> None:
    async def pair(number: int) -> None:
        async with store.transaction() as tx:
            await tx.lock("pairs")
            for half in ("left", "right"):
                await store.keys.ensure_project(tx, f"{number}-{half}", name="x", now=1)

    for turns in range(30):
        task = asyncio.create_task(pair(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    # Whatever was interrupted, the database goes on working and no pair was torn.
    await _add(store, "end")
    numbers = [name.partition("-")[0] for name in await _names(store) if name != "end"]
    assert all(numbers.count(number) == 2 for number in numbers)


@on_every_database
async def test_a_statement_that_failed_can_be_followed_by_a_new_transaction(store: Store) -> None:
    await _add(store, "a")
    insert = "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3)"
    with pytest.raises(AlreadyExists):
        async with store.transaction() as tx:
            await tx.execute_many(insert, [("b", "b", 1), ("a", "a", 1)])
    with pytest.raises(AlreadyExists):
        async with store.transaction() as tx:
            await tx.execute(insert, "a", "a", 1)
    await _add(store, "c")
    assert await _names(store) == ["a", "c"]


@on_every_database
async def test_others_see_nothing_before_the_commit_and_everything_after(store: Store) -> None:
    async with store.transaction() as tx:
        await store.keys.ensure_project(tx, "a", name="a", now=1)
        await asyncio.sleep(0)
        assert await _names(store) == []
        assert len(await tx.fetch("SELECT id FROM projects")) == 1
    assert await _names(store) == ["a"]


@on_every_database
async def test_many_writers_at_once_all_succeed(store: Store) -> None:
    await asyncio.gather(*(_add(store, f"{number:03}") for number in range(100)))
    assert await _names(store) == [f"{number:03}" for number in range(100)]


@on_every_database
async def test_one_writer_of_many_fails_alone(store: Store) -> None:
    good = [_add(store, f"{number:02}") for number in range(20)]
    bad = [_add_and_fail(store, "bad") for _ in range(20)]
    mixed = [task for pair in zip(good, bad, strict=True) for task in pair]
    outcomes = await asyncio.gather(*mixed, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ZeroDivisionError] * 20
    assert await _names(store) == [f"{number:02}" for number in range(20)]


@on_every_database
async def test_touched_rows_are_counted(store: Store) -> None:
    for name in ("a", "b"):
        await _add(store, name)
    async with store.transaction() as tx:
        assert await tx.execute("UPDATE projects SET name = $1", "x") == 2
        assert await tx.execute("UPDATE projects SET name = $1 WHERE id = $2", "x", "none") == 0
        assert await tx.execute("DELETE FROM projects WHERE id = $1", "a") == 1
        await tx.execute_many("DELETE FROM projects WHERE id = $1", [])
        await tx.execute_many("DELETE FROM projects WHERE id = $1", [("b",), ("none",)])
    assert await _names(store) == []


@on_every_database
async def test_the_order_of_a_list_is_the_order_of_commits(store: Store) -> None:
    """Or a reader who pages on would skip what got its number first and was committed last."""
    seen: list[str] = []
    done = asyncio.Event()

    async def write(number: int) -> None:
        async with store.transaction() as tx:
            thread = objects.thread(f"thread_{number}")
            await store.threads.add(tx, "p", thread)
            for _ in range(number % 7):
                await asyncio.sleep(0)

    async def follow() -> None:
        while True:
            finished = done.is_set()
            query = PageQuery(order="asc", after=seen[-1] if seen else None, limit=100)
            page = await store.threads.page("p", query)
            seen.extend(thread.id for thread in page.read())
            if finished and not page.text:
                return
            await asyncio.sleep(0)

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(60)))
    done.set()
    await follower
    assert sorted(seen) == sorted(f"thread_{number}" for number in range(60))
    page = await store.threads.page("p", PageQuery(order="asc", limit=100))
    assert seen == [thread.id for thread in page.read()]


@on_every_database
async def test_a_lock_is_held_until_the_transaction_ends(store: Store) -> None:
    inside, most = 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with store.transaction() as tx:
            await tx.fetch("SELECT 1")
            await tx.lock("room")
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(12)))
    assert most == 1


def test_closing_waits_for_what_has_begun_and_takes_nothing_new(dialect: str) -> None:
    async def check() -> None:
        async with asyncio.timeout(30), fresh_database(dialect) as database:
            store = Store(database)
            inside, go_on = asyncio.Event(), asyncio.Event()

            async def slow() -> str:
                async with store.transaction() as tx:
                    await store.keys.ensure_project(tx, "a", name="a", now=1)
                    inside.set()
                    await go_on.wait()
                return "committed"

            task = asyncio.create_task(slow())
            await inside.wait()
            closing = asyncio.create_task(store.close())
            await asyncio.sleep(0)
            with pytest.raises(Unavailable):
                await asyncio.wait_for(_add(store, "late"), 30)
            go_on.set()
            assert await task == "committed"
            await closing

    asyncio.run(check())
