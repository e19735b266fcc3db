"""SQLite, embedded: called inside the event loop, durable by group commit.

A statement takes some tens of microseconds, less than a hop to a thread. What costs is the
commit, which waits for the disk: so all transactions of one turn of the loop share one. Each after
the first runs in a savepoint, and whoever waits for durability resumes after the common commit.
Where the disk is slow the commit waits in a thread, and who wants to write meanwhile is in the next
one. Readers have a connection of their own, wait for nobody then, and see only what is committed.
"""

import asyncio
import math
import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, Self

from locum import logs
from locum.errors import LocumError, StorageFull, Unavailable
from locum.store.database import AlreadyExists, Row, storable

_BUSY_TIMEOUT_S = 5
_PASSIVE_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_CHECKPOINT_EVERY_S = 1.0
# The log is cut back to this size, which stops all writing for milliseconds; so it is made to
# begin anew long before.
_LOG_BYTES = 64 * 1024 * 1024
# SQLite's own; each page has a few bytes more in the log.
_PAGE_BYTES = 4096
_STATEMENTS_KEPT = 512
# How SQLite fails: Python tells of its lack of memory as of one's own.
_FAILURES = (sqlite3.Error, MemoryError)
# A commit that takes longer is better waited for in a thread, though the hop has its price.
_SLOW_S = 0.0005


class SqliteDatabase:
    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._writer = _connect(path, durable=durable, shared=True)
        self._reader = _connect(path, durable=durable)
        self._reader.execute("PRAGMA query_only = ON")
        # Connections of threads, those that are idle.
        self._aside: list[sqlite3.Connection] = []
        self._writing = asyncio.Lock()
        # Those who wait for the next commit.
        self._group: list[asyncio.Future[None]] = []
        self._overdue = False
        # Where commits wait for a slow disk. The writer is the thread's until it is through.
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="locum-disk")
        self._last_commit_s = 0.0
        self._moves_log = False
        self._through = asyncio.Event()
        self._through.set()
        self._rewinds = False
        self._closing = asyncio.Event()
        self._dirty = asyncio.Event()
        # Moves the log. Opening one each time costs nearly as much as moving a log does.
        self._mover = _connect(path, durable=durable, shared=True)
        self._checkpoints: asyncio.Task[None] | None = None

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        self._refuse_when_closing()
        return _fetch(self._reader, sql, values)

    async def fetch_aside(self, sql: str, *values: object) -> list[Row]:
        self._refuse_when_closing()
        return await asyncio.to_thread(self._fetch_aside, sql, values)

    def transaction(self) -> "_SqliteTransaction":
        self._refuse_when_closing()
        return _SqliteTransaction(self)

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        self._refuse_when_closing()
        writer = await self.enter()
        try:
            self._commit_at_once()
            self._begin()
            if unless is not None and writer.execute(unless).fetchone():
                return False
            # Not `executescript`: it would commit before it begins.
            for statement in _statements(sql):
                writer.execute(statement)
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            self.leave()
        return True

    async def close(self) -> None:
        """Let what has begun end well, and take nothing new."""
        self._closing.set()
        await self.enter()
        self._commit_at_once()
        self.leave()
        self._disk.shutdown()
        if self._checkpoints is not None:
            self._dirty.set()
            await self._checkpoints
        self._mover.close()
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

    async def enter(self) -> sqlite3.Connection:
        """The writer, when nobody else writes and no commit is under way.

        All who wait for a commit go on in the same turn, so that they share the next one.
        """
        while True:
            await self._through.wait()
            await self._writing.acquire()
            if self._through.is_set():
                return self._writer
            self._writing.release()

    def leave(self) -> None:
        self._writing.release()
        if self._overdue:
            self._overdue = False
            asyncio.get_running_loop().call_soon(self._commit)

    def join(self) -> asyncio.Future[None]:
        """Be part of the next commit. The future is one's own: who stops waiting undoes nothing."""
        loop = asyncio.get_running_loop()
        if self._group:
            self._writer.execute("SAVEPOINT work")
        else:
            self._begin()
            loop.call_soon(self._commit)
        waiting: asyncio.Future[None] = loop.create_future()
        self._group.append(waiting)
        return waiting

    def keep(self) -> None:
        """What the last who joined has written is part of the next commit."""
        if len(self._group) > 1:
            self._writer.execute("RELEASE work")

    def undo(self, error: BaseException) -> None:
        """Undo what the last who joined has written, and with it whatever SQLite gives up."""
        if self._writer.in_transaction and len(self._group) > 1:
            self._writer.execute("ROLLBACK TO work")
            self._writer.execute("RELEASE work")
            return
        # He was the first, or SQLite gave up everything, as it may when the disk is full.
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        self._end(self._leave_group(), error)

    def _refuse_when_closing(self) -> None:
        if self._closing.is_set():
            raise Unavailable("The server is shutting down.")

    def _begin(self) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _translated(error) from error

    def _leave_group(self) -> list[asyncio.Future[None]]:
        """Whoever comes from now on is in the next one."""
        group, self._group = self._group, []
        return group

    def _commit(self) -> None:
        if not self._group:
            return
        if self._writing.locked():
            # Somebody is still inside a transaction; his savepoint must close first.
            self._overdue = True
            return
        rewinds, self._rewinds = self._rewinds, False
        slow = self._durable and (self._moves_log or self._last_commit_s > _SLOW_S)
        if not slow and not rewinds:
            self._commit_at_once()
            return
        group = self._leave_group()
        self._through.clear()
        loop = asyncio.get_running_loop()

        def come_back(committed: "Future[_Committed]") -> None:
            loop.call_soon_threadsafe(self._come_back, group, committed)

        work = self._disk.submit(_commit, self._writer, rewinds=rewinds)
        work.add_done_callback(come_back)

    def _come_back(
        self, group: list[asyncio.Future[None]], committed: "Future[_Committed]"
    ) -> None:
        self._through.set()
        error, self._last_commit_s = committed.result()
        self._end(group, error)

    def _commit_at_once(self) -> None:
        if self._group:
            error, self._last_commit_s = _commit(self._writer, rewinds=False)
            self._end(self._leave_group(), error)

    def _end(self, group: list[asyncio.Future[None]], error: BaseException | None) -> None:
        if error is None:
            self._start_checkpoints()
            self._dirty.set()
        elif not isinstance(error, LocumError):
            error = Unavailable("What was written together with this could not be kept.")
        for waiting in group:
            if waiting.done():
                continue  # He was cut off; what he wrote is kept, or not, all the same.
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)
                waiting.exception()  # Whoever has undone his part does not wait for it.

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
            self._moves_log = True
            self._rewinds = await asyncio.to_thread(_move_log, self._mover)
            self._moves_log = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _CHECKPOINT_EVERY_S)


