"""The application on a socket: one process, one event loop, granian in front of it.

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
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from msgspec import Struct
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

_LOCK: Final = "server.lock"
_BACKLOG: Final = 1024
# Open streams count as requests; the bound on them is that of open files.
_REQUESTS_AT_ONCE: Final = 65_536
_HEADER_BYTES: Final = 64 * 1024
_HEADERS_WITHIN_MS: Final = 30_000
# Streams that are still open when the server is told to stop are cut off after this time.
_GRACE_S: Final = 5.0
_START_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.01
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
    """The numeric address to listen on; port 0 becomes a free one.

    The server shares ports by design (SO_REUSEPORT), so a second one would silently take half of
    the first one's connections. A socket without that option finds out.
    """
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return Address(*probe.getsockname()[:2])
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against other servers: two would both take up the runs of one SQLite file.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotListen(
                f"Another server is running over {folder}. Stop it, choose another --data, or let"
                " both use one PostgreSQL (LOCUM_DATABASE_URL)."
            ) from error
        yield


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
            if beside is not None:
                await stack.enter_async_context(listening(app.state.operators, beside))
            stopped = await _serve_requests(
                app, address, announce=announce, leave=leave, drain=drain, notice_s=notice_s
            )
    if not stopped:
        raise CannotListen(f"The server on {address.url} ended by itself.")


async def _serve_requests(
    app: Starlette,
    address: Address,
    *,
    announce: Callable[[], Awaitable[None]],
    leave: Callable[[], None],
    drain: Callable[[], Awaitable[None]],
    notice_s: float,
) -> bool:
    """Whether it ended because it was told to."""
    requests = _Requests(app)
    server = _server(requests, address)
    stopped, hurried = _on_signals()
    serving = asyncio.ensure_future(server.serve())
    telling = asyncio.ensure_future(_tell(address, announce))
    waiting = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(notice_s):
                await hurried.wait()
        server.stop()  # type: ignore[no-untyped-call]  # granian has half its types
        draining = asyncio.ensure_future(drain())
        await asyncio.wait({serving}, timeout=_GRACE_S)
        requests.cut_off()
        await asyncio.wait({serving}, timeout=_GRACE_S)
        await draining
    finally:
        for task in (serving, telling, waiting):
            task.cancel()
        await asyncio.wait({serving, telling, waiting})
    for task in (serving, telling):
        if not task.cancelled():
            task.result()
    return stopped.is_set()


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
async def listening(app: ASGIApp, address: Address) -> AsyncIterator[None]:
    """Serve a small application on an address of its own for as long as the block lasts."""
    server = _server(app, address)
    serving = asyncio.ensure_future(server.serve())
    try:
        yield
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian has half its types
        await asyncio.wait({serving}, timeout=_GRACE_S)
        serving.cancel()
        await asyncio.wait({serving})


class _Requests:
    """The requests that are being answered. The server waits for all of them before it ends."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._open: set[asyncio.Task[None] | None] = set()
        self._cut_off = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._cut_off:
                raise
        finally:
            self._open.discard(task)

    def cut_off(self) -> None:
        """End them as if their clients had left: streams above all, which know no end."""
        self._cut_off = True
        for task in tuple(self._open):
            if task is not None:
                task.cancel()


def _server(app: ASGIApp, address: Address) -> Server:
    return Server(
        app,
        address=address.host,
        port=address.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=_HEADERS_WITHIN_MS, max_buffer_size=_HEADER_BYTES
        ),
        backlog=_BACKLOG,
        backpressure=_REQUESTS_AT_ONCE,
        websockets=False,
        # Requests are logged by the door, with what belongs to them.
        log_enabled=False,
    )


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


async def _tell(address: Address, announce: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(_START_S):
        while not await _accepts(address):  # noqa: ASYNC110  # a socket tells nobody that it is open
            await asyncio.sleep(_LOOK_AGAIN_S)
    await announce()


async def _accepts(address: Address) -> bool:
    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
    except ConnectionError:
        return False
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return True


def _raise_open_files() -> None:
    """Every stream is an open file, and many systems allow a mere thousand by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
