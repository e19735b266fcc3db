"""Migrations: applied once, in order, by one process at a time, never changed afterwards."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.kit.databases import DIALECTS, fresh_database, fresh_url

from locum.store.database import Database
from locum.store.events import Event
from locum.store.migrations import MigrationError, known, migrate, pending
from locum.store.postgres import PostgresDatabase
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store


def _on_empty(dialect: str, check: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), fresh_database(dialect, migrated=False) as database:
            await check(database)

    asyncio.run(run())


def test_an_empty_database_gets_every_migration_once(dialect: str) -> None:
    async def check(database: Database) -> None:
        assert await pending(database) == known(dialect)
        assert await migrate(database) == known(dialect)
        assert await migrate(database) == []
        assert await pending(database) == []

    _on_empty(dialect, check)


def test_a_newer_version_that_only_added_something_is_lived_with(dialect: str) -> None:
    async def check(database: Database) -> None:
        await migrate(database)
        await database.script(
            "INSERT INTO migrations (number, name, checksum) VALUES (9999, 'future', '0');"
        )
        assert await pending(database) == []

    _on_empty(dialect, check)


def test_a_newer_version_that_broke_with_this_one_is_left_alone(dialect: str) -> None:
    async def check(database: Database) -> None:
        await migrate(database)
        await database.script(
            "INSERT INTO migrations (number, name, checksum) VALUES (9999, 'breaking_it', '0');"
        )
        with pytest.raises(MigrationError, match=r"migration 9999 \(breaking_it\), which this"):
            await migrate(database)

    _on_empty(dialect, check)


_ADDS = re.compile(r"CREATE (UNIQUE )?(TABLE|INDEX) |ALTER TABLE \w+ ADD COLUMN |UPDATE |INSERT ")


def test_a_migration_adds_unless_its_name_says_that_it_breaks(dialect: str) -> None:
    """Processes of the version before go on while it is applied, and after."""
    # The first two were made before there was a version to live with.
    for migration in known(dialect)[2:]:
        sql = re.sub(r"--[^\n]*", "", migration.sql)
        statements = [text.strip() for text in sql.split(";") if text.strip()]
        adds = all(_ADDS.match(text) for text in statements)
        assert adds or migration.name.startswith("breaking_")
        for text in statements:
            if "ADD COLUMN" in text and "NOT NULL" in text:
                assert "DEFAULT" in text, "an older version does not know the column"


def test_a_migration_that_was_changed_afterwards_is_noticed(dialect: str) -> None:
    async def check(database: Database) -> None:
        await migrate(database)
        await database.script("UPDATE migrations SET checksum = 'other' WHERE number = 1;")
        with pytest.raises(MigrationError, match="was changed after it was applied"):
            await migrate(database)

    _on_empty(dialect, check)


def test_a_script_that_fails_leaves_nothing(dialect: str) -> None:
    async def check(database: Database) -> None:
        with pytest.raises(Exception, match="missing"):
            await database.script("CREATE TABLE half (id TEXT);\nINSERT INTO missing VALUES (1);")
        assert await database.script("CREATE TABLE half (id TEXT);")

    _on_empty(dialect, check)


def test_a_script_is_not_run_when_its_condition_holds(dialect: str) -> None:
    async def check(database: Database) -> None:
        await database.script("CREATE TABLE once (id TEXT);\nINSERT INTO once VALUES ('x');")
        unless = "SELECT 1 FROM once"
        assert not await database.script("DROP TABLE once;", unless=unless)
        assert await database.script("DELETE FROM once;", unless="SELECT 1 FROM once WHERE id = ''")
        assert await database.script("DROP TABLE once;", unless=unless)

    _on_empty(dialect, check)


def test_a_script_may_follow_a_transaction_within_one_turn_of_the_loop(dialect: str) -> None:
    async def check(database: Database) -> None:
        await database.script("CREATE TABLE t (id TEXT);")

        async def write() -> None:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO t (id) VALUES ($1)", "x")

        await asyncio.gather(write(), database.script("CREATE TABLE u (id TEXT);"), write())
        assert await database.fetch("SELECT count(*) FROM t") == [(2,)]

    _on_empty(dialect, check)


def test_processes_that_migrate_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def check(databases: list[Database]) -> None:
        applied = await asyncio.gather(*(migrate(database) for database in databases))
        dialect = databases[0].dialect
        numbers = [migration.number for some in applied for migration in some]
        assert sorted(numbers) == [migration.number for migration in known(dialect)]
        await asyncio.gather(*(database.close() for database in databases))

    async def run() -> None:
        async with asyncio.timeout(60), fresh_url(migrated=False) as url:
            await check([PostgresDatabase(url) for _ in range(5)])
            await check([SqliteDatabase(tmp_path / "locum.db", durable=False) for _ in range(5)])

    asyncio.run(run())


def test_a_number_means_one_change_on_whichever_database_needs_it() -> None:
    named = [{m.number: m.name for m in known(dialect)} for dialect in DIALECTS]
    ours, theirs = named
    assert ours | theirs == theirs | ours
    assert sorted(ours | theirs) == list(range(1, len(ours | theirs) + 1))


def test_journals_of_before_are_found_by_the_short_keys(tmp_path: Path) -> None:
    async def check(database: SqliteDatabase) -> None:
        before, last = known("sqlite")[:4], known("sqlite")[4]
        for migration in before:
            await database.script(migration.sql)
        await database.script(
            "INSERT INTO runs (project_id, thread_id, id, status, expires_at, events, document)"
            " VALUES ('p', 'thread_0', 'run_0', 'completed', 600, 0, '{}'),"
            " ('p', 'thread_1', 'run_1', 'in_progress', 600, 2, '{}'),"
            " ('q', 'thread_1', 'run_1', 'in_progress', 600, 1, '{}');\n"
            "INSERT INTO events (project_id, run_id, number, life, name, data, created_at)"
            " VALUES ('p', 'run_1', 1, 0, 'one', '1', 7), ('q', 'run_1', 1, 0, 'other', '0', 7),"
            " ('p', 'run_1', 2, 1, 'two', '2', 8), ('p', 'run_gone', 1, 0, 'gone', '0', 7);"
        )
        assert last.name == "breaking_short_keys"
        await database.script(last.sql)
        events = Store(database).events
        assert await events.after("p", "run_1", number=0, life=0, limit=9) == [
            Event(1, 0, "one", "1"),
            Event(2, 1, "two", "2"),
        ]
        assert await events.after("q", "run_1", number=0, life=0, limit=9) == [
            Event(1, 0, "other", "0")
        ]
        assert await database.fetch("SELECT run, created_at FROM events ORDER BY rowid") == [
            (2, 7),
            (3, 7),
            (2, 8),
        ]
        await database.close()

    asyncio.run(check(SqliteDatabase(tmp_path / "locum.db", durable=False)))