class _SqliteTransaction:
    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> Self:
        self._connection = await self._database.enter()
        try:
            self._kept = self._database.join()
        except BaseException:
            self._database.leave()
            raise
        return self

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        try:
            if error is None:
                self._database.keep()
            else:
                self._database.undo(error)
        finally:
            self._database.leave()
        if error is None:
            await self._kept

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

    async def hold(self, sql: str, *values: object) -> list[Row]:
        return await self.fetch(sql, *values)  # SQLite has one writer.

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


class _Committed(NamedTuple):
    """What came of a commit, for each of those who wait for it, and how long it took."""

    error: Exception | None
    took_s: float


def _commit(writer: sqlite3.Connection, *, rewinds: bool) -> _Committed:
    begun = time.perf_counter()
    try:
        writer.execute("COMMIT")
    except _FAILURES as error:
        with suppress(*_FAILURES):
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        return _Committed(_translated(error), time.perf_counter() - begun)
    took_s = time.perf_counter() - begun
    if rewinds:
        _move_log(writer)
    return _Committed(None, took_s)


def _move_log(connection: sqlite3.Connection) -> bool:
    """Move what can be moved, and say whether the log has become long.

    How long its file is tells nothing: it stays as long as the log has ever been.
    """
    try:
        _, pages, _ = connection.execute(_PASSIVE_CHECKPOINT).fetchone()
    except _FAILURES as error:
        # Nothing is lost, the log only grows; the next one may fare better.
        logs.warning("store.checkpoint_failed", reason=str(error))
        return False
    return bool(pages * _PAGE_BYTES > _LOG_BYTES // 4)


def _translated(error: Exception) -> Exception:
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
