"""A bounded set of connections to PostgreSQL, each with the statements prepared on it.

asyncpg's own pool wraps every call and resets a connection whenever it comes back; ours need
neither, because nothing but a transaction of ours ever changes their state.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from locum.errors import StorageFull, Unavailable
from locum.store.database import AlreadyExists, Row

_STATEMENTS_KEPT = 256
_CLOSE_S = 10
_LOOK_S = 5
_ROLL_BACK_S = 5
# The server ends a statement itself; the client's own limit is for servers that fell silent.
_SILENCE_S = 5
# Where the server had no room for a connection, and none of ours came back meanwhile.
_ASK_AGAIN_S = 1.0

# The last is the library's own confusion, as when a connection is cut in the middle of a statement.
_FOREIGN = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    asyncpg.InternalClientError,
)
_PASSING = (
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
)
# A statement that another has prepared, or that was prepared in a session of another.
_OF_OTHERS = (
    asyncpg.DuplicatePreparedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)
# After a failover a connection may be one to what only reads by now, and stays so.
_UNSOUND = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.ReadOnlySQLTransactionError,
)


class _NoRoom(Unavailable):
    """The server has as many connections as it may have, of everybody together."""


class Connections:
    def __init__(self, url: str, *, size: int, wait_s: float, statement_s: float) -> None:
        self._url = url
        self._size = size
        self._wait_s = wait_s
        self._statement_s = statement_s
        self._places = asyncio.Semaphore(size)
        self._open: set[Connection] = set()
        # The one used last is taken first: its statements are prepared.
        self._idle: list[Connection] = []
        self._returned = asyncio.Event()
        self._opening = 0
        self._closing = False
        self.waits = 0
        self.waited_s = 0.0

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def busy(self) -> int:
        return len(self._open) - len(self._idle)

    async def take(self) -> "Connection":
        """A connection of one's own until `give_back`; whoever came first is served first."""
        if self._closing:
            raise Unavailable("The server is shutting down.")
        if not self._places.locked() and (idle := self._idle_one()):
            await self._places.acquire()  # Does not wait: a place was free a moment ago.
            return idle
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
                try:
                    return await self._idle_or_new()
                except BaseException:
                    self._places.release()
                    raise
        except TimeoutError as error:
            raise Unavailable("The database is too busy at the moment. Try again.") from error
        finally:
            self.waits += 1
            self.waited_s += asyncio.get_running_loop().time() - begun

    def give_back(self, connection: "Connection") -> None:
        if connection.usable():
            self._idle.append(connection)
            self._returned.set()
        else:
            self._open.discard(connection)
            connection.abandon()
        self._places.release()

    async def close(self) -> None:
        """Close once everybody has given back; after a while, without waiting any longer."""
        if self._closing:
            return
        self._closing = True
        try:
            async with asyncio.timeout(_CLOSE_S):
                for _ in range(self._size):
                    await self._places.acquire()
                for connection in self._idle:
                    await connection.close()
        except TimeoutError:
            for connection in self._open:
                connection.abandon()
        self._idle.clear()
        self._open.clear()

    async def _idle_or_new(self) -> "Connection":
        """An idle one, else a new one; where the server has room for no more, one that returns.

        One of those that others are opening at this moment may have got the room that there was.
        """
        while True:
            if idle := self._idle_one():
                return idle
            self._opening += 1
            try:
                return await self._connect()
            except _NoRoom:
                if not self._open and self._opening == 1:
                    raise
            finally:
                self._opening -= 1
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await self._until_returned()

    async def _until_returned(self) -> None:
        while not self._idle:
            self._returned.clear()
            await self._returned.wait()

    def _idle_one(self) -> "Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            self._open.discard(connection)
        return None

    async def _connect(self) -> "Connection":
        try:
            raw = await asyncpg.connect(
                self._url,
                command_timeout=self._statement_s + _SILENCE_S,
                server_settings={"application_name": "locum"},
            )
        except asyncpg.TooManyConnectionsError as error:
            raise _NoRoom("The database takes no more connections. Try again.") from error
        except _FOREIGN as error:
            raise translated(error) from error
        connection = Connection(raw)
        try:
            await self._limit(connection)
        except BaseException:
            connection.abandon()
            raise
        self._open.add(connection)
        return connection

    async def _limit(self, connection: "Connection") -> None:
        """Said once the connection is open: poolers refuse one that says it as it is opened."""
        milliseconds = int(self._statement_s * 1000)
        await connection.run(
            f"SET statement_timeout = {milliseconds};"
            # A process that froze inside a transaction must not keep others waiting.
            f" SET idle_in_transaction_session_timeout = {milliseconds}"
        )


