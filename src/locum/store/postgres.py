"""PostgreSQL, for more than one process: asyncpg behind the same seam as SQLite.

What costs here is the round trip, so a transaction begins with its first statement, in the
same breath as its first lock, and every connection keeps its statements prepared.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from locum.settings import SettingsError
from locum.store.connections import Connection, Connections, keeps_sessions
from locum.store.database import Row, storable

_MIGRATION_TIMEOUT_S = 3600
_NO_SESSIONS = (
    "A pooler stands before PostgreSQL that keeps no sessions. Let it keep them (PgBouncer does"
    " with pool_mode = session), or name PostgreSQL itself in database_url."
)


class PostgresDatabase:
    dialect: Literal["postgres"] = "postgres"

    def __init__(
        self, url: str, *, connections: int = 10, wait_s: float = 10, statement_s: float = 30
    ) -> None:
        self._url = url
        self.connections = Connections(
            url, size=connections, wait_s=wait_s, statement_s=statement_s
        )

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        if not storable(values):
            return []
        connection = await self.connections.take()
        try:
            return await connection.fetch(sql, values)
        finally:
            self.connections.give_back(connection)

    async def fetch_aside(self, sql: str, *values: object) -> list[Row]:
        return await self.fetch(sql, *values)

    async def time(self) -> float:
        """What time it is there, in Unix seconds."""
        rows = await self.fetch("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")
        seconds: float = rows[0][0]
        return seconds

    async def require_sessions(self) -> None:
        """Refuse a pooler that gives a connection no session of its own."""
        if not await keeps_sessions(self._url):
            raise SettingsError(_NO_SESSIONS)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["_PostgresTransaction"]:
        connection = await self.connections.take()
        work = _PostgresTransaction(connection)
        try:
            yield work
            await work.commit()
        except BaseException:
            await work.roll_back()
            raise
        finally:
            self.connections.give_back(connection)

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        async with self.transaction() as tx:
            await tx.run("SET LOCAL statement_timeout = 0", timeout_s=_MIGRATION_TIMEOUT_S)
            await tx.lock("migrations")
            if unless is not None and await tx.fetch(unless):
                return False
            await tx.run(sql, timeout_s=_MIGRATION_TIMEOUT_S)
        return True

    async def close(self) -> None:
        await self.connections.close()


class _PostgresTransaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun = False

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        if not storable(values):
            return []
        await self._begin()
        return await self._connection.fetch(sql, values)

    async def hold(self, sql: str, *values: object) -> list[Row]:
        return await self.fetch(f"{sql} FOR UPDATE", *values)

    async def execute(self, sql: str, *values: object) -> int:
        await self._begin()
        return await self._connection.execute(sql, values)

    async def execute_many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        await self._begin()
        await self._connection.execute_many(sql, rows)

    async def lock(self, name: str) -> None:
        key = _lock_key(name)
        if self._begun:
            await self._connection.fetch("SELECT pg_advisory_xact_lock($1)", (key,))
        else:
            await self._begin(f"; SELECT pg_advisory_xact_lock({key})")

    async def run(self, sql: str, *, timeout_s: float) -> None:
        """Run statements of ours that carry no values, of which there may be several."""
        await self._begin()
        await self._connection.run(sql, timeout_s=timeout_s)

    async def commit(self) -> None:
        if self._begun:
            await self._connection.run("COMMIT")

    async def roll_back(self) -> None:
        if self._begun:
            await self._connection.roll_back()

    async def _begin(self, also: str = "") -> None:
        if not self._begun:
            self._begun = True
            await self._connection.run(f"BEGIN{also}")


def _lock_key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
