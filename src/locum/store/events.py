"""The journal of every run: numbered events, as their streams told them."""

from msgspec import Struct

from locum.store.database import Reader, Transaction


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
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def append(
        self, tx: Transaction, project_id: str, run_id: str, events: list[Event], *, now: int
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
        rows = await self._reader.fetch(
            "SELECT number, life, name, data FROM events WHERE project_id = $1 AND run_id = $2"
            " AND (number > $3 OR life > $4) ORDER BY number LIMIT $5",
            project_id,
            run_id,
            number,
            life,
            limit,
        )
        return [Event(*row) for row in rows]

    async def prune(self, tx: Transaction, *, before: int) -> int:
        """Forget journals of ended runs; the rows tell the same."""
        return await tx.execute(
            "DELETE FROM events WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM runs"
            " WHERE runs.project_id = events.project_id AND runs.id = events.run_id"
            " AND runs.status IN ('queued', 'in_progress', 'requires_action', 'cancelling'))",
            before,
        )