class Connection:
    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._statements: dict[str, Any] = {}

    async def fetch(self, sql: str, values: Sequence[object]) -> list[Row]:
        try:
            statement = self._statements.get(sql) or await self._prepare(sql)
            rows: list[Row] = await statement.fetch(*values)
        except _FOREIGN as error:
            raise self._failed(error) from error
        return rows

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        try:
            statement = self._statements.get(sql) or await self._prepare(sql)
            await statement.fetch(*values)
        except _FOREIGN as error:
            raise self._failed(error) from error
        # The server says `UPDATE 3`, `INSERT 0 3`.
        touched = statement.get_statusmsg().rpartition(" ")[2]
        return int(touched) if touched.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        try:
            statement = self._statements.get(sql) or await self._prepare(sql)
            await statement.executemany(rows)
        except _FOREIGN as error:
            raise self._failed(error) from error

    async def run(self, sql: str, *, timeout_s: float | None = None) -> None:
        try:
            await self._raw.execute(sql, timeout=timeout_s)
        except _FOREIGN as error:
            raise self._failed(error) from error

    async def roll_back(self) -> None:
        """End a failed transaction, if need be together with the connection."""
        try:
            if self.usable(ended=False):
                await self._raw.execute("ROLLBACK", timeout=_ROLL_BACK_S)
        except _FOREIGN:
            self.abandon()
        except asyncio.CancelledError:
            self.abandon()
            raise

    def usable(self, *, ended: bool = True) -> bool:
        """Whether the next one may have it: it is open, and (`ended`) outside a transaction."""
        return not self._raw.is_closed() and not (ended and self._raw.is_in_transaction())

    def abandon(self) -> None:
        """Drop the connection without a word; the server undoes what was under way."""
        self._statements.clear()
        self._raw.terminate()

    async def close(self) -> None:
        self._statements.clear()
        await self._raw.close()

    async def _prepare(self, sql: str) -> Any:
        if len(self._statements) >= _STATEMENTS_KEPT:
            del self._statements[next(iter(self._statements))]
        statement = self._statements[sql] = await self._raw.prepare(sql)
        return statement

    def _failed(self, error: Exception) -> Exception:
        if isinstance(error, _UNSOUND):
            # Nobody knows what state it is in, or its statements are of another schema.
            self.abandon()
        return translated(error, lost=self._raw.is_closed())


async def keeps_sessions(url: str) -> bool:
    """Whether connections that are open at the same time have sessions of their own.

    Behind a pooler they need not: what is prepared is forgotten then, and notices reach nobody.
    """
    opened: list[Any] = []
    try:
        for _ in range(2):
            connection = await asyncpg.connect(url, timeout=_LOOK_S, command_timeout=_LOOK_S)
            opened.append(connection)
        first, second = [await _process(connection) for connection in opened]
    except _OF_OTHERS:
        return False
    except (*_FOREIGN, TimeoutError):
        return True  # Others find out what is wrong, and say it better.
    finally:
        for connection in opened:
            connection.terminate()
    return first != second


async def _process(connection: Any) -> int:
    async with connection.transaction():
        process: int = await connection.fetchval("SELECT pg_backend_pid()")
    return process


def translated(error: Exception, *, lost: bool = False) -> Exception:
    """A foreign error in words of ours; a mistake of ours stays as it is."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return AlreadyExists(str(error))
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFull("The server has no space left to store this.")
    if lost or isinstance(error, _PASSING):
        return Unavailable("The database cannot be reached at the moment. Try again.")
    return error
