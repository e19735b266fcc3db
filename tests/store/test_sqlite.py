"""What only SQLite has to promise: shared commits, a bounded log, a full disk survived."""

import asyncio
import math
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from locum.errors import StorageFull, Unavailable
from locum.store import sqlite
from locum.store.sqlite import SqliteDatabase

_INSERT = "INSERT INTO t (id, text) VALUES ($1, $2)"


@asynccontextmanager
async def _opened(path: Path, *, durable: bool = False) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(path / "locum.db", durable=durable)
    try:
        async with asyncio.timeout(60):
            await database.script("CREATE TABLE IF NOT EXISTS t (id INTEGER, text TEXT);")
            yield database
    finally:
        await database.close()


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit is waited for in the thread."""
    monkeypatch.setattr(sqlite, "_SLOW_S", -1.0)


@pytest.fixture(params=["quick", "slow"])
def any_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SLOW_S", -1.0 if request.param == "slow" else math.inf)


async def _insert(database: SqliteDatabase, number: int, text: str = "") -> None:
    async with database.transaction() as tx:
        await tx.execute(_INSERT, number, text)


async def _count(database: SqliteDatabase) -> int:
    rows = await database.fetch("SELECT count(*) FROM t")
    count: int = rows[0][0]
    return count


def _statements_of(database: SqliteDatabase) -> list[str]:
    """Everything the writer runs from now on. Reaches inside: a commit has no other trace."""
    seen: list[str] = []
    database._writer.set_trace_callback(seen.append)
    return seen


@pytest.mark.usefixtures("any_disk")
def test_writers_of_one_turn_share_one_commit(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            seen = _statements_of(database)
            await asyncio.gather(*(_insert(database, number) for number in range(50)))
            assert seen.count("COMMIT") == 1
            assert await _count(database) == 50

    asyncio.run(check())


@pytest.mark.usefixtures("any_disk")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_whoever_fails_among_those_who_share_a_commit_undoes_his_own_part(
    tmp_path: Path, place: int
) -> None:
    async def fail(database: SqliteDatabase) -> None:
        async with database.transaction() as tx:
            await tx.execute(_INSERT, place, "")
            await tx.execute(_INSERT, place + 10, "")
            raise LookupError

    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            parts = [_insert(database, number) for number in range(3) if number != place]
            parts.insert(place, fail(database))
            outcomes = await asyncio.gather(*parts, return_exceptions=True)
            assert isinstance(outcomes.pop(place), LookupError)
            assert outcomes == [None, None]
            kept = await database.fetch("SELECT id FROM t ORDER BY id")
            assert [row[0] for row in kept] == [number for number in range(3) if number != place]

    asyncio.run(check())


def test_who_shares_his_commit_with_nobody_needs_no_savepoint(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            seen = _statements_of(database)
            await _insert(database, 1)
            assert [statement.split()[0] for statement in seen] == ["BEGIN", "INSERT", "COMMIT"]

    asyncio.run(check())


@pytest.mark.usefixtures("slow_disk")
def test_nobody_but_writers_waits_for_a_slow_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, at_disk, commits = threading.Event(), threading.Event(), 0
    commit = sqlite._commit

    def slow(writer: sqlite3.Connection, **told: Any) -> sqlite._Committed:
        nonlocal commits
        commits += 1
        at_disk.set()
        assert goes_on.wait(60)
        return commit(writer, **told)

    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            monkeypatch.setattr(sqlite, "_commit", slow)
            first = asyncio.create_task(_insert(database, 1))
            assert await asyncio.to_thread(at_disk.wait, 60)
            second = [asyncio.create_task(_insert(database, number)) for number in (2, 3)]
            # What is not on the disk yet is seen by nobody, and whoever reads is answered.
            for _ in range(5):
                await asyncio.sleep(0)
                assert await _count(database) == 0
            assert not first.done()
            goes_on.set()
            await asyncio.gather(first, *second)
            assert await _count(database) == 3
            assert commits == 2

    asyncio.run(check())


@pytest.mark.usefixtures("slow_disk")
def test_closing_waits_for_those_who_wait_for_the_disk(tmp_path: Path) -> None:
    async def check() -> None:
        database = SqliteDatabase(tmp_path / "locum.db", durable=True)
        await database.script("CREATE TABLE t (id INTEGER, text TEXT);")
        writers = [asyncio.create_task(_insert(database, 1))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # The first is at the disk now, the others wait for the next turn.
        writers += [asyncio.create_task(_insert(database, number)) for number in (2, 3)]
        await asyncio.sleep(0)
        await database.close()
        await asyncio.gather(*writers)
        async with _opened(tmp_path) as again:
            assert await _count(again) == 3

    asyncio.run(check())


@pytest.mark.usefixtures("any_disk")
def test_a_failed_commit_reaches_every_waiter_and_nothing_is_kept(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            # A foreign key that is checked at the commit makes it fail as a disk would.
            await database.script(
                "CREATE TABLE parents (id INTEGER PRIMARY KEY);\n"
                "CREATE TABLE children"
                " (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);"
            )

            async def orphan() -> None:
                async with database.transaction() as tx:
                    await tx.execute("INSERT INTO children (id) VALUES ($1)", 1)

            writers = [_insert(database, number) for number in range(10)]
            outcomes = await asyncio.gather(*writers, orphan(), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {Unavailable}
            assert await _count(database) == 0
            await _insert(database, 1)
            assert await _count(database) == 1

    asyncio.run(check())


class _ShortOfMemory:
    """A connection whose first commit Python has no memory for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "COMMIT" and not self._failed:
            self._failed = True
            raise MemoryError
        return self._connection.execute(sql, *values)


