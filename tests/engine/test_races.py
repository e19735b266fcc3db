"""Clients, drivers and the watchman who reach for the same run at the same moment."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.kit.databases import fresh_url
from tests.kit.inside import begun, inside

from locum.engine import drives
from locum.engine.claims import Claims
from locum.engine.journal import Key
from locum.engine.recorder import Recorder
from locum.errors import InvalidRequest
from locum.service import messages
from locum.service.scope import House, Scope
from locum.store.documents import Document, Documents
from locum.store.events import EventTable
from locum.store.runs import LostLease, RunRecord
from locum.wire.fields import ModifyMetadata
from locum.wire.messages import Message, Text, TextValue
from locum.wire.paging import PageQuery
from locum.wire.runs import ToolOutput

_MOMENTS = 40
_TEST_S = 20
_ENDED = ["thread.run.cancelling", "thread.run.cancelled"]
_LABEL = ModifyMetadata(metadata={"rating": "good"})
_BLOCKED = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("text", ["!think 60", "!call f"])
def test_a_cancellation_is_answered_whoever_else_takes_the_run_up(text: str) -> None:
    """The watchman comes a little later every time, until he has come at every moment."""

    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            engine = door.house.engine
            for moment in range(_MOMENTS):
                key = await begun(door.house, text)
                if text == "!call f":
                    [event async for event in engine.follow(key)]
                cancelling = asyncio.ensure_future(engine.cancel(key))
                for _ in range(moment):
                    await asyncio.sleep(0)
                await engine.sweep()
                assert (await cancelling).status == "cancelling"
                events: list[Any] = [event async for event in engine.follow(key)]
                assert [event.name for event in events if "run.canc" in event.name] == _ENDED

    asyncio.run(scenario())


def test_of_a_write_that_nobody_waits_for_any_more_no_failure_is_complained_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another has taken the runs just as their driver here was told to let go of them."""

    async def scenario() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        async with asyncio.timeout(_TEST_S), inside() as door:
            engine = door.house.engine
            waiting = await begun(door.house, "!call f")
            [event async for event in engine.follow(waiting)]
            writing, taken = asyncio.Event(), asyncio.Event()

            async def note(*_values: object, **_columns: object) -> None:
                writing.set()
                await taken.wait()
                raise LostLease(waiting[2])

            with monkeypatch.context() as patched:
                patched.setattr(EventTable, "note", note)
                patched.setattr(drives, "_LET_GO_S", 0)
                driven = await begun(door.house, "!think 60")
                await writing.wait()
                writing.clear()
                engine.dispatch.abandon()
                await engine.dispatch.driven(driven, timeout_s=_TEST_S)
                cancelling = asyncio.ensure_future(engine.cancel(waiting))
                await writing.wait()
                cancelling.cancel()
                taken.set()
                await asyncio.wait([cancelling])
            assert cancelling.cancelled()
            del cancelling  # It remembers where it was, and with that what it waited for.
            gc.collect()
        assert complaints == []

    asyncio.run(scenario())


