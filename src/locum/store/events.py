"""The journal of every run: numbered events, as their streams told them."""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from locum.store.database import Database, Transaction
from locum.store.runs import LostLease, RunRecord, RunTable, advancing

# What `_columns` gives, as rows. For PostgreSQL.
_NEW = "unnest(${0}::bigint[], ${1}::bigint[], ${2}::text[], ${3}::text[])"
_INSERT = "INSERT INTO events (project_id, run_id, number, life, name, data, created_at)"
# A short key for SQLite: it writes whole pages, and every run has its own place among the keys.
_OF_RUN = {
    "sqlite": "run = (SELECT seq FROM runs WHERE project_id = $1 AND id = $2)",
    "postgres": "project_id = $1 AND run_id = $2",
}
_OF_THREAD = {
    "sqlite": "run IN (SELECT seq FROM runs WHERE project_id = $1 AND thread_id = $2)",
    "postgres": "project_id = $1 AND run_id IN"
    " (SELECT id FROM runs WHERE project_id = $1 AND thread_id = $2)",
}


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
        self._of_run = _OF_RUN[db.dialect]
        self._of_thread = _OF_THREAD[db.dialect]

    async def note(
        self,
        record: RunRecord,
        events: Sequence[Event],
        *,
        now: int,
        tx: Transaction | None = None,
        **changes: object,
    ) -> None:
        """Append events and change what is named of their run, if its fence still stands.

        In a transaction of its own, unless it is part of one.
        """
        if self._db.dialect == "postgres":
            columns = {**changes, "events": events[-1].number if events else record.events}
            # One round trip: what costs there, and deltas are what is written most.
            noted = await (tx or self._db).fetch(
                _noted(tuple(columns)),
                *record.as_it_stands,
                *columns.values(),
                now,
                *_columns(events),
            )
            if not noted:
                raise LostLease(record.run.id)
        elif tx is None:
            async with self._db.transaction() as own:
                await self.note(record, events, now=now, tx=own, **changes)
        else:
            await self._runs.advance(tx, record, **changes)
            await self.append(tx, record.project_id, record.run.id, events, now=now)

    async def append(
        self, tx: Transaction, project_id: str, run_id: str, events: Sequence[Event], *, now: int
    ) -> None:
        if self._db.dialect == "postgres":
            await tx.execute(
                f"{_INSERT} SELECT $1, $2, told.*, $3 FROM {_NEW.format(4, 5, 6, 7)} AS told",
                project_id,
                run_id,
                now,
                *_columns(events),
            )
            return
        await tx.execute_many(
            "INSERT INTO events (run, number, life, name, data, created_at) VALUES"
            " ((SELECT seq FROM runs WHERE project_id = $1 AND id = $2), $3, $4, $5, $6, $7)",
            [(project_id, run_id, e.number, e.life, e.name, e.data, now) for e in events],
        )

    async def after(
        self, project_id: str, run_id: str, *, number: int, life: int, limit: int
    ) -> list[Event]:
        """What a reader has not seen who was last at `number` of `life`."""
        rows = await self._db.fetch(
            f"SELECT number, life, name, data FROM events WHERE {self._of_run}"
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
            f"SELECT number, life, name, data FROM events WHERE {self._of_run}"
            " AND name = $3 ORDER BY number DESC LIMIT 1",
            project_id,
            run_id,
            name,
        )
        return Event(*rows[0]) if rows else None

    async def forget(self, tx: Transaction, project_id: str, thread_id: str) -> None:
        """Forget the journals of a thread's runs; the runs are still there."""
        await tx.execute(
            f"DELETE FROM events WHERE {self._of_thread}",
            project_id,
            thread_id,
        )

    async def prune(self, tx: Transaction, *, before: int, runs: int = 200) -> int:
        """Forget the journals of runs that ended before; the rows tell the same."""
        ended = await tx.fetch(
            "SELECT seq, project_id, id FROM runs WHERE ended_at < $1 LIMIT $2", before, runs
        )
        forgotten = 0
        for seq, project_id, run_id in ended:
            forgotten += await tx.execute(
                f"DELETE FROM events WHERE {self._of_run}", project_id, run_id
            )
            await tx.execute("UPDATE runs SET ended_at = NULL WHERE seq = $1", seq)
        return forgotten


def _columns(events: Sequence[Event]) -> tuple[list[int], list[int], list[str], list[str]]:
    return (
        [event.number for event in events],
        [event.life for event in events],
        [event.name for event in events],
        [event.data for event in events],
    )


@lru_cache
def _noted(changes: tuple[str, ...]) -> str:
    now = len(changes) + 6
    return (
        f"WITH ours AS ({advancing(changes)}), told AS ({_INSERT}"
        f" SELECT $1, $3, new.*, ${now} FROM ours,"
        f" {_NEW.format(now + 1, now + 2, now + 3, now + 4)} AS new) SELECT id FROM ours"
    )