@pytest.mark.usefixtures("any_disk")
def test_a_commit_that_runs_out_of_memory_is_told_and_writing_goes_on(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            database._writer = _ShortOfMemory(database._writer)  # type: ignore[assignment]
            writers = [_insert(database, number) for number in range(3)]
            outcomes = await asyncio.gather(*writers, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {Unavailable}
            await _insert(database, 1)
            assert await _count(database) == 1

    asyncio.run(check())


def test_a_full_disk_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    async def fill(database: SqliteDatabase, number: int) -> None:
        async with database.transaction() as tx:
            for part in range(4):
                await tx.execute(_INSERT, number * 4 + part, "x" * 3000)

    async def check() -> None:
        async with _opened(tmp_path) as database:
            database._writer.execute("PRAGMA max_page_count = 40")
            await fill(database, 0)
            outcomes: list[BaseException | None] = [None]
            outcomes += await asyncio.gather(
                *(fill(database, number) for number in range(1, 40)), return_exceptions=True
            )
            assert StorageFull in {type(outcome) for outcome in outcomes}
            written = [number for number, outcome in enumerate(outcomes) if outcome is None]
            rows = await database.fetch("SELECT DISTINCT id / 4 FROM t ORDER BY id")
            assert [row[0] for row in rows] == written
            assert await _count(database) == 4 * len(written)
            # Space again: everything goes on.
            database._writer.execute("PRAGMA max_page_count = 4000")
            await fill(database, 100)
            assert await _count(database) == 4 * len(written) + 4

    asyncio.run(check())


def test_when_sqlite_gives_up_everything_all_who_shared_it_are_told(tmp_path: Path) -> None:
    async def give_up(database: SqliteDatabase) -> None:
        async with database.transaction() as tx:
            await tx.execute(_INSERT, 2, "")
            database._writer.execute("ROLLBACK")  # As SQLite itself may do on a full disk.
            raise StorageFull("full")

    async def check() -> None:
        async with _opened(tmp_path) as database:
            outcomes = await asyncio.gather(
                _insert(database, 1),
                give_up(database),
                _insert(database, 3),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [StorageFull, StorageFull, type(None)]
            assert await database.fetch("SELECT id FROM t") == [(3,)]

    asyncio.run(check())


@pytest.mark.usefixtures("any_disk")
def test_the_log_stays_bounded_under_steady_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.store.sqlite._CHECKPOINT_EVERY_S", 0.001)
    monkeypatch.setattr("locum.store.sqlite._LOG_BYTES", 1024 * 1024)

    async def check() -> None:
        log = tmp_path / "locum.db-wal"
        largest = written = 0
        async with _opened(tmp_path, durable=True) as database:
            # Who moves the log is a thread: on a busy machine it may get its turn late.
            while written < 40_000_000 or largest >= written / 3:
                assert written < 400_000_000, f"the log has {largest} bytes"
                await asyncio.gather(*(_insert(database, 1, "x" * 50_000) for _ in range(5)))
                written += 250_000
                largest = max(largest, log.stat().st_size)

    asyncio.run(check())


def test_commits_that_follow_a_long_log_do_not_move_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.store.sqlite._CHECKPOINT_EVERY_S", 0.001)
    monkeypatch.setattr("locum.store.sqlite._LOG_BYTES", 1024 * 1024)
    really = sqlite._move_log
    moved_beside = asyncio.Event()
    by_commits = []

    async def check() -> None:
        loop = asyncio.get_running_loop()

        def move(connection: sqlite3.Connection) -> bool:
            if threading.current_thread().name.startswith("locum-disk"):
                by_commits.append(connection)
                return really(connection)
            rest = really(connection)
            loop.call_soon_threadsafe(moved_beside.set)
            return rest

        monkeypatch.setattr(sqlite, "_move_log", move)
        async with _opened(tmp_path, durable=True) as database:
            for _ in range(5):
                await _insert(database, 1, "x" * 500_000)
            by_commits.clear()
            for _ in range(30):
                moved_beside.clear()
                await _insert(database, 1)
                await moved_beside.wait()
        # Those that come before the log has begun anew.
        assert len(by_commits) < 10

    asyncio.run(check())


def test_a_checkpoint_that_fails_is_only_told_to_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        async with _opened(tmp_path) as database:
            monkeypatch.setattr("locum.store.sqlite._PASSIVE_CHECKPOINT", "PRAGMA no such thing")
            await _insert(database, 1)

    asyncio.run(check())
    assert "store.checkpoint_failed" in caplog.messages


def test_a_database_held_by_another_process_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum.store.sqlite._BUSY_TIMEOUT_S", 0)

    async def check() -> None:
        async with _opened(tmp_path) as database:
            other = sqlite3.connect(tmp_path / "locum.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await _insert(database, 1)
            other.execute("ROLLBACK")
            other.close()
            await _insert(database, 1)
            assert await _count(database) == 1

    asyncio.run(check())


def test_one_who_waits_inside_a_transaction_delays_but_does_not_disturb_others(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        async with _opened(tmp_path) as database:
            inside, go_on = asyncio.Event(), asyncio.Event()

            async def slow() -> None:
                async with database.transaction() as tx:
                    await tx.execute(_INSERT, 1, "")
                    inside.set()
                    await go_on.wait()

            before = asyncio.create_task(_insert(database, 0))
            holder = asyncio.create_task(slow())
            await inside.wait()
            after = [asyncio.create_task(_insert(database, 2)) for _ in range(3)]
            await asyncio.sleep(0)
            assert await _count(database) in {0, 1}
            go_on.set()
            await asyncio.gather(before, holder, *after)
            assert await _count(database) == 5

    asyncio.run(check())


def test_a_writer_that_stops_waiting_does_not_undo_others(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path) as database:
            impatient = asyncio.create_task(_insert(database, 1))
            patient = asyncio.create_task(_insert(database, 2))
            await asyncio.sleep(0)
            impatient.cancel()
            await patient
            with pytest.raises(asyncio.CancelledError):
                await impatient
            assert await _count(database) == 2

    asyncio.run(check())


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    async def check() -> None:
        async with _opened(tmp_path, durable=True) as database:
            await _insert(database, 1, "kept")
        async with _opened(tmp_path, durable=True) as database:
            assert await database.fetch("SELECT text FROM t") == [("kept",)]

    asyncio.run(check())
