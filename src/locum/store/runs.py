"""The runs table: the run as it is served, and beside it what the engine must know to drive it."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from locum.store.database import Dialect, Reader, Row, Transaction
from locum.store.documents import Document, Documents
from locum.telemetry.spans import Origin
from locum.wire.runs import Run, Usage
from locum.wire.tools import ToolResources

ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
_ALIVE = "status IN ({})".format(", ".join(f"'{status}'" for status in ACTIVE))
# The number of the last event. SQLite writes whole pages: there, what a run only says leaves the
# page of its row alone, and `runs.events` is not used any more.
_LAST_EVENT = {
    "sqlite": "COALESCE((SELECT MAX(number) FROM events WHERE run = runs.seq), 0)",
    "postgres": "events",
}


class Words(Struct, frozen=True, omit_defaults=True):
    """What a model said and no message tells yet."""

    text: str = ""
    refusal: str = ""


class Plan(Struct, frozen=True, omit_defaults=True):
    """What the request said that the run object does not show."""

    include: bool = False
    # Who asked first that the run be cancelled: of all that ask, one has done it.
    stopper: str = ""
    # What the turn cost whose functions the client is answering.
    owed: Usage | None = None
    # What was said in that turn after its functions; the next message begins with it.
    late: Words | None = None
    # Headers of MCP servers, by label. Secrets: kept while the run lives, and never shown.
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    # What the assistant held when the run was made. The run itself never showed it.
    resources: ToolResources = ToolResources()
    # Where its spans stand, when runs were traced as it began.
    origin: Origin | None = None


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run with its private columns."""

    project_id: str
    run: Run
    fence: int
    # Lives that were begun anew, and those of them whose workers had died.
    attempts: int
    losses: int = 0
    events: int
    leased_by: str | None = None
    plan: Plan

    @property
    def key(self) -> tuple[str, str, str]:
        return self.project_id, self.run.thread_id, self.run.id

    @property
    def as_it_stands(self) -> tuple[str, str, str, int, int]:
        """What must still be so for a write of this holder to count; see `advancing`."""
        return *self.key, self.fence, self.events

    @property
    def was_held(self) -> bool:
        """Whether somebody had the run before who has it now; then it may have steps already."""
        return self.fence > 1


class RunState(NamedTuple):
    """What decides whether a run's time is up."""

    status: str
    expires_at: int

    @classmethod
    def read(cls, told: str) -> "RunState":
        status, _, expires_at = told.partition(" ")
        return cls(status, int(expires_at))


class LostLease(Exception):
    """Another worker has claimed the run since; nothing this one writes counts any more."""


