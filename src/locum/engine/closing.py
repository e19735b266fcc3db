"""Closes what a run has open in the database, where no driver is there to do it.

So end a run that waits for its client, and the turn that a lost worker left behind.
"""

from msgspec import Struct
from msgspec.structs import replace

from locum.engine import fold
from locum.engine.change import Change
from locum.engine.context import read_history
from locum.engine.recorder import Recorder
from locum.engine.voice import Voice
from locum.store.events import Event
from locum.store.runs import Words
from locum.store.tables import Store
from locum.tools.tool import Memory
from locum.wire.messages import IncompleteReason
from locum.wire.runs import Usage
from locum.wire.steps import (
    FunctionCall,
    MessageCreation,
    RunStep,
    StepError,
    StepStatus,
    ToolCall,
    ToolCalls,
)

_READ = 1_000
_MAYBE_DONE = (
    "Error: it is not known whether this call was carried out; the worker that made it was lost."
)
# Above every life: then the number alone decides what comes after.
_ANY_LIFE = 1_000_000


class Ending(Struct, frozen=True):
    """How everything that is open comes to its end."""

    status: StepStatus
    cut: IncompleteReason
    error: StepError | None = None
    # Whether the run goes on, and can say itself what is owed.
    goes_on: bool = False


async def close_open(store: Store, recorder: Recorder, ending: Ending) -> Usage:
    """End every step that is in progress; what all steps of the run have cost."""
    steps = await store.steps.all(recorder.record.project_id, owner_id=recorder.run.id)
    opened = [step for step in steps if step.status == "in_progress"]
    owed = recorder.record.plan.owed or Usage()
    spent = sum((step.usage for step in steps if step.usage is not None), start=owed)
    events = await _journal(store, recorder) if opened else []
    for step in opened:
        closed = recorder.closed_step(step, ending.status, usage=owed, error=ending.error)
        change = await _closed(store, recorder, closed, events, ending)
        await recorder.write(change)
        owed = Usage()
    if recorder.record.plan.late is not None and not ending.goes_on:
        await _say(store, recorder, recorder.record.plan.late, ending)
    return spent


async def _say(store: Store, recorder: Recorder, words: Words, ending: Ending) -> None:
    """What was said after functions that nobody answers any more."""
    history = await read_history(store, recorder.record.project_id, recorder.run)
    voice = Voice(recorder, history)
    await voice.say_words(words)
    change = await voice.close(ending.status, usage=Usage(), cut=ending.cut, error=ending.error)
    await recorder.write(change)


async def _closed(
    store: Store, recorder: Recorder, step: RunStep, events: list[Event], ending: Ending
) -> Change:
    name = f"thread.run.step.{ending.status}"
    match step.step_details:
        case ToolCalls(tool_calls):
            calls = ToolCalls(tool_calls or fold.step_calls(events, step.id))
            step = replace(step, step_details=calls)
            # A run that is not in progress waits for its client, and no tool was at work.
            begun = _begun(tool_calls) if recorder.run.status == "in_progress" else ()
            return Change(steps=[(step, begun)], events=[(name, step)])
        case MessageCreation(made):
            found = await store.messages.find(
                recorder.record.project_id, made.message_id, owner_id=recorder.run.thread_id
            )
            if found is None:
                return Change(steps=[(step, ())], events=[(name, step)])
            parts = fold.message_parts(events, made.message_id)
            message = recorder.closed_message(found.read(), parts, ending.cut)
            return recorder.spoken(message, step)


def _begun(calls: tuple[ToolCall, ...]) -> tuple[Memory, ...]:
    """Calls of foreign servers that were being made, so that a model does not repeat them unaware.

    The row of a step names its calls only when a tool has begun to do them. Code may run again:
    its interpreter died with the worker. So may a search.
    """
    return tuple(
        Memory(call.id, call.function.name, call.function.arguments, _MAYBE_DONE)
        for call in calls
        if isinstance(call, FunctionCall)
    )


async def _journal(store: Store, recorder: Recorder) -> list[Event]:
    project_id, _, run_id = recorder.key
    events: list[Event] = []
    while True:
        after = events[-1].number if events else 0
        more = await store.events.after(
            project_id, run_id, number=after, life=_ANY_LIFE, limit=_READ
        )
        events += more
        if len(more) < _READ:
            return events
