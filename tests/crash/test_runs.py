"""Stop the process at every write of a run, start again, compare with the undisturbed result."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import pytest
from tests.kit.clocks import SteppedClock
from tests.kit.mortal import Died, Moment, MortalDatabase

from locum.app import open_searcher
from locum.engine import fold
from locum.engine.engine import Engine
from locum.engine.states import TERMINAL
from locum.ids import RandomIds
from locum.llm.scripted import Scripted
from locum.metrics import Metrics
from locum.service import assistants, runs
from locum.service.backlog import Backlog
from locum.service.health import Health
from locum.service.scope import House, Scope
from locum.settings import Settings
from locum.store.blobs.local import LocalBlobs
from locum.store.events import Event
from locum.store.migrations import migrate
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store
from locum.tools.file_search.embedding import WordsOnly
from locum.tools.tool import Function, Kind, Memory, Setting
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage, Message, Text
from locum.wire.runs import (
    CreateRunQuery,
    CreateThreadAndRun,
    Run,
    SubmitToolOutputs,
    ToolOutput,
    Usage,
)
from locum.wire.steps import (
    Code,
    CodeInterpreterCall,
    LogOutput,
    MessageCreation,
    RunStep,
    ToolCall,
    ToolCalls,
)
from locum.wire.threads import CreateThread
from locum.wire.tools import CodeInterpreterTool, FunctionDefinition, FunctionTool

PROJECT = "proj_crash"
WAIT_S = 30.0
SCRIPT = """!say Let me see.
!call weather {"city": "Paris"}
!call weather {"city": "Rome"}
!then
!python print(6 * 7)
!then
!say All is well, and forty-two."""


class Adder:
    """A hosted tool in the place of the code interpreter; it prints what it is given."""

    kind: ClassVar[Kind] = "code_interpreter"

    async def functions(self, setting: Setting) -> Sequence[Function]:
        return (Function("python", "runs", {"type": "object", "properties": {}}),)

    async def open(self, setting: Setting, *, call_id: str, name: str, **_: object) -> "AdderCall":
        return AdderCall(call_id, name)

    async def forget(self, project_id: str, thread_id: str) -> None:
        """It keeps nothing."""


class AdderCall:
    def __init__(self, call_id: str, name: str) -> None:
        self._call_id = call_id
        self._name = name
        self._input = ""
        self._logs = ""

    def begin(self) -> dict[str, Any]:
        return {"input": "", "outputs": []}

    def write(self, arguments: str) -> dict[str, Any] | None:
        self._input += arguments
        return {"input": arguments}

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        self._logs = "42\n"
        yield {"outputs": [{"index": 0, "type": "logs", "logs": "42\n"}]}

    def done(self) -> ToolCall:
        outputs = (LogOutput(self._logs),) if self._logs else ()
        return CodeInterpreterCall(id=self._call_id, code_interpreter=Code(self._input, outputs))

    def memory(self) -> Memory:
        return Memory(self._call_id, self._name, self._input, self._logs)


class Life:
    """One process: a house over a database that may die."""

    def __init__(self, directory: Path, *, dies_at: int | None = None, moment: Moment) -> None:
        database = SqliteDatabase(directory / "locum.db", durable=False)
        self.database = MortalDatabase(database, dies_at=dies_at, moment=moment)
        self.store = Store(self.database)
        blobs, clock, ids = LocalBlobs(directory / "blobs"), SteppedClock(), RandomIds()
        self.engine = Engine(
            store=self.store,
            blobs=blobs,
            clock=clock,
            ids=ids,
            backend=Scripted(),
            tools=[Adder()],
        )
        house = House(
            settings=Settings(data=directory),
            clock=clock,
            ids=ids,
            store=self.store,
            blobs=blobs,
            engine=self.engine,
            backend=Scripted(),
            searcher=open_searcher(self.store, WordsOnly()),
            metrics=Metrics(version="test"),
            health=Health(self.store),
            backlog=Backlog(self.store, clock, most=10),
        )
        self.scope = Scope(house, PROJECT)

    async def __aenter__(self) -> Self:
        await migrate(self.database)
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Died):  # The dead take leave of nobody.
            await self.engine.close()
        await self.database.close()


async def play(life: Life) -> Run:
    """What a client does, whichever part of it an earlier life has already seen done."""
    await life.engine.start()
    run = await _the_run(life)
    while run.status not in TERMINAL:
        if run.status == "requires_action":
            assert run.required_action is not None
            calls = run.required_action.submit_tool_outputs.tool_calls
            await runs.submit_tool_outputs(
                life.scope,
                thread_id=run.thread_id,
                run_id=run.id,
                body=SubmitToolOutputs(
                    tool_outputs=tuple(
                        ToolOutput(tool_call_id=call.id, output="sunny") for call in calls
                    )
                ),
            )
        async for _ in life.engine.follow((PROJECT, run.thread_id, run.id)):
            if life.database.dead:
                raise Died
        run = (await runs.get_run(life.scope, thread_id=run.thread_id, run_id=run.id)).read()
    return run


async def _the_run(life: Life) -> Run:
    rows = await life.store.db.fetch("SELECT thread_id, id FROM runs")
    if not rows:
        assistant = await assistants.create_assistant(
            life.scope,
            body=CreateAssistant(
                model="scripted",
                tools=(
                    FunctionTool(FunctionDefinition(name="weather")),
                    CodeInterpreterTool(),
                ),
            ),
        )
        created = await runs.create_thread_and_run(
            life.scope,
            body=CreateThreadAndRun(
                assistant_id=assistant.id,
                thread=CreateThread(messages=(CreateMessage(role="user", content=SCRIPT),)),
            ),
            query=CreateRunQuery(),
        )
        assert not isinstance(created, runs.RunStream)
        return created.read()
    found = await runs.get_run(life.scope, thread_id=rows[0][0], run_id=rows[0][1])
    return found.read()


class Outcome(msgspec.Struct):
    """What is left in the database when all is over."""

    run: Run
    steps: list[RunStep]
    messages: dict[str, Message]
    events: list[Event]

    @property
    def story(self) -> list[Any]:
        """What the run did, without ids and without what lost workers left behind.

        The turn that was interrupted is begun again, and a model may then say again what it had
        said before its calls: said twice in a row counts once. Calls are never made twice.
        """
        told: list[Any] = []
        for step in self.steps:
            if step.status == "completed":
                again = step.type == "message_creation" and told[-1:] == [self._told(step)]
                told += [] if again else [self._told(step)]
        return told

    def _told(self, step: RunStep) -> Any:
        if isinstance(step.step_details, MessageCreation):
            message = self.messages[step.step_details.message_creation.message_id]
            return [part.text.value for part in message.content if isinstance(part, Text)]
        return [
            {key: value for key, value in msgspec.to_builtins(call).items() if key != "id"}
            for call in step.step_details.tool_calls
        ]


async def outcome(life: Life, run: Run) -> Outcome:
    steps = await life.store.steps.all(PROJECT, owner_id=run.id)
    messages = await life.store.messages.all(PROJECT, owner_id=run.thread_id)
    events = await life.store.events.after(PROJECT, run.id, number=0, life=0, limit=10_000)
    return Outcome(run, steps, {message.id: message for message in messages}, events)


async def one_life(
    directory: Path, *, dies_at: int | None, moment: Moment = "before"
) -> tuple[Outcome | None, int]:
    """The outcome, or None when the process died first; how many writes there were."""
    async with Life(directory, dies_at=dies_at, moment=moment) as life:
        # What a dead process leaves unfinished is nobody's error.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        playing = asyncio.ensure_future(play(life))
        dying = asyncio.ensure_future(life.database.death.wait())
        await asyncio.wait({playing, dying}, timeout=WAIT_S, return_when="FIRST_COMPLETED")
        assert playing.done() or dying.done(), "the run neither ended nor died"
        for task in (playing, dying):
            task.cancel()
        await asyncio.wait({playing, dying})
        if life.database.dead:
            if not playing.cancelled():
                with suppress(Died):
                    playing.result()
            return None, life.database.writes
        run = playing.result()
        writes = life.database.writes
        return await outcome(life, run), writes


def check(end: Outcome) -> None:
    """What must hold of every run that is over, however it went."""
    assert end.run.status == "completed"
    assert [event.number for event in end.events] == list(range(1, len(end.events) + 1))
    assert end.run.usage == sum((step.usage or Usage() for step in end.steps), start=Usage())
    assert all(step.status in {"completed", "failed"} for step in end.steps)
    for step in end.steps:
        if step.status == "failed":
            assert step.last_error is not None
            assert "worker" in step.last_error.message
        if isinstance(step.step_details, ToolCalls):
            told = fold.step_calls(end.events, step.id)
            assert [call.id for call in told] == [c.id for c in step.step_details.tool_calls]
        else:
            message = end.messages[step.step_details.message_creation.message_id]
            assert fold.message_parts(end.events, message.id) == message.content
            assert message.status == ("completed" if step.status == "completed" else "incomplete")
    ended = [event.name for event in end.events if event.name == "thread.run.completed"]
    assert ended == ["thread.run.completed"]
    assert end.events[-1].name == "thread.run.completed"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_stopped_at_any_write_ends_as_if_it_had_not_been(
    tmp_path: Path, moment: Moment
) -> None:
    undisturbed, writes = asyncio.run(one_life(_new(tmp_path, "calm"), dies_at=None))
    assert undisturbed is not None
    check(undisturbed)
    assert len(undisturbed.story) == 4
    for dies_at in range(1, writes + 1):
        directory = _new(tmp_path, f"{moment}-{dies_at}")
        ended, _ = asyncio.run(one_life(directory, dies_at=dies_at, moment=moment))
        if ended is None:
            ended, _ = asyncio.run(one_life(directory, dies_at=None))
        assert ended is not None
        check(ended)
        assert ended.story == undisturbed.story, f"died {moment} write {dies_at}"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_stopped_again_while_it_recovers_still_ends_well(
    tmp_path: Path, moment: Moment
) -> None:
    undisturbed, writes = asyncio.run(one_life(_new(tmp_path, "calm"), dies_at=None))
    assert undisturbed is not None
    for first in range(1, writes + 1):
        second = 1
        while True:
            directory = _new(tmp_path, f"{moment}-{first}-{second}")
            asyncio.run(one_life(directory, dies_at=first, moment=moment))
            ended, _ = asyncio.run(one_life(directory, dies_at=second, moment=moment))
            last_round = ended is not None
            if ended is None:
                ended, _ = asyncio.run(one_life(directory, dies_at=None))
            assert ended is not None
            check(ended)
            assert ended.story == undisturbed.story, f"died {moment} {first}, then {second}"
            if last_round:
                break
            second += 1


def _new(parent: Path, name: str) -> Path:
    directory = parent / name
    directory.mkdir()
    return directory
