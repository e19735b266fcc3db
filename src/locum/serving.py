"""The application on a socket: one process, one event loop.

One process, because SQLite has one writer and streams are fed from memory; more throughput comes
from more processes on one PostgreSQL. Any other ASGI server can serve `create_app` as well.
"""

import asyncio
import fcntl
import gc
import ipaddress
import resource
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.applications import Starlette
from starlette.types import ASGIApp

from locum.listeners import Listener
from locum.processor import take_short_turns
from locum.settings import make_private
from locum.sockets import Connections
from locum.store.database import Database
from locum.store.migrations import Migration, breaks, migrate, pending

_LOCK: Final = "server.lock"
_BACKLOG: Final = 1024
# Streams that are still open when the server is told to stop are cut off after this time.
_GRACE_S: Final = 5.0
# When what is young is looked through for cycles: when there are so many more objects. And how
# many such looks go by before everything is looked through.
_YOUNG_OBJECTS: Final = 10_000
_YOUNG_LOOKS: Final = 1_000


class Address(Struct, frozen=True):
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class CannotListen(Exception):
    """The address, or the data, cannot be had; the message says why."""


def claim(host: str, port: int) -> Address:
    """The numeric address to listen on, if that is free; port 0 becomes a free one."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return Address(*probe.getsockname()[:2])
    except OSError as error:
        raise _cannot(host, port, error) from error


def _cannot(host: str, port: int, error: OSError) -> CannotListen:
    return CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against other servers: two would both take up the runs of one SQLite file.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    make_private(folder)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotListen(
                f"Another server is running over {folder}. Stop it, choose another --data, or let"
                " both use one PostgreSQL (LOCUM_DATABASE_URL)."
            ) from error
        yield


async def migrate_by_hand(database: Database, folder: Path) -> list[Migration]:
    """Bring a database up to date beside its server, if that can go on.

    One of the version before may still run over an SQLite file. PostgreSQL's operator knows.
    """
    breaking = database.dialect == "sqlite" and breaks(await pending(database))
    with alone(folder) if breaking else nullcontext():
        return await migrate(database)


def is_loopback(address: Address) -> bool:
    return ipaddress.ip_address(address.host.partition("%")[0]).is_loopback


def _say_nothing() -> None:
    """Nobody waits to hear that the server is about to end."""


async def _wait_for_nothing() -> None:
    """Nothing is under way."""


async def serve(
    app: Starlette,
    address: Address,
    *,
    announce: Callable[[], Awaitable[None]],
    admit: Callable[[], Awaitable[None]],
    leave: Callable[[], None] = _say_nothing,
    drain: Callable[[], Awaitable[None]] = _wait_for_nothing,
    notice_s: float = 0.0,
    beside: Address | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. `admit` may refuse to, once the house is open.

    `leave` says that it will end in so many seconds; operators are answered `beside`, to the end.
    `drain` lets the work that is under way end, while clients may still hear of it.

    The lifespan is ours to run: an exception in it ends the start instead of being logged, and
    the house is closed even when a client holds its stream open.
    """
    _raise_open_files()
    async with app.router.lifespan_context(app):
        await admit()
        async with AsyncExitStack() as stack:
            stack.enter_context(few_pauses())
            take_short_turns()
            if beside is not None:
                await stack.enter_async_context(listening(app.state.operators, beside))
            stopped, hurried = _on_signals()
            async with listening(app, address):
                await _until(stopped, announce)
                leave()
                with suppress(TimeoutError):
                    async with asyncio.timeout(notice_s):
                        await hurried.wait()
                draining = asyncio.ensure_future(drain())
            await draining


@contextmanager
def few_pauses() -> Iterator[None]:
    """Look for cycles seldom among what is young, and hardly ever among everything there is.

    That stops all requests for as long as it takes: a tenth of a second with some hundred open
    streams. What is answered here leaves no cycles behind, and what was there before stays.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, before[1], _YOUNG_LOOKS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@asynccontextmanager
async def listening(
    app: ASGIApp, address: Address, *, grace_s: float = _GRACE_S
) -> AsyncIterator[Address]:
    """Serve an application on an address for as long as the block lasts; on a free port for 0."""
    connections = Connections(app)
    loop = asyncio.get_running_loop()
    try:
        listener = Listener.at(address.host, address.port)
        server = await loop.create_server(connections, sock=listener, backlog=_BACKLOG)
    except OSError as error:
        raise _cannot(address.host, address.port, error) from error
    try:
        yield Address(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        await connections.end(grace_s)


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT, in a process that does not serve."""
    stopped, _ = _on_signals()
    await stopped.wait()


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set when the process is told to end, and when it is told so again."""
    stopped, hurried = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        (hurried if stopped.is_set() else stopped).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopped, hurried


async def _until(stopped: asyncio.Event, announce: Callable[[], Awaitable[None]]) -> None:
    """Tell that the server listens, and wait until it is told to stop, or do not finish telling."""
    telling = asyncio.ensure_future(announce())
    waiting = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({telling, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
            await waiting
    finally:
        telling.cancel()
        waiting.cancel()
        await asyncio.wait({telling, waiting})


def _raise_open_files() -> None:
    """Every stream is an open file, and many systems allow a mere thousand by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
