"""The engine as the service sees it: runs are created, answered, cancelled, followed.

Many engines may share one database. What one of them is to a run is decided there: by who holds it
(`claims`), how it is driven (`drives`), and what clients may do to it from anywhere (`control`).
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from locum import logs
from locum.clock import Clock
from locum.engine.bells import Bell, Bells, NoOthers
from locum.engine.claims import Claims
from locum.engine.control import Control
from locum.engine.dispatch import Dispatch
from locum.engine.drives import Drives
from locum.engine.journal import START, Journal, Key, Place
from locum.engine.membership import Identity, Membership
from locum.engine.recorder import Pace
from locum.engine.tracing import Traces
from locum.engine.watching import Watch, nobody_watches
from locum.errors import NotFound
from locum.ids import Ids
from locum.llm.protocol import Backend
from locum.store.blobs import Blobs
from locum.store.database import Transaction
from locum.store.documents import Document
from locum.store.events import Event
from locum.store.runs import Plan, RunRecord
from locum.store.tables import Store
from locum.telemetry.spans import Tracer
from locum.tools.tool import Tool
from locum.wire.runs import Run, ToolOutput
from locum.wire.threads import Thread

_SWEEP_S = 1.0
# What is held and not driven is looked for with so many sweeps: hundreds of runs may be held.
_SELDOM = 5
# Deltas reach the followers of another process with their batch, so it is a short one.
_SHARED_BATCH_S = 0.02
_LOOK_EVERY_S = 1.0


class Crew(Struct, frozen=True, kw_only=True):
    """What this process does of all that has to be done with runs."""

    identity: Identity = Identity()
    # Whether it drives runs, how many at once, and how many of one project all processes together.
    works: bool = True
    at_once: int = 1_000
    per_project: int | None = None


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
        crew: Crew | None = None,
        bells: Bells | None = None,
        tracer: Tracer | None = None,
        watch: Watch = nobody_watches,
    ) -> None:
        crew = crew or Crew()
        shared = store.db.dialect == "postgres"
        self._store = store
        self._clock = clock
        self._crew = crew
        self._watch = watch
        self._traces = Traces(tracer, clock)
        self._shared = shared
        self._bells = bells or NoOthers()
        self._journal = Journal(
            store, bells=self._bells, look_every_s=_LOOK_EVERY_S if shared else None
        )
        self.membership = Membership(
            store.processes, clock, identity=crew.identity, alone=not shared
        )
        self._claims = Claims(
            store=store,
            journal=self._journal,
            clock=clock,
            ids=ids,
            membership=self.membership,
            pace=Pace(_SHARED_BATCH_S, tries_again=True) if shared else Pace(),
            traces=self._traces,
            watch=watch,
        )
        self._drives = Drives(
            self._claims,
            store=store,
            blobs=blobs,
            journal=self._journal,
            bells=self._bells,
            backend=backend,
            tools=tools,
            traces=self._traces,
        )
        self.dispatch = Dispatch(
            self._drives.drive, self._claim, at_once=crew.at_once if crew.works else 0
        )
        self._control = self._controlled(tools)
        self._tasks: set[asyncio.Task[None]] = set()
        # Runs that this process held at the last look and did not drive.
        self._idle: set[tuple[Key, int]] = set()

    def _controlled(self, tools: Sequence[Tool]) -> Control:
        return Control(
            self._claims,
            self._drives,
            store=self._store,
            journal=self._journal,
            dispatch=self.dispatch,
            bells=self._bells,
            tools=tools,
            keeps=self._keeps,
            offer=self._offer,
        )

    async def start(self) -> None:
        """Pick up what an earlier life left behind, and keep watch over deadlines."""
        await self.membership.join()
        await self._bells.start(self._hear, self._missed)
        self.membership.start(driving=lambda: self.dispatch.driving, lapsed=self.dispatch.abandon)
        if self._crew.works:
            await self.sweep()
            self.dispatch.start()
        self._begin(self._keep_watch())

    async def drain(self, timeout_s: float) -> None:
        """Take no more runs, and let those that are driven end, for a while."""
        await self.dispatch.drain(timeout_s)

    async def close(self) -> None:
        """Hand over what is still being driven, and be gone."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for record in await self.dispatch.close():
            await self._drives.give_back(record)
        await self.membership.leave()
        await self._bells.close()

    @property
    def driven(self) -> int:
        """How many runs this process drives now."""
        return self.dispatch.driving

    @property
    def waiting(self) -> int:
        """How many it has claimed and not begun."""
        return self.dispatch.waiting

    # ------------------------------------------------------------- what clients ask

    async def create(
        self,
        tx: Transaction,
        project_id: str,
        run: Run,
        *,
        plan: Plan,
        thread: Thread | None = None,
    ) -> tuple[Document[Run], RunRecord]:
        """Record a new run as part of a larger transaction; `offer` it when that has committed.

        `thread` is the one that was made for it, when one was.
        """
        mine = self._keeps()
        plan = replace(plan, origin=self._traces.begin(run))
        record = RunRecord(
            project_id=project_id,
            run=run,
            fence=int(mine),
            attempts=0,
            events=0,
            leased_by=self.membership.name if mine else None,
            plan=plan,
        )
        recorder = self._claims.recorder(record)
        return await recorder.create(tx, thread), recorder.record

    def offer(self, record: RunRecord) -> None:
        """Have a run driven: here, when it is held here, else by whoever has room."""
        self._watch(None, record.run)
        self._offer(record)

    def _offer(self, record: RunRecord) -> None:
        if self._claims.holds(record):
            self.dispatch.take_up(record)
            return
        self.dispatch.look()
        self._bells.ring(Bell("work"))

    def follow(
        self, key: Key, *, after: Place = START, silence_s: float | None = None
    ) -> AsyncGenerator[Event | None, None]:
        """Every event of a run after a place, live, until it ends or waits for its client.

        None tells that nothing has happened for so long; without a number nothing does.
        """
        return self._journal.follow(key, after, silence_s=silence_s)

    async def submit(self, key: Key, outputs: Sequence[ToolOutput]) -> tuple[Run, Place]:
        """Answer the calls a run waits for; the run, queued again, and where it was before."""
        return await self._control.submit(key, outputs)

    async def cancel(self, key: Key) -> Run:
        """Begin to cancel a run; what it then looks like. The end follows at once."""
        return await self._control.cancel(key)

    async def expire(self, key: Key) -> None:
        """End a run whose time is up, whatever it is doing."""
        await self._control.expire(key)

    async def forget(self, project_id: str, *, thread_id: str, run_id: str | None) -> None:
        """The thread is gone: stop what runs on it, and tell those who listen."""
        await self._control.forget(project_id, thread_id=thread_id, run_id=run_id)

    # ----------------------------------------------------------------- the watchman

    async def sweep(self) -> None:
        """End what is overdue, and have driven what nobody drives."""
        await self._find_idle()
        await self._look_after()
        await self.dispatch.claim_now()

    async def _look_after(self) -> None:
        await self._find_lost()
        if not self._crew.works:
            return  # Those who drive runs end what is overdue; and so does whoever looks at it.
        now = self._clock.now()
        if buried := await self._store.processes.bury(now=now, but=self.membership.name):
            logs.warning("processes.lost", count=buried)
            self.dispatch.look()
        for record in await self._store.runs.overdue(now, worker=self.membership.name):
            with suppress(NotFound):  # Its thread was deleted since.
                await self.expire(record.key)

    async def _find_idle(self) -> None:
        """Give back what is held here and not driven: whoever was to drive it was cut off."""
        held = await self._store.leases.held(self.membership.name)
        idle = {(key, fence) for key, fence in held if not self.dispatch.has(key)}
        for key, fence in idle & self._idle:
            logs.info("run.given_back", run_id=key[2])
            await self._store.leases.release(key, fence=fence)
        self._idle = idle - self._idle

    async def _find_lost(self) -> None:
        """Stop driving what was taken from us while we waited for a model."""
        held = self._drives.held()
        if not self._shared or not held:
            return
        lost = await self._store.leases.lost(held)
        for record in held:
            if record.run.id in lost and self._drives.is_held(record):
                await self.dispatch.drop(record.key)

    async def _keep_watch(self) -> None:
        for look in itertools.count():
            await asyncio.sleep(_SWEEP_S)
            try:
                if look % _SELDOM == 0:
                    await self._find_idle()
                await self._look_after()
            except Exception as failure:  # noqa: BLE001  # the watch must go on
                logs.error("engine.sweep_failed", failure=failure)

    # ------------------------------------------------------------------------ bells

    def _hear(self, bell: Bell) -> None:
        match bell.topic:
            case "work":
                self.dispatch.look()
            case "news":
                self._journal.look(bell.key)
            case "stop":
                self._drives.stop(bell.key, bell.reason, asker=bell.asker)
            case "gone":
                self._begin(self._control.let_go(bell.key))

    def _missed(self) -> None:
        self._journal.look_at_all()
        self.dispatch.look()

    # ---------------------------------------------------------------------- private

    def _keeps(self) -> bool:
        """Whether a run that has just come in is driven here, past the queue.

        Where projects have limits, only the queue knows whether this one may.
        """
        has_room = self.membership.counts and self.dispatch.room > 0
        return has_room and self._crew.per_project is None

    async def _claim(self, most: int) -> list[RunRecord]:
        if not self.membership.counts:
            return []
        return await self._store.leases.claim(
            worker=self.membership.name,
            now=self._clock.now(),
            most=most,
            per_project=self._crew.per_project,
        )

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
