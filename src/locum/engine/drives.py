"""Drives the runs that this process holds, each as far as it goes, and lets go of them well."""

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import UNSET

from locum import logs
from locum.engine.bells import Bell, Bells
from locum.engine.claims import Claims
from locum.engine.closing import Ending, close_open
from locum.engine.context import Historian
from locum.engine.journal import Journal, Key
from locum.engine.loop import Driver, StopReason
from locum.engine.recorder import Recorder
from locum.engine.states import ACTIVE, TERMINAL
from locum.engine.tracing import Traces
from locum.errors import LocumError, Unavailable
from locum.llm.protocol import Backend
from locum.store.blobs import Blobs
from locum.store.runs import LostLease, RunRecord
from locum.store.tables import Store
from locum.tools.tool import Setting, Tool
from locum.wire.runs import RunError, Usage
from locum.wire.steps import StepError
from locum.wire.tools import ToolResources

# A run that has cost so many workers their life is the likely reason.
_MOST_LOSSES = 3
_LET_GO_S = 5.0
_LOST = "The worker that carried this run was lost; the interrupted turn was begun again."
_TAKEN_OVER = Ending("failed", "run_failed", StepError("server_error", _LOST), goes_on=True)


class Drives:
    def __init__(
        self,
        claims: Claims,
        *,
        store: Store,
        blobs: Blobs,
        journal: Journal,
        bells: Bells,
        backend: Backend,
        tools: Sequence[Tool],
        traces: Traces,
    ) -> None:
        self._claims = claims
        self._store = store
        self._journal = journal
        self._bells = bells
        self._backend = backend
        self._tools = tools
        self._traces = traces
        self._blobs = blobs
        self._drivers: dict[Key, Driver] = {}
        self._held: dict[Key, Recorder] = {}

    def driver(self, key: Key) -> Driver | None:
        return self._drivers.get(key)

    def stop(self, key: Key, reason: StopReason, *, asker: str) -> None:
        """Stop a run if it is driven here."""
        driver = self._drivers.get(key)
        if driver is not None:
            driver.stop(reason, asker=asker)

    def held(self) -> list[RunRecord]:
        return [recorder.record for recorder in self._held.values()]

    def is_held(self, record: RunRecord) -> bool:
        """Whether the run is still being driven by the same claim."""
        recorder = self._held.get(record.key)
        return recorder is not None and recorder.record.fence == record.fence

    async def drive(self, record: RunRecord) -> None:
        """Drive one run as far as it goes. Whatever happens, the run is not left hanging."""
        key = record.key
        self._traces.enter(record)
        recorder = self._held[key] = self._claims.recorder(record)
        with self._journal.told_here(key):
            try:
                await self._drive(key, recorder)
            except LostLease:
                logs.info("run.lost_lease", run_id=key[2])
            except asyncio.CancelledError:
                await self._let_go(recorder)
                raise
            except Unavailable as failure:
                logs.warning("run.interrupted", run_id=key[2], reason=failure.message)
                await self._let_go(recorder)
            except Exception as failure:  # noqa: BLE001  # a worker's outermost loop
                logs.error("run.broke", failure=failure, run_id=key[2])
                await self._fail_broken(key)
            finally:
                del self._held[key]
                await recorder.leave()

    async def give_back(self, record: RunRecord) -> None:
        """Let others have a run that was claimed here and not begun."""
        await self._let_go(self._claims.recorder(record))

    async def _drive(self, key: Key, recorder: Recorder) -> None:
        status = recorder.run.status
        if status in TERMINAL | {"requires_action"}:
            return
        if status == "cancelling":
            await self._claims.end(recorder, "cancelled")
        elif status == "queued" or await self._take_over(recorder):
            await self._drive_on(key, recorder)

    async def _drive_on(self, key: Key, recorder: Recorder) -> None:
        spent, turns = Usage(), 0
        if recorder.record.was_held:
            steps = await self._store.steps.all(key[0], owner_id=key[2])
            spent = sum((step.usage for step in steps if step.usage is not None), start=spent)
            turns = sum(step.status == "completed" for step in steps)
        driver = Driver(
            recorder,
            backend=self._backend,
            tools=self._tools,
            historian=Historian(self._store, self._blobs),
            setting=await self._setting(recorder),
            spent=spent,
            turns=turns,
        )
        self._drivers[key] = driver
        try:
            await driver.drive()
            await recorder.settle()
        finally:
            del self._drivers[key]

    async def _take_over(self, recorder: Recorder) -> bool:
        """Close what the last worker left open; False when the run has failed over it."""
        spent = await close_open(self._store, recorder, _TAKEN_OVER)
        if recorder.record.losses < _MOST_LOSSES:
            return True
        message = f"This run was lost {_MOST_LOSSES} times with the workers that carried it."
        await recorder.move("failed", usage=spent, last_error=RunError("server_error", message))
        return False

    async def _let_go(self, recorder: Recorder) -> None:
        """Leave a run to whoever has room for it, with all that has been told of it."""
        if not self._claims.holds(recorder.record):
            return
        try:
            async with asyncio.timeout(_LET_GO_S):
                await recorder.leave()
                await recorder.flush()
                if await self._store.leases.release(recorder.key, fence=recorder.record.fence):
                    self._bells.ring(Bell("work"))
        except (LostLease, LocumError, TimeoutError) as failure:
            # It is found again, as one that is held here and not driven, or by the next process.
            logs.info("run.not_released", run_id=recorder.run.id, reason=type(failure).__name__)

    async def _fail_broken(self, key: Key) -> None:
        try:
            recorder = await self._claims.take(key, nothing_against)
            if recorder.run.status in ACTIVE:
                await self._claims.end(recorder, "failed")
        except Exception as failure:  # noqa: BLE001  # the sweep will find the run again
            logs.error("run.not_failed", failure=failure, run_id=key[2])

    async def _setting(self, recorder: Recorder) -> Setting:
        """What the hosted tools of a run may use: its assistant's resources and its thread's."""
        project_id, run = recorder.record.project_id, recorder.run
        held = [recorder.record.plan.resources]
        if run.tools:
            thread = await self._store.threads.find(project_id, run.thread_id)
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


def nothing_against(record: RunRecord) -> None:
    """Take the run in whatever state it is."""


def _stores(held: Sequence[ToolResources]) -> tuple[str, ...]:
    return _distinct(
        store_id
        for resources in held
        if resources.file_search is not UNSET
        for store_id in resources.file_search.vector_store_ids
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
