"""The processes that share a database: until when they live, and what one of them does for all."""

from msgspec import Struct

from locum.store.database import Database
from locum.store.leases import TO_DRIVE


class Process(Struct, frozen=True, kw_only=True):
    """One life of a server or a worker. Its name is never given twice."""

    name: str
    host: str
    pid: int
    roles: str
    version: str
    started_at: int
    alive_until: int
    # How many runs it drives at most, and how many it did when it was last heard of.
    room: int
    driving: int = 0


class ProcessTable:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def join(self, process: Process, *, alone: bool, before: str = "") -> None:
        """Enter a process in the place of what it was before.

        One that is alone over its database ends all others with that.
        """
        async with self._db.transaction() as tx:
            if alone:
                await tx.execute("DELETE FROM processes")
            else:
                # Nobody has died, so it is no loss to what nobody has taken meanwhile.
                await tx.execute(
                    f"UPDATE runs SET leased_by = NULL WHERE {TO_DRIVE} AND leased_by = $1", before
                )
                await tx.execute("DELETE FROM processes WHERE name = $1", before)
            await tx.execute(
                "INSERT INTO processes (name, host, pid, roles, version, started_at, alive_until,"
                " room, driving) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                *(getattr(process, name) for name in Process.__struct_fields__),
            )

    async def beat(self, name: str, *, until: int, driving: int) -> bool:
        """Live on until then; False for one that others have buried, which stays dead."""
        async with self._db.transaction() as tx:
            touched = await tx.execute(
                "UPDATE processes SET alive_until = $1, driving = $2 WHERE name = $3",
                until,
                driving,
                name,
            )
        return touched == 1

    async def bury(self, *, now: int, but: str) -> int:
        """Strike out those that are dead to everybody, so that they find out themselves."""
        rows = await self._db.fetch(
            "SELECT name FROM processes WHERE alive_until <= $1 AND name <> $2", now, but
        )
        if not rows:
            return 0
        async with self._db.transaction() as tx:
            return await tx.execute(
                "DELETE FROM processes WHERE alive_until <= $1 AND name <> $2", now, but
            )

    async def leave(self, name: str) -> None:
        async with self._db.transaction() as tx:
            await tx.execute("DELETE FROM processes WHERE name = $1", name)

    async def alive(self, now: int) -> list[Process]:
        columns = ", ".join(Process.__struct_fields__)
        rows = await self._db.fetch(
            f"SELECT {columns} FROM processes WHERE alive_until > $1 ORDER BY started_at, name", now
        )
        return [Process(**dict(zip(Process.__struct_fields__, row, strict=True))) for row in rows]

    async def take_duty(self, name: str, *, now: int, every_s: int) -> bool:
        """Whether this process is the one that does a duty now; it is due again after a while."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(
                "INSERT INTO duties (name, due_at) VALUES ($1, $2)"
                " ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at"
                " WHERE duties.due_at <= $3 RETURNING name",
                name,
                now + every_s,
                now,
            )
        return bool(rows)

    async def end_duty(self, name: str, *, now: int) -> None:
        """Let anybody do a duty again, from now on."""
        async with self._db.transaction() as tx:
            await tx.execute("UPDATE duties SET due_at = $1 WHERE name = $2", now, name)