class RunTable(Documents[Run]):
    def __init__(self, reader: Reader, dialect: Dialect) -> None:
        super().__init__(reader, table="runs", noun="run", type=Run, owner="thread_id")
        self._plans = msgspec.json.Decoder(Plan)
        self._last_event = _LAST_EVENT[dialect]
        self.columns = (
            "project_id, document, fence, attempts, losses,"
            f" {self._last_event} AS events, leased_by, plan"
        )
        # The same rows, whichever thread they belong to.
        self.of_project = Documents(reader, table="runs", noun="run", type=Run)

    async def active(
        self, project_id: str, thread_id: str, *, reader: Reader | None = None
    ) -> str | None:
        """The id of the run that holds the thread's lock, if any."""
        rows = await (reader or self._reader).fetch(
            f"SELECT id FROM runs WHERE project_id = $1 AND thread_id = $2 AND {_ALIVE}",
            project_id,
            thread_id,
        )
        return rows[0][0] if rows else None

    async def named(self, run_id: str) -> list[tuple[str, str]]:
        """Project and thread of each run of that name, in any project: for operators, not fast."""
        rows = await self._reader.fetch(
            "SELECT project_id, thread_id FROM runs WHERE id = $1 LIMIT 2", run_id
        )
        return [(row[0], row[1]) for row in rows]

    async def state(self, project_id: str, thread_id: str, run_id: str) -> RunState | None:
        """Status and deadline, read without reading the run."""
        rows = await self._reader.fetch(
            "SELECT status, expires_at FROM runs"
            " WHERE project_id = $1 AND thread_id = $2 AND id = $3",
            project_id,
            thread_id,
            run_id,
        )
        return RunState(rows[0][0], rows[0][1]) if rows else None

    async def seen(
        self, project_id: str, thread_id: str, run_id: str
    ) -> tuple[Document[Run], RunState] | None:
        """The run with its state, in one statement: this is what clients poll."""
        rows = await self._reader.fetch(
            "SELECT id, document, status, expires_at FROM runs"
            " WHERE project_id = $1 AND thread_id = $2 AND id = $3",
            project_id,
            thread_id,
            run_id,
        )
        if not rows:
            return None
        return self._document(rows[0]), RunState(rows[0][2], rows[0][3])

    async def record(
        self, project_id: str, thread_id: str, run_id: str, *, reader: Reader | None = None
    ) -> RunRecord | None:
        rows = await (reader or self._reader).fetch(
            f"SELECT {self.columns} FROM runs WHERE project_id = $1 AND thread_id = $2 AND id = $3",
            project_id,
            thread_id,
            run_id,
        )
        return self.read(rows[0]) if rows else None

    async def queued(self, project_id: str, *, now: int, most: int) -> int:
        """How many runs of a project wait to be begun in time; counted no further than `most`."""
        rows = await self._reader.fetch(
            # What is alive is said for SQLite, which would read all the runs there ever were.
            "SELECT count(*) FROM (SELECT 1 FROM runs"
            f" WHERE project_id = $1 AND status = 'queued' AND {_ALIVE} AND expires_at > $2"
            " LIMIT $3) AS waiting",
            project_id,
            now,
            most,
        )
        return int(rows[0][0])

    async def alive_by_project(self) -> dict[str, dict[str, int]]:
        """How many runs each project has in the states that are not an end."""
        rows = await self._reader.fetch(
            f"SELECT project_id, status, count(*) FROM runs WHERE {_ALIVE}"
            " GROUP BY project_id, status"
        )
        found: dict[str, dict[str, int]] = {}
        for project_id, status, runs in rows:
            found.setdefault(project_id, {})[status] = runs
        return found

    async def overdue(self, now: int, *, worker: str = "", limit: int = 1000) -> list[RunRecord]:
        """Runs whose time is up and that no living process drives, unless it is this one."""
        rows = await self._reader.fetch(
            f"SELECT {self.columns} FROM runs WHERE {_ALIVE} AND expires_at <= $1"
            " AND (leased_by = $2 OR NOT EXISTS"
            " (SELECT 1 FROM processes WHERE name = leased_by AND alive_until > $1))"
            " LIMIT $3",
            now,
            worker,
            limit,
        )
        return [self.read(row) for row in rows]

    async def add(
        self,
        tx: Transaction,
        project_id: str,
        run: Run,
        *,
        plan: Plan,
        fence: int = 0,
        events: int = 0,
        leased_by: str | None = None,
    ) -> Document[Run]:
        """Add a run to a thread that is locked, or that nobody knows yet."""
        assert run.expires_at is not None
        return await self.insert(
            tx,
            project_id,
            run.id,
            run,
            owner_id=run.thread_id,
            alone=True,
            status=run.status,
            expires_at=run.expires_at,
            fence=fence,
            events=events,
            leased_by=leased_by,
            plan=msgspec.json.encode(plan).decode(),
        )

    async def claim(
        self, tx: Transaction, record: RunRecord, *, worker: str, new_life: bool = False
    ) -> int | None:
        """Take the run as it was read; the new fence, or None when somebody was quicker.

        Whoever holds it may have moved it since: then its events have gone on, too. A new life
        keeps apart what an earlier holder has told and not yet written.
        """
        rows = await tx.fetch(
            "UPDATE runs SET fence = fence + 1, leased_by = $1, attempts = attempts + $2"
            " WHERE project_id = $3 AND thread_id = $4 AND id = $5 AND fence = $6"
            f" AND {self._last_event} = $7"
            " RETURNING fence",
            worker,
            int(new_life),
            record.project_id,
            record.run.thread_id,
            record.run.id,
            record.fence,
            record.events,
        )
        return rows[0][0] if rows else None

    async def advance(self, tx: Transaction, record: RunRecord, **columns: Any) -> None:
        """Change what is named, if the fence still stands and nothing was written since."""
        told = await tx.fetch(
            advancing(tuple(columns), self._last_event), *record.as_it_stands, *columns.values()
        )
        if not told:
            raise LostLease(record.run.id)

    def read(self, row: Row) -> RunRecord:
        """A record from a row of `columns`."""
        project_id, document, fence, attempts, losses, events, leased_by, plan = row
        return RunRecord(
            project_id=project_id,
            run=self._decoder.decode(document),
            fence=fence,
            attempts=attempts,
            losses=losses,
            events=events,
            leased_by=leased_by,
            plan=self._plans.decode(plan),
        )


@lru_cache
def advancing(columns: tuple[str, ...], last_event: str = "events") -> str:
    """The statement that changes a run which stands as it was read; the values come after that.

    Without anything to change it finds out whether the run stands so.
    """
    changes = ", ".join(f"{column} = ${place}" for place, column in enumerate(columns, start=6))
    as_it_stands = (
        f"project_id = $1 AND thread_id = $2 AND id = $3 AND fence = $4 AND {last_event} = $5"
    )
    if not columns:
        return f"SELECT id FROM runs WHERE {as_it_stands}"
    return f"UPDATE runs SET {changes} WHERE {as_it_stands} RETURNING id"
