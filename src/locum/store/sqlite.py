"""SQLite, embedded: called inside the event loop, durable by group commit.

A statement takes some tens of microseconds, less than a hop to a thread. What costs is the
commit, which waits for the disk: so all transactions of one turn of the loop share one, in a
thread. Each runs in a savepoint, and whoever waits for durability resumes after the common commit;
who wants to write meanwhile is in the next one. Readers have a connection of their own, wait for
nobody, and see only what is committed.
"""

import asyncio
import math
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from locum import logs
from locum.errors import LocumError, StorageFull, Unavailable
from locum.store.database import AlreadyExists, Row, storable

_BUSY_TIMEOUT_S = 5
_PASSIVE_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_CHECKPOINT_EVERY_S = 1.0
# The log is made to begin anew well before this size, and cut back to it.
_LOG_BYTES = 16 * 1024 * 1024
_STATEMENTS_KEPT = 512


class SqliteDatabase:
    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._log = path.with_name(f"{path.name}-wal")
        self._writer = _connect(path, durable=durable, shared=True)
        self._reader = _connect(path, durable=durable)
        self._reader.execute("PRAGMA query_only = ON")
        # Connections of threads, those that are idle.
        self._aside: list[sqlite3.Connection] = []
        self._writing = asyncio.Lock()
        self._group: asyncio.Future[None] | None = None
        self._overdue = False
        # Where commits wait for the disk. The writer is the thread's until it is through.
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="locum-disk")
        self._through = asyncio.Event()
        self._through.set()
        self._rewinds = False
        self._closing = asyncio.Event()
        self._dirty = asyncio.Event()
        self._checkpoints: asyncio.Task[None] | None = None

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        self._refuse_when_closing()
        return _fetch(self._reader, sql, values)

    async def fetch_aside(self, sql: str, *values: object) -> list[Row]:
        self._refuse_when_closing()
        return await asyncio.to_thread(self._fetch_aside, sql, values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["_SqliteTransaction"]:
        self._refuse_when_closing()
        try:
            async with self._alone():
                group = self._join_group()
                self._writer.execute("SAVEPOINT work")
                try:
                    yield _SqliteTransaction(self._writer)
                except BaseException as error:
                    self._undo(error)
                    raise
                self._writer.execute("RELEASE work")
        finally:
            self._commit_when_due()
        # Shielded: whoever stops waiting does not undo what others wrote.
        await asyncio.shield(group)

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        self._refuse_when_closing()
        async with self._alone():
            if self._group is not None:
                self._end_group(self._leave_group(), _commit(self._writer, rewinds=False))
            self._begin()
            try:
                if unless is not None and self._writer.execute(unless).fetchone():
                    return False
                # Not `executescript`: it would commit before it begins.
                for statement in _statements(sql):
                    self._writer.execute(statement)
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
        return True

    async def close(self) -> None:
        """Let what has begun end well, and take nothing new."""
        self._closing.set()
        async with self._alone():
            group = self._group
        if group is not None:
            await asyncio.wait([group])
        self._disk.shutdown()
        if self._checkpoints is not None:
            self._dirty.set()
            await self._checkpoints
        self._reader.close()
        self._writer.close()
        while self._aside:
            self._aside.pop().close()

    def _fetch_aside(self, sql: str, values: tuple[object, ...]) -> list[Row]:
        """In a thread, with a connection that no other thread has at the same time."""
        try:
            connection = self._aside.pop()
        except IndexError:
            connection = _connect(self._path, durable=True, shared=True)
            connection.execute("PRAGMA query_only = ON")
        try:
            return _fetch(connection, sql, values)
        finally:
            if self._closing.is_set():
                connection.close()
            else:
                self._aside.append(connection)

    # ------------------------------------------------------------ the common commit

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else writes, and no commit is under way. All who wait for one go on together."""
        while True:
            await self._through.wait()
            async with self._writing:
                if self._through.is_set():
                    yield
                    return

    def _join_group(self) -> asyncio.Future[None]:
        if self._group is None:
            self._begin()
            loop = asyncio.get_running_loop()
            self._group = loop.create_future()
            loop.call_soon(self._commit_group)
        return self._group

    def _leave_group(self) -> asyncio.Future[None]:
        """Whoever comes from now on is in the next one."""
        group, self._group = self._group, None
        assert group is not None
        return group

    def _refuse_when_closing(self) -> None:
        if self._closing.is_set():
            raise Unavailable("The server is shutting down.")

    def _begin(self) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _translated(error) from error

    def _undo(self, error: BaseException) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK TO work")
            self._writer.execute("RELEASE work")
        else:
            # SQLite gave up the whole transaction, as it may when the disk is full.
            self._end_group(self._leave_group(), error)

    def _commit_group(self) -> None:
        if self._group is None:
            return
        if self._writing.locked():
            # Somebody is still inside a transaction; his savepoint must close first.
            self._overdue = True
            return
        group, rewinds = self._leave_group(), self._rewinds
        self._rewinds = False
        if not self._durable and not rewinds:
            self._end_group(group, _commit(self._writer, rewinds=False))
            return
        self._through.clear()
        loop = asyncio.get_running_loop()
        work = partial(_commit, self._writer, rewinds=rewinds)
        outcome = loop.run_in_executor(self._disk, work)
        outcome.add_done_callback(partial(self._come_back, group))

    def _come_back(
        self, group: asyncio.Future[None], outcome: asyncio.Future[Exception | None]
    ) -> None:
        self._through.set()
        self._end_group(group, outcome.result())

    def _commit_when_due(self) -> None:
        if self._overdue:
            self._overdue = False
            asyncio.get_running_loop().call_soon(self._commit_group)

    def _end_group(self, group: asyncio.Future[None], error: BaseException | None) -> None:
        if error is None:
            group.set_result(None)
            self._start_checkpoints()
            self._dirty.set()
            return
        if not isinstance(error, LocumError):
            error = Unavailable("What was written together with this could not be kept.")
        group.set_exception(error)
        group.exception()  # Every waiter may have gone; the error is theirs alone.

    # ------------------------------------------------------------------ checkpoints

    def _start_checkpoints(self) -> None:
        if self._checkpoints is None:
            self._checkpoints = asyncio.get_running_loop().create_task(self._keep_checkpointing())

    async def _keep_checkpointing(self) -> None:
        """Move the log into the file from a thread, so that hardly a commit ever has to.

        Under steady writing the thread alone never sees the end of the log, so now and then a
        commit moves the rest, and the log begins anew.
        """
        while not self._closing.is_set():
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.to_thread(_checkpoint, self._path)
            self._rewinds = self._log.exists() and self._log.stat().st_size > _LOG_BYTES // 2
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _CHECKPOINT_EVERY_S)


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        return _fetch(self._connection, sql, values)

    async def execute(self, sql: str, *values: object) -> int:
        try:
            return self._connection.execute(_spelt(sql), values).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def execute_many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        try:
            self._connection.executemany(_spelt(sql), rows)
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def lock(self, name: str) -> None:
        """Nothing to do: SQLite has one writer."""


def _fetch(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> list[Row]:
    if not storable(values):
        return []
    try:
        return connection.execute(_spelt(sql), values).fetchall()
    except sqlite3.Error as error:
        raise _translated(error) from error


def _statements(script: str) -> Iterator[str]:
    """The statements of a script in which each ends a line."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), "the last statement has no end"


def _connect(path: Path, *, durable: bool, shared: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        timeout=_BUSY_TIMEOUT_S,
        cached_statements=_STATEMENTS_KEPT,
        check_same_thread=not shared,
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Built in or not, as SQLite was compiled.
    connection.create_function("ln", 1, math.log, deterministic=True)
    return connection


def _commit(writer: sqlite3.Connection, *, rewinds: bool) -> Exception | None:
    """What came of it, for those who wait: an error is told to each of them."""
    try:
        writer.execute("COMMIT")
    except sqlite3.Error as error:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        return _translated(error)
    if rewinds:
        _move_log(writer)
    return None


def _checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        _move_log(connection)
    finally:
        connection.close()


def _move_log(connection: sqlite3.Connection) -> None:
    try:
        connection.execute(_PASSIVE_CHECKPOINT)
    except sqlite3.Error as error:
        # Nothing is lost, the log only grows; the next one may fare better.
        logs.warning("store.checkpoint_failed", reason=str(error))


def _translated(error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return AlreadyExists(str(error))
    # Extended codes, as "disk I/O error while writing", carry the plain one in their low byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return StorageFull("The server has no space left to store this.")
    if code == sqlite3.SQLITE_BUSY:
        return Unavailable("Another process holds the database. Try again.")
    return error


@lru_cache(maxsize=_STATEMENTS_KEPT)
def _spelt(sql: str) -> str:
    """As SQLite has it; `string_agg` is another name there, and only since 3.44."""
    return re.sub(r"\$(\d+)", r"?\1", sql).replace("string_agg(", "group_concat(")
