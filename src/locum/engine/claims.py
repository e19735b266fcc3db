"""Taking runs, and ending those that nobody drives: by a new fence, so that one taker wins."""

from collections.abc import Callable
from typing import Literal

from locum.clock import Clock
from locum.engine.closing import Ending, close_open
from locum.engine.journal import Journal, Key
from locum.engine.membership import Membership
from locum.engine.recorder import Pace, Recorder
from locum.engine.tracing import Traces
from locum.engine.watching import Watch
from locum.errors import no_such
from locum.ids import Ids
from locum.store.runs import RunRecord
from locum.store.tables import Store
from locum.wire.runs import RunError
from locum.wire.steps import StepError

SORRY = "Sorry, something went wrong."
CANCELLED = Ending("cancelled", "run_cancelled")
_EXPIRED = Ending("expired", "run_expired")
_FAILED = Ending("failed", "run_failed", StepError("server_error", SORRY))


class Claims:
    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        clock: Clock,
        ids: Ids,
        membership: Membership,
        pace: Pace,
        traces: Traces,
        watch: Watch,
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._membership = membership
        self._pace = pace
        self._traces = traces
        self._watch = watch

    async def record(self, key: Key) -> RunRecord:
        record = await self._store.runs.record(*key)
        if record is None:
            raise no_such("run", key[2])
        return record

    def recorder(self, record: RunRecord) -> Recorder:
        return Recorder(
            store=self._store,
            journal=self._journal,
            clock=self._clock,
            ids=self._ids,
            record=record,
            holds=self.holds,
            pace=self._pace,
            trace=self._traces.of(record),
            watch=self._watch,
        )

    def holds(self, record: RunRecord) -> bool:
        """Whether nobody else can have taken the run, as far as this process knows."""
        return self._membership.counts and record.leased_by == self._membership.name

    async def holder(self, record: RunRecord) -> str | None:
        """The other living process that drives a run."""
        if record.leased_by == self._membership.name or record.run.status == "requires_action":
            return None
        return await self._store.leases.holder(record, now=self._clock.now())

    async def take(self, key: Key, check: Callable[[RunRecord], None]) -> Recorder:
        """Claim a run, if `check` finds nothing against it; whoever had it has lost it."""
        while True:
            record = await self.record(key)
            check(record)
            recorder = self.recorder(record)
            if await recorder.claim(worker=self._membership.name):
                return recorder

    async def end(
        self, recorder: Recorder, status: Literal["failed", "expired", "cancelled"]
    ) -> None:
        """End a run that has been taken, with all that it has open."""
        ending = {"failed": _FAILED, "expired": _EXPIRED, "cancelled": CANCELLED}[status]
        spent = await close_open(self._store, recorder, ending)
        error = RunError("server_error", SORRY) if status == "failed" else None
        await recorder.move(status, usage=spent, last_error=error)
