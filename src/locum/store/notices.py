"""Notices between processes, by PostgreSQL's LISTEN and NOTIFY on a connection of their own.

What is posted together travels together: one statement at a time, however many have news. A
notice is lost when the connection is; whoever relies on one looks by himself now and then.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import asyncpg

from locum import logs

_CHANNEL: Final = "locum"
# PostgreSQL takes less than 8,000 bytes in one notice.
_MOST_BYTES: Final = 7_900
_MOST_WAITING: Final = 20_000
_CONNECT_S: Final = 5.0
_STATEMENT_S: Final = 5.0
_ALIVE_EVERY_S: Final = 5.0
_AGAIN_S: Final = 0.5

_FOREIGN = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Notices:
    def __init__(self, url: str) -> None:
        self._url = url
        # In order, and each only once until it has been sent.
        self._waiting: dict[str, None] = {}
        self._posted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._heard: Callable[[str], None] = _nobody
        self._missed: Callable[[], None] = _nothing

    async def start(self, heard: Callable[[str], None], missed: Callable[[], None]) -> None:
        """Connect, and hear what others post; `missed` is called after every reconnection."""
        self._heard, self._missed = heard, missed
        connection = await self._connect()
        self._keeping = asyncio.get_running_loop().create_task(self._keep(connection))

    def post(self, line: str) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[line] = None
            self._posted.set()

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])

    # --------------------------------------------------------------------- private

    async def _keep(self, connection: Any) -> None:
        while True:
            try:
                await self._send_for_ever(connection)
            except _FOREIGN as error:
                logs.warning("notices.lost", reason=type(error).__name__)
            finally:
                connection.terminate()
            connection = await self._reconnect()
            self._missed()

    async def _reconnect(self) -> Any:
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                return await self._connect()
            except _FOREIGN as error:
                logs.info("notices.not_connected", reason=type(error).__name__)

    async def _connect(self) -> Any:
        async with asyncio.timeout(_CONNECT_S):
            connection = await asyncpg.connect(
                self._url,
                command_timeout=_STATEMENT_S,
                server_settings={"application_name": "locum-notices"},
            )
            # A pooler names the session otherwise than the notices do that come from it.
            own = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.add_listener(_CHANNEL, partial(self._hear, own))
        # Whoever waits to send finds out at once.
        connection.add_termination_listener(lambda _: self._posted.set())
        return connection

    def _hear(self, own: int, _: object, process: int, __: str, payload: str) -> None:
        if process != own:
            for line in payload.split("\n"):
                self._heard(line)

    async def _send_for_ever(self, connection: Any) -> None:
        # Empty is a sign of life, for a server that fell silent, and is told to nobody.
        statement = await connection.prepare("SELECT pg_notify($1, $2) WHERE $2 <> ''")
        while True:
            if not self._waiting:
                await self._until_posted()
            if connection.is_closed():
                raise ConnectionResetError
            await statement.fetch(_CHANNEL, self._next())

    async def _until_posted(self) -> None:
        self._posted.clear()
        try:
            async with asyncio.timeout(_ALIVE_EVERY_S):
                await self._posted.wait()
        except TimeoutError:
            return

    def _next(self) -> str:
        lines: list[str] = []
        size = 0
        while self._waiting:
            line = next(iter(self._waiting))
            size += len(line.encode()) + 1
            if lines and size > _MOST_BYTES:
                break
            del self._waiting[line]
            lines.append(line)
        return "\n".join(lines)


def _nobody(_: str) -> None:
    """Nobody listens yet."""


def _nothing() -> None:
    """Nobody can have missed anything yet."""
