"""A real server on a port of its own, in this process, whose clock and model are the test's."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from openai import AsyncOpenAI, OpenAI
from tests.kit.clocks import LeapingClock, SteppedClock
from tests.kit.databases import postgres_server
from tests.kit.http import Http

from locum.api.auth import new_key
from locum.app import Parts, create_app
from locum.serving import Address, listening
from locum.settings import Settings
from locum.sockets import RequestsFirst
from locum.store.database import Database
from locum.store.keys import ApiKey
from locum.store.postgres import PostgresDatabase
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store

T = TypeVar("T")
WAIT_S = 30.0
_GRACE_S = 1.0
ANY_KEY = "sk-any"


class Server:
    """A server that listens on 127.0.0.1, and what a test needs to talk to it."""

    def __init__(self, settings: Settings, parts: Parts, clock: SteppedClock) -> None:
        self.settings = settings
        self.clock = clock
        self._listener = _Listener(settings, parts)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.port = self._listener.start()

    def stop(self) -> None:
        self._listener.stop()

    def http(self, key: str | None = ANY_KEY, *, beta: str | None = "assistants=v2") -> Http:
        """Plain HTTP, byte for byte."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if beta is not None:
            headers["OpenAI-Beta"] = beta
        return Http(self.port, headers)

    def sdk(self, key: str = ANY_KEY, **options: Any) -> OpenAI:
        """The official client. It never tries twice: a failure is to be seen."""
        asked: dict[str, Any] = {"base_url": f"{self.url}/v1", "timeout": WAIT_S} | options
        return OpenAI(api_key=key, max_retries=0, **asked)

    def async_sdk(self, key: str = ANY_KEY) -> AsyncOpenAI:
        return AsyncOpenAI(api_key=key, base_url=f"{self.url}/v1", max_retries=0, timeout=WAIT_S)

    def add_key(
        self,
        project_id: str,
        *,
        read_only: bool = False,
        expires_at: int | None = None,
    ) -> tuple[str, str]:
        """A new key of a project: its secret and its id."""
        secret, digest, hint = new_key()
        key = ApiKey(
            id=f"key_{digest[:24]}",
            project_id=project_id,
            name="test",
            hint=hint,
            read_only=read_only,
            created_at=self.clock.now(),
            expires_at=expires_at,
            revoked_at=None,
        )

        async def add(store: Store) -> None:
            async with store.transaction() as tx:
                await store.keys.ensure_project(
                    tx, project_id, name=project_id, now=self.clock.now()
                )
                await store.keys.add(tx, key, digest)

        self.in_store(add)
        return secret, key.id

    def revoke(self, key_id: str) -> None:
        async def revoke(store: Store) -> None:
            async with store.transaction() as tx:
                await store.keys.revoke(tx, key_id, now=self.clock.now())

        self.in_store(revoke)

    def in_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do something in the server's database, over a connection of one's own."""

        async def run() -> T:
            url = self.settings.database_url
            database: Database = (
                SqliteDatabase(self.settings.data / "locum.db", durable=False)
                if url is None
                else PostgresDatabase(url, connections=1)
            )
            try:
                return await work(Store(database))
            finally:
                await database.close()

        return asyncio.run(run())


@contextlib.contextmanager
def running(
    parts: Parts | None = None,
    *,
    prepare: Callable[[Path], object] | None = None,
    **settings: Any,
) -> Iterator[Server]:
    """A server with a frozen clock, the scripted model and an SQLite file of its own.

    `parts` may bring another clock and another model.

    Files in vector stores stay in progress, unless it is told to read some at once.

    `prepare` is given the data directory before the server starts.
    """
    directory = Path(tempfile.mkdtemp(prefix="locum-server-"))
    parts = parts or Parts()
    clock = parts.clock if isinstance(parts.clock, SteppedClock) else SteppedClock()
    chosen = replace(parts, clock=parts.clock or clock)
    defaults: dict[str, Any] = {
        "data": directory,
        "durable": False,
        "model": "scripted",
        "files_at_once": 0,
    }
    server = Server(
        Settings(**defaults | settings),
        chosen,
        clock,
    )
    try:
        if prepare is not None:
            prepare(directory)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


@contextlib.contextmanager
def running_apart() -> Iterator[Server]:
    """As `running`, but over PostgreSQL, and whoever answers requests drives no run.

    Another house does that, in a thread of its own; both have the same frozen clock.
    """
    postgres = postgres_server()
    name = asyncio.run(postgres.migrated_database())
    clock = LeapingClock()
    shared: dict[str, Any] = {"database_url": postgres.url(name)}
    try:
        with (
            running(Parts(clock=clock), roles=("worker",), **shared),
            running(Parts(clock=clock), roles=("web",), **shared) as server,
        ):
            yield server
    finally:
        asyncio.run(postgres.take_back(name, reuse=True))


class _Listener:
    """The application as `locum serve` serves it, in a thread with an event loop of its own."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._app = create_app(settings, parts)
        self._runner = asyncio.Runner(loop_factory=RequestsFirst)
        self._port: Future[int] = Future()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> int:
        self._thread.start()
        return self._port.result(WAIT_S)

    def stop(self) -> None:
        if self._thread.ident is None:
            return  # It was never started.
        if self._thread.is_alive():
            self._runner.get_loop().call_soon_threadsafe(self._stopped.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the server did not stop"

    def _run(self) -> None:
        with self._runner:
            try:
                self._runner.run(self._serve())
            except BaseException as error:
                if self._port.done():
                    raise
                self._port.set_exception(error)
            finally:
                # As at the end of a process: lines are written a moment after they are told.
                for handler in logging.getLogger("locum").handlers:
                    handler.flush()

    async def _serve(self) -> None:
        async with (
            self._app.router.lifespan_context(self._app),
            listening(self._app, Address("127.0.0.1", 0), grace_s=_GRACE_S) as address,
        ):
            self._port.set_result(address.port)
            await self._stopped.wait()
