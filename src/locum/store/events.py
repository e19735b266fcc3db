"""The journal of every run: numbered events, as their streams told them."""

from collections.abc import Sequence

from msgspec import Struct

from locum.store.database import Database, Transaction
from locum.store.runs import LostLease, RunRecord, RunTable

# One round trip instead of four: deltas are what is written most. For PostgreSQL.
_NOTED = """
    WITH ours AS (
        UPDATE runs SET events = $6 WHERE project_id = $1 AND thread_id = $2
        AND id = $3 AND fence = $4 AND events = $5 RETURNING id
    )
    INSERT INTO events (project_id, run_id, number, life, name, data, created_at)
    SELECT $1, $3, number, life, name, data, $7 FROM ours,
    unnest($8::bigint[], $9::bigint[], $10::text[], $11::text[]) AS new (number, life, name, data)
    RETURNING number
"""


class Event(Struct, frozen=True):
    """One event of a run. `life` counts the workers that have carried the run so far.

    A worker that dies may have shown deltas that it had not yet written down; the next one
    numbers on from what was written. The two together tell a client's place in either life.
    """

    number: int
    life: int
    name: str
    data: str


class EventTable:
    def __init__(self, db: Database, runs: RunTable) -> None:
        self._db = db
        self._runs = runs

    async def note(self, record: RunRecord, events: Sequence[Event], *, now: int) -> None:
        """Append events while nothing else of the run changes, if its fence still stands."""
        last = events[-1].number
        if self._db.dialect == "sqlite":
            async with self._db.transaction() as tx:
                await self._runs.advance(tx, record, events=last)
                await self.append(tx, record.project_id, record.run.id, events, now=now)
            return
        noted = await self._db.fetch(
            _NOTED,
            *record.key,
            record.fence,
            record.events,
            last,
            now,
            [event.number for event in events],
            [event.life for event in events],
            [event.name for event in events],
            [event.data for event in events],
        )
        if not noted:
            raise LostLease(record.run.id)

    async def append(
        self, tx: Transaction, project_id: str, run_id: str, events: Sequence[Event], *, now: int
    ) -> None:
        await tx.execute_many(
            "INSERT INTO events (project_id, run_id, number, life, name, data, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [(project_id, run_id, e.number, e.life, e.name, e.data, now) for e in events],
        )

    async def after(
        self, project_id: str, run_id: str, *, number: int, life: int, limit: int
    ) -> list[Event]:
        """What a reader has not seen who was last at `number` of `life`."""
        rows = await self._db.fetch(
            "SELECT number, life, name, data FROM events WHERE project_id = $1 AND run_id = $2"
            " AND (number > $3 OR life > $4) ORDER BY number LIMIT $5",
            project_id,
            run_id,
            number,
            life,
            limit,
        )
        return [Event(*row) for row in rows]

    async def last_named(self, project_id: str, run_id: str, name: str) -> Event | None:
        rows = await self._db.fetch(
            "SELECT number, life, name, data FROM events WHERE project_id = $1 AND run_id = $2"
            " AND name = $3 ORDER BY number DESC LIMIT 1",
            project_id,
            run_id,
            name,
        )
        return Event(*rows[0]) if rows else None

    async def prune(self, tx: Transaction, *, before: int, runs: int = 200) -> int:
        """Forget the journals of runs that ended before; the rows tell the same."""
        ended = await tx.fetch(
            "SELECT seq, project_id, id FROM runs WHERE ended_at < $1 LIMIT $2", before, runs
        )
        forgotten = 0
        for seq, project_id, run_id in ended:
            forgotten += await tx.execute(
                "DELETE FROM events WHERE project_id = $1 AND run_id = $2", project_id, run_id
            )
            await tx.execute("UPDATE runs SET ended_at = NULL WHERE seq = $1", seq)
        return forgotten
