"""Who drives which run: the queue, which is the rows of the runs themselves.

A run is free when no living process holds it. Whoever takes one raises its fence, and whatever
an earlier holder still writes is refused. Project by project in turn, within each the oldest first.
"""

from collections.abc import Sequence

from locum.store.database import Database
from locum.store.runs import RunRecord, RunTable

TO_DRIVE = "status IN ('queued', 'in_progress', 'cancelling')"
_NO_LIMIT = 2**31 - 1
# Others look at the same moment, and each skips what another is just taking.
_LOOKED_AT = 4

# Places count what a project's runs already have of the workers: so it is also its share.
_RANKED = f"""
    SELECT runs.seq AS seq, fence, held.name AS holder, ROW_NUMBER() OVER (
        PARTITION BY project_id ORDER BY CASE WHEN held.name IS NULL THEN 1 ELSE 0 END, runs.seq
    ) AS place
    FROM runs LEFT JOIN processes held
    ON held.name = runs.leased_by AND (held.alive_until > $1 OR held.name = $4)
    WHERE {TO_DRIVE}
"""
_DUE = "SELECT seq, fence FROM ranked WHERE holder IS NULL AND place <= $2 ORDER BY place, seq"
# A new life for what a worker had begun; a loss only when it did not let go itself.
_TAKEN = """
    fence = fence + 1, leased_by = $4,
    attempts = attempts + CASE WHEN status = 'in_progress' THEN 1 ELSE 0 END,
    losses = losses + CASE WHEN status = 'in_progress' AND leased_by IS NOT NULL THEN 1 ELSE 0 END
"""


class LeaseTable:
    def __init__(self, db: Database, runs: RunTable) -> None:
        self._db = db
        self._runs = runs
        locking = " FOR UPDATE OF runs SKIP LOCKED" if db.dialect == "postgres" else ""
        self._claim = (
            f"WITH ranked AS ({_RANKED}), due AS ({_DUE} LIMIT $3 * {_LOOKED_AT})"
            f" UPDATE runs SET {_TAKEN} WHERE seq IN (SELECT runs.seq FROM runs JOIN due"
            f" ON due.seq = runs.seq AND due.fence = runs.fence LIMIT $3{locking})"
            f" RETURNING seq, {runs.columns}"
        )

    async def claim(
        self, *, worker: str, now: int, most: int, per_project: int | None = None
    ) -> list[RunRecord]:
        """Take runs that nobody holds, no more than a project may have driven at once."""
        async with self._db.transaction() as tx:
            if per_project is not None:
                # Two who counted at once would both find room for the last one.
                await tx.lock("runs/claims")
            rows = await tx.fetch(self._claim, now, per_project or _NO_LIMIT, most, worker)
        return [self._runs.read(row[1:]) for row in sorted(rows, key=lambda row: row[0])]

    async def shares(self) -> dict[tuple[str, str], int]:
        """How many runs of each project each process holds; "" is nobody."""
        rows = await self._db.fetch(
            "SELECT COALESCE(leased_by, ''), project_id, COUNT(*) FROM runs"
            f" WHERE {TO_DRIVE} GROUP BY 1, 2"
        )
        return {(name, project_id): runs for name, project_id, runs in rows}

    async def holder(self, record: RunRecord, *, now: int) -> str | None:
        """The living process that drives a run, as it was read."""
        if record.leased_by is None:
            return None
        rows = await self._db.fetch(
            "SELECT name FROM processes WHERE name = $1 AND alive_until > $2",
            record.leased_by,
            now,
        )
        return rows[0][0] if rows else None

    async def lost(self, held: Sequence[RunRecord]) -> set[str]:
        """Which of these runs are another's by now, or gone. For PostgreSQL, which has others."""
        rows = await self._db.fetch(
            "SELECT mine.id FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])"
            " AS mine (project_id, thread_id, id, fence) LEFT JOIN runs"
            " ON runs.project_id = mine.project_id AND runs.thread_id = mine.thread_id"
            " AND runs.id = mine.id AND runs.fence = mine.fence WHERE runs.id IS NULL",
            [record.project_id for record in held],
            [record.run.thread_id for record in held],
            [record.run.id for record in held],
            [record.fence for record in held],
        )
        return {row[0] for row in rows}

    async def held(self, worker: str) -> list[tuple[tuple[str, str, str], int]]:
        """Keys and fences of what a process holds."""
        rows = await self._db.fetch(
            "SELECT project_id, thread_id, id, fence FROM runs"
            f" WHERE {TO_DRIVE} AND leased_by = $1",
            worker,
        )
        return [((row[0], row[1], row[2]), row[3]) for row in rows]

    async def release(self, key: tuple[str, str, str], *, fence: int) -> bool:
        """Let go of a run for others to take at once; False when it is not ours any more."""
        async with self._db.transaction() as tx:
            touched = await tx.execute(
                "UPDATE runs SET leased_by = NULL"
                " WHERE project_id = $1 AND thread_id = $2 AND id = $3 AND fence = $4",
                *key,
                fence,
            )
        return touched == 1

    async def waiting(self, now: int, *, most: int = 1000) -> int:
        """How many runs nobody drives, counted no further than `most`."""
        rows = await self._db.fetch(
            "SELECT COUNT(*) FROM (SELECT 1 FROM runs LEFT JOIN processes held"
            " ON held.name = runs.leased_by AND held.alive_until > $1"
            f" WHERE {TO_DRIVE} AND held.name IS NULL LIMIT $2) found",
            now,
            most,
        )
        count: int = rows[0][0]
        return count
