"""What clients may do to a run that exists: answer it, cancel it, let it expire, delete its thread.

A run that is driven here is stopped directly, one that is driven elsewhere by a bell. Whoever does
not react in time loses it: it is taken with a new fence, as a run that nobody drives is.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from locum.engine.bells import Bell, Bells
from locum.engine.claims import CANCELLED, Claims
from locum.engine.closing import close_open
from locum.engine.dispatch import Dispatch
from locum.engine.drives import Drives, nothing_against
from locum.engine.journal import Journal, Key, Place, RunGone
from locum.engine.recorder import Recorder
from locum.engine.states import ACTIVE, TERMINAL
from locum.errors import InvalidRequest
from locum.store.runs import LostLease, RunRecord
from locum.store.tables import Store
from locum.tools.tool import Tool
from locum.wire.runs import Run, ToolOutput, Usage
from locum.wire.steps import FunctionCall, RunStep, ToolCalls
from locum.wire.tools import CodeResources, ToolResources

_STOP_TIMEOUT_S = 30.0
# A worker that is well reacts within milliseconds.
_ANSWERS_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.2
# Processes that reach for the same run wait so long, at most and at first, before they do again.
_GIVE_WAY_S = 0.02
_GIVE_WAY_AT_MOST_S = 1.0

_run = msgspec.json.Decoder(Run)


class Control:
    def __init__(
        self,
        claims: Claims,
        drives: Drives,
        *,
        store: Store,
        journal: Journal,
        dispatch: Dispatch,
        bells: Bells,
        tools: Sequence[Tool],
        keeps: Callable[[], bool],
        offer: Callable[[RunRecord], None],
    ) -> None:
        self._claims = claims
        self._drives = drives
        self._store = store
        self._journal = journal
        self._dispatch = dispatch
        self._bells = bells
        self._tools = tools
        # Whether what was answered here is driven here, and how it is given to whoever drives it.
        self._keeps = keeps
        self._offer = offer
        # Whoever takes a run here, so that of many clients one takes it and the others see that.
        self._taking: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    # ---------------------------------------------------------------------- submit

    async def submit(self, key: Key, outputs: Sequence[ToolOutput]) -> tuple[Run, Place]:
        """Answer the calls a run waits for; the run, queued again, and where it was before."""

        def accepts(record: RunRecord) -> None:
            _accepts_outputs(record, outputs)

        pauses = _pauses()
        while True:
            with suppress(LostLease):  # Somebody took the run at this moment: look again.
                async with self._alone(key):
                    return await self._submit(await self._claims.take(key, accepts), outputs)
            await asyncio.sleep(next(pauses))

    async def _submit(self, recorder: Recorder, outputs: Sequence[ToolOutput]) -> tuple[Run, Place]:
        before = Place(recorder.record.attempts, recorder.record.events)
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
        queued.released = not self._keeps()
        await recorder.write(queued)
        run = recorder.run
        self._offer(recorder.record)
        return run, before

    async def _waiting_step(self, recorder: Recorder) -> RunStep:
        steps = await self._store.steps.all(recorder.record.project_id, owner_id=recorder.run.id)
        return next(step for step in reversed(steps) if step.status == "in_progress")

    # ---------------------------------------------------------------------- cancel

    async def cancel(self, key: Key) -> Run:
        """Begin to cancel a run; what it then looks like. The end follows at once.

        Of all who ask, wherever they are, one has cancelled it, and the others came too late.
        """
        asker = secrets.token_hex(8)
        pauses = _pauses()
        while True:
            record = await self._claims.record(key)
            if record.plan.stopper == asker:
                return await self._as_cancelling(record)
            _accepts_cancel(record)
            driver = self._drives.driver(key)
            if driver is not None:
                driver.stop("cancelled", asker=asker)
                await self._dispatch.driven(
                    key, timeout_s=_STOP_TIMEOUT_S, or_else=driver.cancelling
                )
                if driver.cancelling.done() and driver.stopper == asker:
                    return driver.cancelling.result()
            elif not await self._ask(record, "cancelled", asker):
                with suppress(LostLease):  # Somebody took the run at this moment: look again.
                    async with self._alone(key):
                        return await self._cancel_undriven(key, asker)
                await asyncio.sleep(next(pauses))

    async def _cancel_undriven(self, key: Key, asker: str) -> Run:
        def accepts(record: RunRecord) -> None:
            if record.plan.stopper == asker:
                raise LostLease(key[2])  # Its driver heard of it late, and has done it.
            _accepts_cancel(record)

        recorder = await self._take(key, accepts)
        plan = replace(recorder.record.plan, stopper=asker)
        await recorder.move("cancelling", plan=plan)
        cancelling = recorder.run
        with suppress(LostLease):  # Whoever takes a run that is cancelling brings it to its end.
            spent = await close_open(self._store, recorder, CANCELLED)
            await recorder.move("cancelled", usage=spent)
        return cancelling

    async def _as_cancelling(self, record: RunRecord) -> Run:
        """The run as it was when its driver began to cancel it; by now it may have ended."""
        told = await self._store.events.last_named(
            record.project_id, record.run.id, "thread.run.cancelling"
        )
        assert told is not None
        run = _run.decode(told.data)
        if run.tool_resources == ToolResources(code_interpreter=CodeResources()):
            return replace(run, tool_resources=ToolResources())  # So streams alone show it.
        return run

    # ---------------------------------------------------------------------- expire

    async def expire(self, key: Key) -> None:
        """End a run whose time is up, whatever it is doing."""
        pauses = _pauses()
        while True:
            driver = self._drives.driver(key)
            if driver is not None:
                # It may just have come to where it waits for its client: then look again.
                driver.stop("expired")
                await self._dispatch.driven(key, timeout_s=_STOP_TIMEOUT_S)
                continue
            record = await self._claims.record(key)
            if record.run.status in ACTIVE and await self._ask(record, "expired", ""):
                continue
            with suppress(LostLease):  # Somebody took the run at this moment: look again.
                async with self._alone(key):
                    recorder = await self._take(key, nothing_against)
                    if recorder.run.status in ACTIVE:
                        await self._claims.end(recorder, "expired")
                return
            await asyncio.sleep(next(pauses))

    # ---------------------------------------------------------------------- forget

    async def forget(self, project_id: str, *, thread_id: str, run_id: str | None) -> None:
        """The thread is gone: stop what runs on it, here and elsewhere, and tell who listens."""
        key = (project_id, thread_id, run_id or "")
        self._bells.ring(Bell("gone", key))
        await self.let_go(key)

    async def let_go(self, key: Key) -> None:
        """Drop what this process has of a thread that is gone."""
        await self._dispatch.drop(key)
        self._journal.gone(key)
        for tool in self._tools:
            await tool.forget(key[0], key[1])

    # --------------------------------------------------------------------- private

    @asynccontextmanager
    async def _alone(self, key: Key) -> AsyncGenerator[None, None]:
        """Take a run while nobody else here does: who takes it stops whoever had it before."""
        lock = self._taking.setdefault(key, asyncio.Lock())
        async with lock:
            yield

    async def _take(self, key: Key, check: Callable[[RunRecord], None]) -> Recorder:
        """Take a run that is not driven here. LostLease when it began to be at this moment."""

        def accepts(record: RunRecord) -> None:
            if self._drives.driver(key) is not None:
                raise LostLease(key[2])
            check(record)

        return await self._claims.take(key, accepts)

    async def _ask(
        self, record: RunRecord, reason: Literal["cancelled", "expired"], asker: str
    ) -> bool:
        """Have another process stop a run; False when nobody drives it, or nobody answers."""
        holder = await self._claims.holder(record)
        if holder is None:
            return False
        with self._journal.watching(record.key) as listener:
            self._bells.ring(Bell("stop", record.key, reason, asker))
            try:
                async with asyncio.timeout(_ANSWERS_WITHIN_S):
                    while await self._is_unmoved(record, holder):
                        await listener.next(_LOOK_EVERY_S)
            except TimeoutError:
                return False
            except RunGone:
                return True
        return True

    async def _is_unmoved(self, before: RunRecord, holder: str) -> bool:
        record = await self._claims.record(before.key)
        return record.run.status == before.run.status and record.leased_by == holder


def _pauses() -> Iterator[float]:
    """Longer and longer, and each process's its own: else two could for ever take turns."""
    most_s = _GIVE_WAY_S
    while True:
        yield random.uniform(0, most_s)  # noqa: S311 — nothing secret
        most_s = min(2 * most_s, _GIVE_WAY_AT_MOST_S)


def _accepts_outputs(record: RunRecord, outputs: Sequence[ToolOutput]) -> None:
    if record.run.status != "requires_action":
        raise InvalidRequest(f'Runs in status "{record.run.status}" do not accept tool outputs.')
    required = record.run.required_action
    assert required is not None
    pending = [call.id for call in required.submit_tool_outputs.tool_calls]
    given = [output.tool_call_id for output in outputs]
    if sorted(pending) != sorted(str(call_id) for call_id in given):
        raise InvalidRequest(f"Expected tool outputs for call_ids {pending}, got {given}")


def _accepts_cancel(record: RunRecord) -> None:
    if record.run.status in TERMINAL or record.run.status == "cancelling":
        raise InvalidRequest(f"Cannot cancel run with status '{record.run.status}'.")


def _answered(step: RunStep, outputs: Sequence[ToolOutput]) -> tuple[FunctionCall, ...]:
    assert isinstance(step.step_details, ToolCalls)
    by_id = {output.tool_call_id: output.output or "" for output in outputs}
    return tuple(
        replace(call, function=replace(call.function, output=by_id[call.id]))
        for call in step.step_details.tool_calls
        if isinstance(call, FunctionCall)
    )
