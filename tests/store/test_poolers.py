"""Poolers between a process and PostgreSQL: those that keep sessions, and those that do not."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.kit.databases import fresh_url, postgres_server
from tests.kit.partition import Pooler, wire

from locum import doctor
from locum.app import Parts, open_house
from locum.settings import Settings, SettingsError
from locum.store.notices import Notices
from locum.store.postgres import PostgresDatabase


@contextmanager
def _pooled(url: str) -> Iterator[str]:
    """The address of the same database, behind a pooler that keeps sessions."""
    with wire(postgres_server().directory, Pooler) as pooler:
        yield re.sub(r"host=.*", f"host={pooler.directory}", url)


@contextmanager
def _sessions_shared(monkeypatch: pytest.MonkeyPatch, session: Any) -> Iterator[None]:
    """All connections speak in one session, by turns: so do poolers that keep none."""

    async def same(*_: object, **__: object) -> Any:
        return session

    with monkeypatch.context() as patched:
        patched.setattr("locum.store.connections.asyncpg.connect", same)
        yield


def test_connections_through_a_pooler_have_the_limits_of_others() -> None:
    async def check() -> None:
        async with asyncio.timeout(60), fresh_url() as url:
            with _pooled(url) as address:
                database = PostgresDatabase(address, statement_s=7)
                assert await database.fetch("SHOW statement_timeout") == [("7s",)]
                shown = await database.fetch("SHOW idle_in_transaction_session_timeout")
                assert shown == [("7s",)]
                await database.require_sessions()
                await database.close()

    asyncio.run(check())


def test_behind_a_pooler_nobody_hears_what_he_posted_himself() -> None:
    async def check() -> None:
        async with asyncio.timeout(60), fresh_url() as url:
            with _pooled(url) as address:
                one, other = Notices(address), Notices(address)
                heard: list[str] = []
                answered, asked = asyncio.Event(), asyncio.Event()

                def hear(line: str) -> None:
                    heard.append(line)
                    answered.set()

                await one.start(hear, lambda: None)
                await other.start(lambda _: asked.set(), lambda: None)
                one.post("asked")
                await asked.wait()
                other.post("answered")
                await answered.wait()
                assert heard == ["answered"]
                await one.close()
                await other.close()

    asyncio.run(check())


def test_a_server_refuses_a_pooler_that_keeps_no_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with asyncio.timeout(60), fresh_url() as url:
            settings = Settings(data=tmp_path, database_url=url)
            session = await asyncpg.connect(url)
            refused = pytest.raises(SettingsError, match="pool_mode = session")
            with _sessions_shared(monkeypatch, session), refused:
                async with open_house(settings, Parts()):
                    pass

    asyncio.run(check())


def test_the_doctor_tells_of_a_pooler_that_keeps_no_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with asyncio.timeout(60), fresh_url() as url:
            settings = Settings(data=tmp_path, database_url=url, model="scripted")
            with _sessions_shared(monkeypatch, await asyncpg.connect(url)):
                found = {one.name: one async for one in doctor.examine(settings)}
        assert found["database"].verdict == "fail"
        assert "keeps no sessions" in found["database"].said

    asyncio.run(check())


class _OfOthers:
    """A session in which others have prepared theirs."""

    def transaction(self) -> Any:
        return nullcontext()

    async def fetchval(self, _: str) -> int:
        raise asyncpg.DuplicatePreparedStatementError("already exists")

    def terminate(self) -> None:
        """Nothing is held."""


def test_a_session_in_which_others_have_prepared_is_nobodys_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = PostgresDatabase("postgresql://locum@127.0.0.1:1/none")
    refused = pytest.raises(SettingsError, match="keeps no sessions")
    with _sessions_shared(monkeypatch, _OfOthers()), refused:
        asyncio.run(database.require_sessions())


def test_whether_a_database_that_cannot_be_reached_keeps_sessions_is_left_to_others() -> None:
    asyncio.run(PostgresDatabase("postgresql://locum@127.0.0.1:1/none").require_sessions())
