"""When it is written that a run or a step has begun: with what comes next, or soon by itself."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.kit.inside import Inside, begun, inside

from locum.engine import recorder
from locum.engine.change import Change
from locum.engine.journal import Key
from locum.engine.recorder import Recorder
from locum.llm.protocol import Event, ModelError, Request, TextDelta
from locum.llm.scripted import Scripted
from locum.service import runs
from locum.service.scope import Scope
from locum.store.runs import RunRecord
from locum.wire.messages import Message, Text
from locum.wire.runs import SubmitToolOutputs, ToolOutput
from locum.wire.steps import MessageCreation, RunStep

_TEST_S = 20
_NEVER_S = 3_600.0
_TOLD = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


@pytest.fixture
def _not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_AHEAD_S", _NEVER_S)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    made: list[Change] = []
    commit = Recorder._commit

    async def counted(self: Recorder, change: Change, *words: Any) -> None:
        made.append(change)
        await commit(self, change, *words)

    monkeypatch.setattr(Recorder, "_commit", counted)
    return made


@pytest.mark.usefixtures("_not_by_itself")
def test_a_run_begins_in_one_commit_with_its_first_step(commits: list[Change]) -> None:
    async def scene() -> list[str]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            return await _told(door, await begun(door.house, "Hello"))

    told = asyncio.run(scene())
    assert [name for name in told if "delta" not in name] == _TOLD
    assert len(commits) == 2


@pytest.mark.usefixtures("_not_by_itself")
def test_a_run_that_nobody_hears_is_one_commit_and_leaves_what_others_leave(
    commits: list[Change], dialect: str
) -> None:
    """The model answers at once; the rows are as if its step had been seen to begin."""

    async def scene() -> tuple[list[str], RunStep, Message]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            project_id, thread_id, run_id = key = await begun(door.house, "Hello")
            await _ended(door, key)
            told = await _told(door, key)
            (step,) = await door.house.store.steps.all(project_id, owner_id=run_id)
            assert isinstance(step.step_details, MessageCreation)
            found = await door.house.store.messages.find(
                project_id, step.step_details.message_creation.message_id, owner_id=thread_id
            )
            assert found is not None
            return told, step, found.read()

    told, step, message = asyncio.run(scene())
    assert [name for name in told if "delta" not in name] == _TOLD
    assert (step.status, message.status) == ("completed", "completed")
    assert step.usage is not None
    assert [part.text.value for part in message.content if isinstance(part, Text)] == [
        "You said: Hello"
    ]
    # Behind other processes somebody may listen.
    assert len(commits) == (1 if dialect == "sqlite" else 2)


@pytest.mark.usefixtures("_not_by_itself")
def test_what_is_said_before_anybody_hears_is_told_in_order_and_once() -> None:
    """More than is put off at once, and calls after it, while nobody listens."""
    words = " ".join(str(number) for number in range(200))

    async def scene() -> list[str]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            key = await begun(door.house, f"!say {words}\n!call f\n!call f")
            await _ended(door, key, "requires_action")
            pieces = []
            async for event in door.house.engine.follow(key):
                assert event is not None
                if event.name == "thread.message.delta":
                    (part,) = json.loads(event.data)["delta"]["content"]
                    pieces.append(part["text"]["value"])
            return pieces

    assert "".join(asyncio.run(scene())) == words


def test_a_step_that_nobody_hears_is_seen_to_begin_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = asyncio.Event()

    async def stall(_: Scripted, __: Request) -> AsyncGenerator[Event, None]:
        yield TextDelta("Half")
        yield TextDelta(" a word")
        await silent.wait()

    monkeypatch.setattr(Scripted, "stream", stall)

    async def scene() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            key = await begun(door.house, "Hello")
            steps: list[RunStep] = []
            for _ in itertools.count():
                if steps := await door.house.store.steps.all("proj", owner_id=key[2]):
                    break
                await asyncio.sleep(0)
            assert [step.status for step in steps] == ["in_progress"]
            said = []
            async for event in door.house.engine.follow(key):
                assert event is not None
                if event.name == "thread.message.delta":
                    said.append(event.data)
                if len(said) == 2:
                    break

    asyncio.run(scene())


@pytest.mark.usefixtures("_not_by_itself")
def test_a_run_that_fails_at_once_has_begun_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: Scripted, __: Request) -> AsyncGenerator[Event, None]:
        raise ModelError("No.")
        yield TextDelta("")

    monkeypatch.setattr(Scripted, "stream", refuse)

    async def scene() -> list[str]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            return await _told(door, await begun(door.house, "Hello"))

    assert asyncio.run(scene())[2:] == ["thread.run.in_progress", "thread.run.failed"]


def test_a_run_whose_model_is_silent_begins_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _silence(monkeypatch)

    async def scene() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            key = await begun(door.house, "Hello")
            async for event in door.house.engine.follow(key):
                assert event is not None
                if event.name == "thread.run.in_progress":
                    break
            assert (await _record(door, key)).run.status == "in_progress"

    asyncio.run(scene())


@pytest.mark.usefixtures("_not_by_itself")
def test_a_run_that_is_let_go_before_is_queued_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _silence(monkeypatch)

    async def scene() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            key = await begun(door.house, "Hello")
            await asked.wait()
            await door.house.engine.close()
            record = await _record(door, key)
            assert (record.run.status, record.leased_by, record.events) == ("queued", None, 2)

    asyncio.run(scene())


@pytest.mark.usefixtures("_not_by_itself")
def test_a_run_that_was_held_before_begins_before_its_model_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that its process dies of is given up in the end: for that it must be seen to begin."""

    async def scene() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            key = await begun(door.house, "!call f")
            await _told(door, key)
            asked = _silence(monkeypatch)
            step = (await door.house.store.steps.all("proj", owner_id=key[2]))[0]
            (call,) = step.step_details.tool_calls  # type: ignore[union-attr]
            await runs.submit_tool_outputs(
                Scope(door.house, "proj"),
                thread_id=key[1],
                run_id=key[2],
                body=SubmitToolOutputs(
                    tool_outputs=(ToolOutput(tool_call_id=call.id, output="1"),)
                ),
            )
            await asked.wait()
            assert (await _record(door, key)).run.status == "in_progress"

    asyncio.run(scene())


def _silence(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Have the model say nothing; set when it has been asked."""
    asked = asyncio.Event()

    async def listen(_: Scripted, __: Request) -> AsyncGenerator[Event, None]:
        asked.set()
        await asyncio.get_running_loop().create_future()
        yield TextDelta("")

    monkeypatch.setattr(Scripted, "stream", listen)
    return asked


async def _ended(door: Inside, key: Key, status: str = "completed") -> None:
    """Watched without listening."""
    for _ in itertools.count():
        if (await _record(door, key)).run.status == status:
            return
        await asyncio.sleep(0)


async def _told(door: Inside, key: Key) -> list[str]:
    return [event.name async for event in door.house.engine.follow(key) if event is not None]


async def _record(door: Inside, key: Key) -> RunRecord:
    record = await door.house.store.runs.record(*key)
    assert record is not None
    return record
