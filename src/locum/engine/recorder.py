"""Writes what a run does: the only writer of steps, of a run's progress and of its events.

A change of state is one transaction, rows and events together, and is told after it commits.
Deltas are told at once and written in small batches, or with the next change of state.
The recorder decides nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.clock import Clock
from locum.engine.change import Change, Labelled, write_rows
from locum.engine.journal import Journal, Key
from locum.engine.states import TERMINAL, move
from locum.engine.tracing import RunTrace
from locum.engine.watching import Watch, nobody_watches
from locum.errors import Unavailable
from locum.ids import Ids
from locum.store.database import Transaction
from locum.store.documents import Document
from locum.store.events import Event
from locum.store.runs import LostLease, Plan, RunRecord
from locum.store.tables import Store
from locum.wire.messages import (
    ContentDelta,
    IncompleteDetails,
    IncompleteReason,
    Message,
    MessageDelta,
    Part,
)
from locum.wire.runs import Run, RunStatus, Usage
from locum.wire.steps import (
    CallsDelta,
    DetailsDelta,
    MessageCreation,
    MessageRef,
    RunStep,
    StepDelta,
    StepError,
    StepStatus,
    ToolCall,
    ToolCalls,
    text_of,
)
from locum.wire.threads import Thread
from locum.wire.tools import CodeResources, ToolResources

_BATCH = 64
_TOGETHER_S = 0.01
# Most models have said something by then, and a run's beginning is one commit with its first step;
# of an answer that comes at once, the end as well.
_AHEAD_S = 0.01
_AGAIN_S = 0.1
_AGAIN_AT_MOST_S = 1.0
_encode = msgspec.json.encode


class Pace(Struct, frozen=True):
    """How a recorder writes: deltas in batches of so long, and again what did not go through."""

    batch_s: float = 0.1
    tries_again: bool = False


class Recorder:
    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        clock: Clock,
        ids: Ids,
        record: RunRecord,
        holds: Callable[[RunRecord], bool],
        pace: Pace,
        trace: RunTrace,
        watch: Watch = nobody_watches,
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._holds = holds
        self._pace = pace
        self._watch = watch
        self.trace = trace
        self.record = record
        self._number = record.events
        self._unwritten: list[Event] = []
        # What nobody waits for, until it is written with what comes next.
        self._ahead: Change | None = None
        self._writing = asyncio.Lock()
        # When what waits to be written is written by itself, and the task that does it.
        self._due: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    @property
    def run(self) -> Run:
        ahead = None if self._ahead is None else self._ahead.run
        return ahead or self.record.run

    @property
    def key(self) -> Key:
        return self.record.project_id, self.run.thread_id, self.run.id

    def now(self) -> int:
        return self._clock.now()

    # ---------------------------------------------------------------------- runs

    async def create(self, tx: Transaction, thread: Thread | None) -> Document[Run]:
        """Insert the run with its first events, as part of the request's own transaction."""
        run = self.run
        told: list[tuple[str, Struct]] = [] if thread is None else [("thread.created", thread)]
        told += [("thread.run.created", run), ("thread.run.queued", run)]
        events = [self._event(name, data) for name, data in told]
        self.record = replace(self.record, events=self._number)
        document = await self._store.runs.add(
            tx,
            self.record.project_id,
            run,
            plan=self.record.plan,
            fence=self.record.fence,
            events=self._number,
            leased_by=self.record.leased_by,
        )
        project_id, now = self.record.project_id, self.now()
        await self._store.events.append(tx, project_id, run.id, events, now=now)
        return document

    async def claim(self, *, worker: str) -> bool:
        """Take the run, so that nobody else's writes count; False when somebody was quicker."""
        # What an earlier holder told and had not written is kept apart by a life of its own.
        begun = self.run.status == "in_progress"
        async with self._store.transaction() as tx:
            fence = await self._store.runs.claim(tx, self.record, worker=worker, new_life=begun)
        if fence is None:
            return False
        attempts = self.record.attempts + begun
        self.record = replace(self.record, fence=fence, leased_by=worker, attempts=attempts)
        return True

    def begin(self) -> None:
        """Be in progress; nobody waits for that."""
        self._put_off(self.moved("in_progress"))

    async def move(self, status: RunStatus, **changes: Any) -> None:
        await self.write(self.moved(status, **changes))

    def moved(self, status: RunStatus, *, plan: Plan | None = None, **changes: Any) -> Change:
        run = move(self.run, status, now=self.now(), **changes)
        if status in TERMINAL and self.record.plan.headers:
            # Secrets are kept no longer than they are needed.
            plan = replace(plan or self.record.plan, headers={})
        return Change(run=run, plan=plan, events=[(f"thread.run.{status}", run)])

    # --------------------------------------------------------------------- steps

    async def open_message(self, part: dict[str, Any]) -> tuple[RunStep, Message]:
        """Begin a message and its step with the first thing it says."""
        now = self.now()
        message = Message(
            id=self._ids.new("msg"),
            created_at=now,
            assistant_id=self.run.assistant_id,
            thread_id=self.run.thread_id,
            run_id=self.run.id,
            status="in_progress",
            incomplete_details=None,
            incomplete_at=None,
            completed_at=None,
            role="assistant",
            content=(),
            attachments=(),
            metadata={},
        )
        step = self._new_step(MessageCreation(MessageRef(message.id)), now)
        await self._open(
            Change(
                new_step=step,
                new_message=message,
                events=[
                    ("thread.run.step.created", step),
                    ("thread.run.step.in_progress", step),
                    ("thread.message.created", message),
                    ("thread.message.in_progress", message),
                    ("thread.message.delta", _message_delta(message, part)),
                ],
            )
        )
        return step, message

    async def open_calls(self, call: dict[str, Any]) -> RunStep:
        """Begin a step of tool calls with its first call."""
        step = self._new_step(ToolCalls(()), self.now())
        await self._open(
            Change(
                new_step=step,
                events=[
                    ("thread.run.step.created", step),
                    ("thread.run.step.in_progress", step),
                    ("thread.run.step.delta", _step_delta(step, call)),
                ],
            )
        )
        return step

    async def say(self, message: Message, part: dict[str, Any]) -> None:
        await self._tell("thread.message.delta", _message_delta(message, part))

    async def call(self, step: RunStep, call: dict[str, Any]) -> None:
        await self._tell("thread.run.step.delta", _step_delta(step, call))

    def closed_message(
        self, message: Message, parts: tuple[Part, ...], reason: IncompleteReason | None
    ) -> Message:
        now = self.now()
        return replace(
            message,
            content=parts,
            status="completed" if reason is None else "incomplete",
            completed_at=now if reason is None else None,
            incomplete_at=None if reason is None else now,
            incomplete_details=None if reason is None else IncompleteDetails(reason),
        )

    def closed_step(
        self,
        step: RunStep,
        status: StepStatus,
        *,
        usage: Usage | None,
        calls: tuple[ToolCall, ...] | None = None,
        error: StepError | None = None,
    ) -> RunStep:
        now = self.now()
        return replace(
            step,
            status=status,
            completed_at=now if status == "completed" else None,
            cancelled_at=now if status == "cancelled" else None,
            failed_at=now if status == "failed" else None,
            expired_at=now if status == "expired" else None,
            last_error=error,
            step_details=step.step_details if calls is None else ToolCalls(calls),
            usage=usage,
        )

    def spoken(self, message: Message, step: RunStep) -> Change:
        """A message ends with its step, and with both what was owed of an earlier answer."""
        plan = self.record.plan
        return Change(
            plan=None if plan.late is None else replace(plan, late=None),
            message=message,
            steps=[(step, ())],
            events=[
                (f"thread.message.{message.status}", message),
                (f"thread.run.step.{step.status}", step),
            ],
        )

    # ------------------------------------------------------------------- writing

    async def write(self, change: Change) -> None:
        """Commit rows and events together, then tell the events. Never left half done."""
        await self._ready(change)
        await _whole(self._write_labelled(change))

    async def _open(self, change: Change) -> None:
        """Begin a step: at once when somebody may listen."""
        if self._journal.is_heard(self.key):
            await self.write(change)
        else:
            await self._ready(change)
            self._put_off(change)

    async def _ready(self, change: Change) -> None:
        """See to it that a change may be written together with what was put off."""
        await self.settle()
        if self._ahead is not None and not change.fits_after(self._ahead):
            await self.flush()

    async def flush(self) -> None:
        """Write what waits to be written: deltas that were told, and what was put off."""
        await _whole(self._write(Change()))

    async def _write_labelled(self, change: Change) -> None:
        while True:
            try:
                return await self._write(change)
            except Labelled as given:
                change = change.labelled(given.metadata)

    async def _write(self, change: Change) -> None:
        async with self._writing:
            if self._ahead is not None:
                change = change.after(self._ahead)
            deltas = self._unwritten
            events = [self._event(name, data) for name, data in change.events]
            if not deltas and not events and not change.steps:
                return
            self._unwritten = []
            batch = [*deltas, *events]
            # More may be told while this is being written; it is not in this batch.
            last = batch[-1].number if batch else self.record.events
            try:
                await self._commit(change, batch, last)
            except BaseException:
                # Nothing was written: the deltas wait on, the numbers are free again.
                self._unwritten = [*deltas, *self._unwritten]
                self._number -= len(events)
                raise
            if batch:
                self._journal.written(self.key, last)
            before = self.record.run
            self.record = replace(
                self.record,
                events=last,
                run=change.run or before,
                plan=change.plan or self.record.plan,
                leased_by=None if change.lets_go else self.record.leased_by,
            )
            self._ahead = None
            for run in change.states:
                self._watch(before, run)
                before = run
            for event in events:
                self._journal.tell(self.key, event, written=True)
            self.trace.wrote(steps=change.steps, run=change.run)

    async def _commit(self, change: Change, batch: list[Event], last: int) -> None:
        """Write once, however often the database has to be asked while the run is still ours."""
        pause_s = _AGAIN_S
        asked = False
        while True:
            try:
                if asked and await self._is_written(last):
                    return
                asked = True
                await self._write_once(change, batch)
            except Unavailable as error:
                if not self._pace.tries_again:
                    raise
                if not self._holds(self.record):
                    raise LostLease(self.run.id) from error
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _AGAIN_AT_MOST_S)

    async def _is_written(self, last: int) -> bool:
        """Whether a commit went through of which the database could not tell us any more."""
        there = await self._store.runs.record(*self.key)
        if there is None or there.fence != self.record.fence:
            raise LostLease(self.run.id)
        return there.events == last != self.record.events

    async def _write_once(self, change: Change, batch: list[Event]) -> None:
        columns = change.columns(self.now())
        if not change.has_rows:
            await self._store.events.note(self.record, batch, now=self.now(), **columns)
            return
        async with self._store.transaction() as tx:
            await self._store.events.note(self.record, batch, now=self.now(), tx=tx, **columns)
            await write_rows(tx, self._store, self.record.project_id, change)

    async def settle(self) -> None:
        """Wait for the batch that is being written; what failed there is raised here."""
        if (flushing := await self._no_more_alone()) is not None:
            flushing.result()

    async def leave(self) -> None:
        """Write nothing more, and wait for nothing: the run is another's, or over."""
        self._ahead = None
        if (flushing := await self._no_more_alone()) is not None:
            flushing.exception()  # Whoever has the run now knows better.

    async def _no_more_alone(self) -> asyncio.Task[None] | None:
        """Begin to write nothing by itself any more; what was begun, when it has ended."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            await asyncio.wait([flushing])
        return flushing

    async def _tell(self, name: str, data: Struct) -> None:
        if not self._holds(self.record):
            raise LostLease(self.run.id)
        if self._ahead is not None and self._flushing is not None:
            await self.settle()  # What was put off is being written, and this comes after it.
        if self._ahead is not None:
            self._put_off(Change(events=[(name, data)]))
            if len(self._ahead.events) >= _BATCH:
                await self.flush()
            return
        if self._flushing is not None and self._flushing.done():
            self._flushing.result()
        event = self._event(name, data)
        self._unwritten.append(event)
        self._journal.tell(self.key, event, written=False)
        if len(self._unwritten) >= _BATCH:
            await self.flush()
        elif self._due is None and (self._flushing is None or self._flushing.done()):
            self._write_alone(self._pace.batch_s)

    def _put_off(self, change: Change) -> None:
        """Write it with what comes next, or soon."""
        self._ahead = change if self._ahead is None else change.after(self._ahead)
        if self._due is None:
            self._write_alone(_AHEAD_S)

    def _write_alone(self, after_s: float) -> None:
        """By itself when nothing else was written; together with other runs, who share a commit."""
        loop = asyncio.get_running_loop()
        due = loop.time() + after_s
        self._due = loop.call_at(due + _TOGETHER_S - due % _TOGETHER_S, self._flush_alone)

    def _flush_alone(self) -> None:
        self._due = None
        self._flushing = _heeded(asyncio.get_running_loop().create_task(self._write(Change())))

    def _event(self, name: str, data: Struct) -> Event:
        self._number += 1
        if isinstance(data, RunStep):
            text = text_of(self._mirrored(data))
        else:
            text = _encode(_in_stream(data) if isinstance(data, Run) else data).decode()
        return Event(number=self._number, life=self.record.attempts, name=name, data=text)

    def _mirrored(self, step: RunStep) -> RunStep:
        """A step in a stream bears the deadline of its run, which has not ended yet."""
        return replace(step, expires_at=self.run.expires_at)

    def _new_step(self, details: MessageCreation | ToolCalls, now: int) -> RunStep:
        step = RunStep(
            id=self._ids.new("step"),
            created_at=now,
            run_id=self.run.id,
            assistant_id=self.run.assistant_id,
            thread_id=self.run.thread_id,
            type="message_creation" if isinstance(details, MessageCreation) else "tool_calls",
            status="in_progress",
            cancelled_at=None,
            completed_at=None,
            expires_at=None,
            expired_at=None,
            failed_at=None,
            last_error=None,
            step_details=details,
            usage=None,
            metadata={},
        )
        self.trace.opened(step)
        return step


async def _whole(work: Coroutine[None, None, None]) -> None:
    """Finish what was begun, even when the one who waits for it is cancelled meanwhile."""
    task = _heeded(asyncio.get_running_loop().create_task(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _heeded(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Whoever waits is told of a failure; that nobody does any more is nothing to complain of."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task


def _message_delta(message: Message, part: dict[str, Any]) -> MessageDelta:
    return MessageDelta(id=message.id, delta=ContentDelta((part,)))


def _step_delta(step: RunStep, call: dict[str, Any]) -> StepDelta:
    return StepDelta(id=step.id, delta=DetailsDelta(CallsDelta((call,))))


def _in_stream(run: Run) -> Run:
    """The run as streams show it: they spell out the empty code interpreter."""
    return replace(run, tool_resources=ToolResources(code_interpreter=CodeResources()))
