"""SQLite, embedded: called inside the event loop, durable by group commit.

A statement takes some tens of microseconds, less than a hop to a thread. What costs is the
commit, so all transactions of one turn of the loop share one: each runs in a savepoint, and
whoever waits for durability resumes after the common commit. Readers have a connection of
their own and see only what is committed.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from locum.errors import StorageFull
from locum.store.database import AlreadyExists, Row

_BUSY_TIMEOUT_S = 5
_CHECKPOINT_EVERY_S = 1.0
_STATEMENTS_KEPT = 512


class SqliteDatabase:
    dialect: ClassVar[Literal["sqlite"]] = "sqlite"

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._writer = _connect(path, durable=durable)
        self._reader = _connect(path, durable=durable)
        self._reader.execute("PRAGMA query_only = ON")
        self._writing = asyncio.Lock()
        self._group: asyncio.Future[None] | None = None
        self._dirty = asyncio.Event()
        self._checkpoints: asyncio.Task[None] | None = None

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        return self._reader.execute(_numbered(sql), values).fetchall()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["_SqliteTransaction"]:
        async with self._writing:
            committed = self._join_group()
            self._writer.execute("SAVEPOINT work")
            try:
                yield _SqliteTransaction(self._writer)
            except BaseException:
                self._writer.execute("ROLLBACK TO work")
                raise
            finally:
                self._writer.execute("RELEASE work")
        # Shielded: whoever stops waiting does not undo what others wrote.
        await asyncio.shield(committed)

    async def script(self, sql: str) -> None:
        async with self._writing:
            try:
                self._writer.executescript(f"BEGIN IMMEDIATE;\n{sql}\nCOMMIT;")
            except sqlite3.Error:
                self._writer.rollback()
                raise

    async def close(self) -> None:
        if self._group is not None:
            await asyncio.wait([self._group])
        if self._checkpoints is not None:
            self._checkpoints.cancel()
            await asyncio.gather(self._checkpoints, return_exceptions=True)
        self._reader.close()
        self._writer.close()

    def _join_group(self) -> asyncio.Future[None]:
        if self._group is None:
            self._writer.execute("BEGIN IMMEDIATE")
            loop = asyncio.get_running_loop()
            self._group = loop.create_future()
            loop.call_soon(self._commit)
        return self._group

    def _commit(self) -> None:
        if self._writing.locked():
            # Somebody is still inside a transaction; his savepoint must close first.
            asyncio.get_running_loop().call_soon(self._commit)
            return
        group, self._group = self._group, None
        assert group is not None
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._writer.rollback()
            if not group.cancelled():
                group.set_exception(_translated(error))
                group.exception()  # Every waiter may have gone; the error is theirs alone.
            return
        group.set_result(None)
        self._start_checkpoints()
        self._dirty.set()

    def _start_checkpoints(self) -> None:
        if self._checkpoints is None:
            self._checkpoints = asyncio.get_running_loop().create_task(self._keep_checkpointing())

    async def _keep_checkpointing(self) -> None:
        """Move the log into the file from a thread, so that no commit ever has to."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.to_thread(_checkpoint, self._path)
            await asyncio.sleep(_CHECKPOINT_EVERY_S)


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        return self._connection.execute(_numbered(sql), values).fetchall()

    async def execute(self, sql: str, *values: object) -> int:
        try:
            return self._connection.execute(_numbered(sql), values).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def execute_many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        try:
            self._connection.executemany(_numbered(sql), rows)
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def lock(self, name: str) -> None:
        """Nothing to do: SQLite has one writer."""


def _connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=_BUSY_TIMEOUT_S, cached_statements=_STATEMENTS_KEPT
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def _translated(error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return AlreadyExists(str(error))
    if getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return StorageFull("The server has no space left to store this.")
    return error


@lru_cache(maxsize=_STATEMENTS_KEPT)
def _numbered(sql: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", sql)