@pytest.mark.slow
def test_who_has_cancelled_a_run_elsewhere_is_not_told_that_somebody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run began just as its driver was told to stop, and has ended at the next look."""

    async def scenario() -> None:
        async with (
            asyncio.timeout(_TEST_S),
            fresh_url() as url,
            inside(database_url=url, roles=("worker",)),
            inside(database_url=url, roles=("web",)) as door,
        ):
            engine = door.house.engine
            key = await begun(door.house, "!think 60")
            events = engine.follow(key)
            while (event := await anext(events)) is None or event.name != "thread.run.in_progress":
                pass
            began = await door.house.store.runs.record(*key)
            assert began is not None
            seen = [began, began, replace(began, run=replace(began.run, status="queued"))]
            read = Claims.record

            async def record(claims: Claims, key: Key) -> RunRecord:
                if seen:
                    return seen.pop()
                async for _ in events:  # To its end.
                    pass
                return await read(claims, key)

            monkeypatch.setattr(Claims, "record", record)
            assert (await engine.cancel(key)).status == "cancelling"

    asyncio.run(scenario())


def test_a_run_whose_time_is_up_expires_even_while_it_is_coming_to_wait() -> None:
    """The event that it waits is told while its driver has not quite let go of it."""

    async def scenario() -> list[str]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            engine = door.house.engine
            key = await begun(door.house, "!call f")
            heard = []
            async for event in engine.follow(key):
                assert event is not None
                heard.append(event.name)
                if event.name == "thread.run.requires_action":
                    await engine.expire(key)
            return heard

    assert asyncio.run(scenario())[-2:] == ["thread.run.step.expired", "thread.run.expired"]


@pytest.mark.parametrize("deletes", [False, True])
def test_a_client_reaches_for_a_message_just_as_the_run_completes_it(
    monkeypatch: pytest.MonkeyPatch, *, deletes: bool
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            house, scope = door.house, Scope(door.house, "proj")

            async def reach(message: Message) -> None:
                path = {"thread_id": message.thread_id, "message_id": message.id}
                if deletes:
                    await messages.delete_message(scope, **path)
                else:
                    await messages.modify_message(scope, **path, body=_LABEL)

            reaching = _before_writing(monkeypatch, house, "completed", reach)
            key = await begun(house, "hello")
            names = [event.name async for event in house.engine.follow(key) if event is not None]
            assert names[-1] == "thread.run.completed"
            await reaching[0]
            query = PageQuery(limit=1)
            newest = (await house.store.messages.page("proj", query, owner_id=key[1])).read()[0]
            if deletes:
                assert newest.role == "user"
            else:
                assert (newest.status, newest.metadata) == ("completed", _LABEL.metadata)
                assert newest.content == (Text(TextValue("You said: hello", ())),)

    asyncio.run(scenario())


def test_a_run_completes_a_message_just_as_a_client_changes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            house, scope = door.house, Scope(door.house, "proj")
            key = await begun(house, "!say hello\n!think 60")
            events = house.engine.follow(key)
            while (event := await anext(events)) is None or event.name != "thread.message.created":
                pass

            async def end(_message: Message) -> None:
                await house.engine.cancel(key)
                assert [event async for event in events]

            ending = _before_writing(monkeypatch, house, "in_progress", end)
            query = PageQuery(limit=1)
            opened = await house.store.messages.page("proj", query, owner_id=key[1])
            path = {"thread_id": key[1], "message_id": opened.first_id}
            await messages.modify_message(scope, **path, body=_LABEL)
            await ending[0]
            message = (await messages.get_message(scope, **path)).read()
            assert (message.status, message.metadata) == ("incomplete", _LABEL.metadata)
            assert message.content == (Text(TextValue("hello", ())),)

    asyncio.run(scenario())


def _before_writing(
    monkeypatch: pytest.MonkeyPatch,
    house: House,
    status: str,
    act: Callable[[Message], Coroutine[Any, Any, None]],
) -> list[asyncio.Task[None]]:
    """Have somebody act on a message that was read and is about to be written with a status.

    He goes as far as he can: to his end, or to where he waits for this write.
    """
    acting: list[asyncio.Task[None]] = []
    write = Documents.replace

    async def meet(
        table: Documents[Struct], tx: Any, project_id: str, name: str, value: Struct, **more: Any
    ) -> Document[Struct]:
        if isinstance(value, Message) and value.status == status and not acting:
            acting.append(asyncio.ensure_future(act(value)))
            while not (acting[0].done() or await _waits(house)):
                pass
        return await write(table, tx, project_id, name, value, **more)

    monkeypatch.setattr(Documents, "replace", meet)
    return acting


async def _waits(house: House) -> bool:
    """Whether somebody waits for a commit; with SQLite whoever would write does."""
    await asyncio.sleep(0)
    return house.store.db.dialect == "sqlite" or bool(await house.store.db.fetch(_BLOCKED))


@pytest.mark.parametrize("asked", ["submit", "cancel", "expire"])
def test_of_many_clients_who_reach_for_a_run_at_once_one_does(asked: str) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            reach = await _reach(door.house, asked)
            came = await asyncio.gather(*(reach() for _ in range(5)), return_exceptions=True)
            late = [one for one in came if isinstance(one, InvalidRequest)]
            assert len(late) == (0 if asked == "expire" else 4), came
            assert not [one for one in came if isinstance(one, Exception) and one not in late]

    asyncio.run(scenario())


@pytest.mark.parametrize("asked", ["submit", "cancel", "expire"])
def test_whoever_loses_a_run_to_another_process_looks_again(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    take = Claims.take
    lost: list[Key] = []

    async def lose_once(claims: Claims, key: Key, check: Callable[[RunRecord], None]) -> Recorder:
        if not lost:
            lost.append(key)
            raise LostLease(key[2])
        return await take(claims, key, check)

    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            reach = await _reach(door.house, asked)
            monkeypatch.setattr(Claims, "take", lose_once)
            await reach()
            after = await door.house.store.runs.record(*lost[0])
            assert after is not None
            assert after.run.status != "requires_action"

    asyncio.run(scenario())


async def _reach(house: House, asked: str) -> Callable[[], Coroutine[Any, Any, object]]:
    """What a client may do to a run that waits for it."""
    engine, key = house.engine, await begun(house, "!call f")
    [event async for event in engine.follow(key)]
    record = await house.store.runs.record(*key)
    assert record is not None
    assert record.run.required_action is not None
    [call] = record.run.required_action.submit_tool_outputs.tool_calls
    outputs = [ToolOutput(tool_call_id=call.id, output="")]
    acts: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "submit": lambda: engine.submit(key, outputs),
        "cancel": lambda: engine.cancel(key),
        "expire": lambda: engine.expire(key),
    }
    return acts[asked]
