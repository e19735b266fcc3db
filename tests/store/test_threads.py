"""Threads: found by their metadata, removed with all that hangs on them."""

import msgspec
import pytest
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.errors import NotFound
from locum.store.events import Event
from locum.store.runs import Plan
from locum.store.tables import Store
from locum.wire.paging import PageQuery

_ALL = 1 << 20


async def _add(store: Store, thread_id: str, *, project: str = "p", **metadata: str) -> None:
    async with store.transaction() as tx:
        await store.threads.add(tx, project, objects.thread(thread_id, **metadata))


async def _found(store: Store, *, project: str = "p", **metadata: str) -> list[str]:
    page = await store.threads.labelled(project, PageQuery(order="asc"), metadata)
    return [thread.id for thread in page.read()]


@on_every_database
async def test_threads_are_found_by_all_the_pairs_asked_for(store: Store) -> None:
    await _add(store, "thread_1", user="ada", team="x")
    await _add(store, "thread_2", user="ada", team="y")
    await _add(store, "thread_3", user="bob", team="x")
    await _add(store, "thread_4", project="other", user="ada", team="x")
    assert await _found(store) == ["thread_1", "thread_2", "thread_3"]
    assert await _found(store, user="ada") == ["thread_1", "thread_2"]
    assert await _found(store, user="ada", team="x") == ["thread_1"]
    assert await _found(store, user="x", team="ada") == []


@on_every_database
async def test_a_key_and_a_value_do_not_run_into_each_other(store: Store) -> None:
    await _add(store, "thread_1", a="b=c")
    assert await _found(store, **{"a=b": "c"}) == []
    assert await _found(store, a="b=c") == ["thread_1"]


@on_every_database
async def test_changing_metadata_changes_where_a_thread_is_found(store: Store) -> None:
    await _add(store, "thread_1", user="ada")
    async with store.transaction() as tx:
        await store.threads.change(tx, "p", objects.thread("thread_1", user="bob"))
    assert await _found(store, user="ada") == []
    assert await _found(store, user="bob") == ["thread_1"]


@on_every_database
async def test_pages_of_labelled_threads_go_on(store: Store) -> None:
    for number in range(5):
        await _add(store, f"thread_{number}", even=str(number % 2 == 0))
    first = await store.threads.labelled("p", PageQuery(limit=2), {"even": "True"})
    assert [thread.id for thread in first.read()] == ["thread_4", "thread_2"]
    assert first.has_more
    rest = await store.threads.labelled("p", PageQuery(after="thread_2"), {"even": "True"})
    assert [thread.id for thread in rest.read()] == ["thread_0"]


@on_every_database
async def test_removing_a_thread_removes_all_that_hangs_on_it_and_nothing_else(
    store: Store,
) -> None:
    for thread_id in ("thread_1", "thread_2"):
        await _add(store, thread_id, user="ada")
        async with store.transaction() as tx:
            for message_id in ("msg_1", "msg_2"):
                message = objects.message(message_id, thread_id=thread_id)
                await store.messages.insert(
                    tx, "p", message_id, message, owner_id=thread_id, role="user"
                )
            run = objects.run(f"run_of_{thread_id}", thread_id=thread_id)
            await store.runs.add(tx, "p", run, plan=Plan())
            await store.events.append(tx, "p", run.id, [Event(1, 1, "done", "{}")], now=1)
            await store.messages.delete(tx, "p", "msg_2", owner_id=thread_id)
    async with store.transaction() as tx:
        await store.threads.remove(tx, "p", "thread_1")
    for table, left in (
        ("threads", 1),
        ("thread_labels", 1),
        ("messages", 1),
        ("runs", 1),
        ("events", 1),
    ):
        rows = await store.db.fetch(f"SELECT count(*) FROM {table}")
        assert rows[0][0] == left, table
    # One for the thread itself, so that lists go on from it; one for thread_2's message.
    tombstones = await store.db.fetch("SELECT list, id FROM tombstones ORDER BY list")
    assert [tuple(row) for row in tombstones] == [
        ("messages/thread_2", "msg_2"),
        ("threads", "thread_1"),
    ]
    assert await _found(store, user="ada") == ["thread_2"]
    with pytest.raises(NotFound):
        async with store.transaction() as tx:
            await store.threads.remove(tx, "p", "thread_1")


@on_every_database
async def test_the_newest_messages_and_steps_of_a_thread_come_oldest_first(store: Store) -> None:
    async with store.transaction() as tx:
        for number in range(1, 5):
            for thread_id in ("thread_1", "thread_2"):
                message = objects.message(f"msg_{number}", thread_id=thread_id)
                await store.messages.insert(
                    tx, "p", message.id, message, owner_id=thread_id, role="user"
                )
            # Steps have numbers of their own, the same as those of messages.
            step = objects.step(f"step_{number}", run_id=f"run_{number}")
            await store.steps.insert(
                tx,
                "p",
                step.id,
                step,
                owner_id=step.run_id,
                thread_id=step.thread_id,
                memory=f'["{number}"]',
            )
    said, done = await store.newest("p", "thread_1", messages=2, chars=_ALL, steps=3)
    assert [(message.id, message.thread_id) for message in said] == [
        ("msg_3", "thread_1"),
        ("msg_4", "thread_1"),
    ]
    assert [(step.id, memory) for step, memory in done] == [
        ("step_2", '["2"]'),
        ("step_3", '["3"]'),
        ("step_4", '["4"]'),
    ]
    said, done = await store.newest("p", "thread_2", messages=9, chars=_ALL, steps=9)
    assert ([message.id for message in said], done) == (["msg_1", "msg_2", "msg_3", "msg_4"], [])
    assert await store.newest("other", "thread_1", messages=9, chars=_ALL, steps=9) == ([], [])


@on_every_database
async def test_the_newest_messages_are_read_as_far_back_as_there_is_room(store: Store) -> None:
    async with store.transaction() as tx:
        for number in range(1, 6):
            message = objects.message(f"msg_{number}")
            await store.messages.insert(
                tx, "p", message.id, message, owner_id=message.thread_id, role="user"
            )
    size = len(msgspec.json.encode(objects.message("msg_1")).decode())
    thread_id = objects.message("msg_1").thread_id
    read = {}
    for chars in (0, size, 2 * size - 1, 2 * size, 9 * size):
        said, _ = await store.newest("p", thread_id, messages=4, chars=chars, steps=0)
        read[chars // size, chars % size] = [message.id[-1] for message in said]
    assert [*read.values()] == [["5"], ["5"], ["5"], ["4", "5"], ["2", "3", "4", "5"]]
