"""The engine as the service sees it: runs are created, answered, cancelled, followed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from locum import logs
from locum.clock import Clock
from locum.engine.closing import Ending, close_open
from locum.engine.context import Historian
from locum.engine.dispatch import Dispatch, LocalDispatch
from locum.engine.journal import START, Journal, Key, Place
from locum.engine.loop import Driver
from locum.engine.recorder import Recorder
from locum.engine.states import ACTIVE, TERMINAL
from locum.engine.tracing import Traces
from locum.engine.watching import Watch, nobody_watches
from locum.errors import InvalidRequest, no_such
from locum.ids import Ids
from locum.llm.protocol import Backend
from locum.store.blobs import Blobs
from locum.store.database import Transaction
from locum.store.documents import Document
from locum.store.events import Event
from locum.store.runs import LostLease, Plan, RunRecord
from locum.store.tables import Store
from locum.telemetry.spans import Tracer
from locum.tools.tool import Setting, Tool
from locum.wire.runs import Run, RunError, ToolOutput, Usage
from locum.wire.steps import FunctionCall, RunStep, StepError, ToolCalls
from locum.wire.threads import Thread
from locum.wire.tools import ToolResources

_SWEEP_S = 1.0
# A run that has cost so many workers their life is the likely reason.
_MOST_LOSSES = 3
_STOP_TIMEOUT_S = 30.0
_LEASE_S = 30
_SORRY = "Sorry, something went wrong."
_LOST = "The worker that carried this run was lost; the interrupted turn was begun again."

_CANCELLED = Ending("cancelled", "run_cancelled")
_EXPIRED = Ending("expired", "run_expired")
_FAILED = Ending("failed", "run_failed", StepError("server_error", _SORRY))
_TAKEN_OVER = Ending("failed", "run_failed", StepError("server_error", _LOST))


class Engine:
    def __init__(
        self,
        *,
        store: Store,
        blobs: Blobs,
        clock: Clock,
        ids: Ids,
        backend: Backend,
        tools: Sequence[Tool] = (),
        at_once: int = 1_000,
        for_each: int | None = None,
        worker: str = "local",
        tracer: Tracer | None = None,
        watch: Watch = nobody_watches,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._backend = backend
        self._tools = tools
        self._worker = worker
        self._watch = watch
        self._historian = Historian(store, blobs)
        self._journal = Journal(store)
        self._traces = Traces(tracer, clock)
        self._drivers: dict[Key, Driver] = {}
        self._dispatch: Dispatch = LocalDispatch(self._drive, at_once=at_once, for_each=for_each)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Pick up what an earlier life left behind, and keep watch over deadlines."""
        await self.sweep()
        self._sweeper = asyncio.get_running_loop().create_task(self._keep_sweeping())

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        await self._dispatch.close()

    @property
    def driven(self) -> int:
        """How many runs this process drives now."""
        return len(self._drivers)

    @property
    def waiting(self) -> int:
        """How many wait in this process until it has room for them."""
        return self._dispatch.waiting

    # ------------------------------------------------------------- what clients ask

    async def create(
        self,
        tx: Transaction,
        project_id: str,
        run: Run,
        *,
        plan: Plan,
        thread: Thread | None = None,
    ) -> Document[Run]:
        """Record a new run as part of a larger transaction; `offer` it when that has committed.

        `thread` is the one that was made for it, when one was.
        """
        plan = replace(plan, origin=self._traces.begin(run))
        record = RunRecord(project_id=project_id, run=run, fence=0, attempts=0, events=0, plan=plan)
        return await self._recorder(record).create(tx, thread)

    def offer(self, project_id: str, run: Run) -> None:
        self._watch(None, run)
        self._dispatch.offer((project_id, run.thread_id, run.id))

    def follow(
        self, key: Key, *, after: Place = START, silence_s: float | None = None
    ) -> AsyncIterator[Event | None]:
        """Every event of a run after a place, live, until it ends or waits for its client.

        None tells that nothing has happened for so long; without a number nothing does.
        """
        return self._journal.follow(key, after, silence_s=silence_s)

    async def submit(self, key: Key, outputs: Sequence[ToolOutput]) -> tuple[Run, Place]:
        """Answer the calls a run waits for; the run, queued again, and where it was before."""
        while True:
            with suppress(LostLease):  # Somebody took the run at this moment: look again.
                return await self._submit(key, outputs)

    async def _submit(self, key: Key, outputs: Sequence[ToolOutput]) -> tuple[Run, Place]:
        recorder = await self._take(key, _accepts_outputs)
        before = Place(recorder.record.attempts, recorder.record.events)
        required = recorder.run.required_action
        assert required is not None
        pending = [call.id for call in required.submit_tool_outputs.tool_calls]
        given = [output.tool_call_id for output in outputs]
        if sorted(pending) != sorted(str(call_id) for call_id in given):
            raise InvalidRequest(f"Expected tool outputs for call_ids {pending}, got {given}")
        step = await self._waiting_step(recorder)
        answered = recorder.closed_step(
            step,
            "completed",
            usage=recorder.record.plan.owed or Usage(),
            calls=_answered(step, outputs),
        )
        queued = recorder.moved("queued", plan=replace(recorder.record.plan, owed=None))
        queued.steps = [(answered, ())]
        queued.events = [("thread.run.step.completed", answered), *queued.events]
        await recorder.write(queued)
        self._dispatch.offer(key)
        return recorder.run, before

    async def cancel(self, key: Key) -> Run:
        """Begin to cancel a run; what it then looks like. The end follows at once."""
        while True:
            driver = self._drivers.get(key)
            if driver is None:
                with suppress(LostLease):  # Somebody took the run at this moment: look again.
                    return await self._cancel_undriven(key)
                continue
            _accepts_cancel(await self._record(key))
            driver.stop("cancelled")
            await self._dispatch.driven(key, timeout_s=_STOP_TIMEOUT_S, or_else=driver.cancelling)
            if driver.cancelling.done():
                return driver.cancelling.result()

    async def _cancel_undriven(self, key: Key) -> Run:
        recorder = await self._take(key, _accepts_cancel)
        await recorder.move("cancelling")
        cancelling = recorder.run
        with suppress(LostLease):  # Whoever takes a run that is cancelling brings it to its end.
            spent = await close_open(self._store, recorder, _CANCELLED)
            await recorder.move("cancelled", usage=spent)
        return cancelling

    async def expire(self, key: Key) -> None:
        """End a run whose time is up, whatever it is doing."""
        while True:
            driver = self._drivers.get(key)
            if driver is not None:
                # It may just have come to where it waits for its client: then look again.
                driver.stop("expired")
                await self._dispatch.driven(key, timeout_s=_STOP_TIMEOUT_S)
                continue
            with suppress(LostLease):  # Somebody took the run at this moment: look again.
                recorder = await self._take(key, _nothing_to_say)
                if recorder.run.status in ACTIVE:
                    await self._end(recorder, "expired")
                return

    async def forget(self, project_id: str, *, thread_id: str, run_id: str | None) -> None:
        """The thread is gone: stop what runs on it, and tell those who listen."""
        if run_id is not None:
            await self._dispatch.drop((project_id, thread_id, run_id))
            self._journal.gone((project_id, thread_id, run_id))
        for tool in self._tools:
            await tool.forget(project_id, thread_id)

    # ----------------------------------------------------------------- the watchman

    async def sweep(self) -> None:
        """End what is overdue, and have driven what nobody drives."""
        for record in await self._store.runs.overdue(self._clock.now()):
            await self.expire(_key(record))
        for record in await self._store.runs.alive(
            statuses=("queued", "in_progress", "cancelling")
        ):
            self._dispatch.offer(_key(record))

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self.sweep()
            except Exception as failure:  # noqa: BLE001  # the watch must go on
                logs.error("engine.sweep_failed", failure=failure)

    # ---------------------------------------------------------------------- driving

    async def _drive(self, key: Key) -> None:
        """Drive one run as far as it goes. Whatever happens, the run is not left hanging."""
        try:
            await self._claim_and_drive(key)
        except LostLease:
            logs.info("run.lost_lease", run_id=key[2])
        except Exception as failure:  # noqa: BLE001  # a worker's outermost loop
            logs.error("run.broke", failure=failure, run_id=key[2])
            await self._fail_broken(key)

    async def _claim_and_drive(self, key: Key) -> None:
        record = await self._store.runs.record(*key)
        if record is None or record.run.status in TERMINAL | {"requires_action"}:
            return
        self._traces.enter(record)
        recorder = self._recorder(record)
        lost = record.run.status == "in_progress"
        if not await recorder.claim(
            worker=self._worker, until=self._clock.now() + _LEASE_S, taken_over=lost
        ):
            return
        if record.run.status == "cancelling":
            await self._end(recorder, "cancelled")
        elif not lost or await self._take_over(recorder):
            await self._drive_claimed(key, recorder)

    async def _drive_claimed(self, key: Key, recorder: Recorder) -> None:
        steps = await self._store.steps.all(key[0], owner_id=key[2])
        spent = sum((step.usage for step in steps if step.usage is not None), start=Usage())
        driver = Driver(
            recorder,
            backend=self._backend,
            tools=self._tools,
            historian=self._historian,
            setting=await self._setting(recorder),
            spent=spent,
            turns=sum(step.status == "completed" for step in steps),
        )
        self._drivers[key] = driver
        try:
            await driver.drive()
            await recorder.settle()
        finally:
            del self._drivers[key]

    async def _take_over(self, recorder: Recorder) -> bool:
        """Close what the lost worker left open; False when the run has failed over it."""
        spent = await close_open(self._store, recorder, _TAKEN_OVER)
        if recorder.record.attempts < _MOST_LOSSES:
            return True
        message = f"This run was lost {_MOST_LOSSES} times with the workers that carried it."
        await recorder.move("failed", usage=spent, last_error=RunError("server_error", message))
        return False

    async def _fail_broken(self, key: Key) -> None:
        try:
            recorder = await self._take(key, _nothing_to_say)
            if recorder.run.status in ACTIVE:
                await self._end(recorder, "failed")
        except Exception as failure:  # noqa: BLE001  # the sweep will find the run again
            logs.error("run.not_failed", failure=failure, run_id=key[2])

    async def _end(
        self, recorder: Recorder, status: Literal["failed", "expired", "cancelled"]
    ) -> None:
        """End a run that nobody drives, with all that it has open."""
        ending = {"failed": _FAILED, "expired": _EXPIRED, "cancelled": _CANCELLED}[status]
        spent = await close_open(self._store, recorder, ending)
        error = RunError("server_error", _SORRY) if status == "failed" else None
        await recorder.move(status, usage=spent, last_error=error)

    # ---------------------------------------------------------------------- private

    async def _record(self, key: Key) -> RunRecord:
        record = await self._store.runs.record(*key)
        if record is None:
            raise no_such("run", key[2])
        return record

    async def _take(self, key: Key, check: Callable[[RunRecord], None]) -> Recorder:
        """Claim a run that nobody drives, if `check` finds nothing against it."""
        while True:
            record = await self._record(key)
            check(record)
            recorder = self._recorder(record)
            if await recorder.claim(
                worker=self._worker, until=self._clock.now() + _LEASE_S, taken_over=False
            ):
                return recorder

    def _recorder(self, record: RunRecord) -> Recorder:
        return Recorder(
            store=self._store,
            journal=self._journal,
            clock=self._clock,
            ids=self._ids,
            record=record,
            trace=self._traces.of(record),
            watch=self._watch,
        )

    async def _waiting_step(self, recorder: Recorder) -> RunStep:
        steps = await self._store.steps.all(recorder.record.project_id, owner_id=recorder.run.id)
        return next(step for step in reversed(steps) if step.status == "in_progress")

    async def _setting(self, recorder: Recorder) -> Setting:
        """What the hosted tools of a run may use: its assistant's resources and its thread's."""
        project_id, run = recorder.record.project_id, recorder.run
        thread = await self._store.threads.find(project_id, run.thread_id)
        held = [recorder.record.plan.resources]
        if thread is not None:
            held.append(thread.read().tool_resources)
        return Setting(
            project_id=project_id,
            run=run,
            headers=recorder.record.plan.headers,
            file_ids=_distinct(
                file_id
                for resources in held
                if resources.code_interpreter is not UNSET
                for file_id in resources.code_interpreter.file_ids
            ),
            vector_store_ids=_stores(held),
            thread_store_ids=_stores(held[1:]),
        )


def _key(record: RunRecord) -> Key:
    return record.project_id, record.run.thread_id, record.run.id


def _accepts_outputs(record: RunRecord) -> None:
    if record.run.status != "requires_action":
        raise InvalidRequest(f'Runs in status "{record.run.status}" do not accept tool outputs.')


def _accepts_cancel(record: RunRecord) -> None:
    if record.run.status in TERMINAL or record.run.status == "cancelling":
        raise InvalidRequest(f"Cannot cancel run with status '{record.run.status}'.")


def _nothing_to_say(record: RunRecord) -> None:
    """Take the run in whatever state it is."""


def _answered(step: RunStep, outputs: Sequence[ToolOutput]) -> tuple[FunctionCall, ...]:
    assert isinstance(step.step_details, ToolCalls)
    by_id = {output.tool_call_id: output.output or "" for output in outputs}
    return tuple(
        replace(call, function=replace(call.function, output=by_id[call.id]))
        for call in step.step_details.tool_calls
        if isinstance(call, FunctionCall)
    )


def _stores(held: Sequence[ToolResources]) -> tuple[str, ...]:
    return _distinct(
        store_id
        for resources in held
        if resources.file_search is not UNSET
        for store_id in resources.file_search.vector_store_ids
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
