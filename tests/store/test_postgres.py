"""What only PostgreSQL has to promise: bounded connections, in turn, and life after their loss."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from tests.kit.databases import fresh_url, postgres_server

from locum.errors import StorageFull, Unavailable
from locum.store.connections import Connection, translated
from locum.store.postgres import PostgresDatabase

_OWN = "SELECT pg_backend_pid()"
_CROWDED = "crowded"


@asynccontextmanager
async def _opened(
    *, connections: int = 2, wait_s: float = 10, statement_s: float = 10
) -> AsyncIterator[PostgresDatabase]:
    async with asyncio.timeout(60), fresh_url() as url:
        database = PostgresDatabase(
            url, connections=connections, wait_s=wait_s, statement_s=statement_s
        )
        try:
            yield database
        finally:
            await database.close()


async def _process(database: PostgresDatabase) -> int:
    rows = await database.fetch(_OWN)
    process: int = rows[0][0]
    return process


async def _kill(*processes: int) -> None:
    for process in processes:
        await postgres_server().run(f"SELECT pg_terminate_backend({process}, 5000)")


async def _insert(database: PostgresDatabase, project_id: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO projects (id, name, created_at) VALUES ($1, $1, 1)", project_id
        )


@asynccontextmanager
async def _room_for(most: int, owner: PostgresDatabase) -> AsyncIterator[PostgresDatabase]:
    """The same server, which takes so many connections of one who would have five."""
    await owner.fetch(f"CREATE ROLE {_CROWDED} LOGIN CONNECTION LIMIT {most}")
    address = postgres_server().url("postgres").replace("locum@", f"{_CROWDED}@")
    crowded = PostgresDatabase(address, connections=5)
    try:
        yield crowded
    finally:
        await crowded.close()
        await owner.fetch(f"DROP ROLE {_CROWDED}")


def test_no_more_connections_are_opened_than_allowed() -> None:
    async def check() -> None:
        async with _opened(connections=3) as database:
            processes = await asyncio.gather(*(_process(database) for _ in range(50)))
            assert len(set(processes)) <= 3

    asyncio.run(check())


def test_whoever_came_first_is_served_first() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database:
            served: list[int] = []

            async def visit(number: int) -> None:
                async with database.transaction() as tx:
                    await tx.fetch("SELECT 1")
                    served.append(number)

            await asyncio.gather(*(visit(number) for number in range(20)))
            assert served == list(range(20))

    asyncio.run(check())


def test_waiting_for_a_connection_has_an_end() -> None:
    async def check() -> None:
        async with _opened(connections=1, wait_s=0.5) as database:
            async with database.transaction():
                with pytest.raises(Unavailable, match="too busy"):
                    await database.fetch("SELECT 1")
            assert await database.fetch("SELECT 1") == [(1,)]

    asyncio.run(check())


def test_a_statement_has_an_end_and_its_connection_goes_on() -> None:
    async def check() -> None:
        async with _opened(connections=1, statement_s=0.05) as database:
            process = await _process(database)
            with pytest.raises(Unavailable):
                await database.fetch("SELECT pg_sleep(30)")
            assert await _process(database) == process

    asyncio.run(check())


def test_a_lost_connection_is_replaced() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database:
            lost = await _process(database)
            await _kill(lost)
            for _ in range(2):  # At most the one who met the loss is told of it.
                try:
                    process = await _process(database)
                    break
                except Unavailable:
                    continue
            assert process != lost

    asyncio.run(check())


def test_a_connection_lost_inside_a_transaction_undoes_it_and_is_told() -> None:
    insert = "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3)"

    async def lose(database: PostgresDatabase) -> None:
        async with database.transaction() as tx:
            await tx.execute(insert, "a", "a", 1)
            await _kill((await tx.fetch(_OWN))[0][0])
            await tx.execute(insert, "b", "b", 1)

    async def check() -> None:
        async with _opened(connections=1) as database:
            with pytest.raises(Unavailable):
                await lose(database)
            assert await database.fetch("SELECT id FROM projects") == []

    asyncio.run(check())


def test_a_connection_lost_before_the_commit_is_told() -> None:
    async def lose(database: PostgresDatabase) -> None:
        async with database.transaction() as tx:
            await _kill((await tx.fetch(_OWN))[0][0])

    async def check() -> None:
        async with _opened(connections=1) as database:
            with pytest.raises(Unavailable):
                await lose(database)
            assert await database.fetch("SELECT 1") == [(1,)]

    asyncio.run(check())


def test_a_cancelled_query_leaves_its_connection_usable() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database:
            process = await _process(database)
            for _ in range(5):
                task = asyncio.create_task(database.fetch("SELECT pg_sleep(30)"))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await _process(database) == process

    asyncio.run(check())


def test_connections_to_a_database_that_only_reads_are_replaced() -> None:
    """After a failover: what was opened while the standby answered stays with the standby."""

    async def check() -> None:
        async with _opened(connections=1) as database:
            # As a standby says, and as nothing but a new connection changes.
            await database.fetch("SET SESSION default_transaction_read_only = on")
            with pytest.raises(Unavailable):
                await _insert(database, "a")
            await _insert(database, "b")
            assert await database.fetch("SELECT id FROM projects") == [("b",)]

    asyncio.run(check())


def test_where_the_server_has_no_room_for_more_connections_those_there_are_do_the_work() -> None:
    async def check() -> None:
        async with _opened(connections=5) as database, _room_for(2, database) as crowded:
            processes = await asyncio.gather(*(_process(crowded) for _ in range(50)))
            assert len(set(processes)) <= 2

    asyncio.run(check())


def test_one_that_is_being_opened_will_do_the_work_of_those_that_find_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        refused = asyncio.Event()
        opened = 0

        async def connect(*args: Any, **options: Any) -> Any:
            nonlocal opened
            opened += 1
            if opened > 1:
                refused.set()
                raise asyncpg.TooManyConnectionsError
            await refused.wait()
            return await really_connect(*args, **options)

        really_connect = asyncpg.connect
        async with _opened(connections=2) as database:
            with monkeypatch.context() as patch:
                patch.setattr(asyncpg, "connect", connect)
                first, second = await asyncio.gather(_process(database), _process(database))
            assert first == second

    asyncio.run(check())


def test_a_connection_is_opened_as_soon_as_the_server_has_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locum.store.connections._ASK_AGAIN_S", 0.01)

    async def check() -> None:
        async with (
            _opened(connections=3) as database,
            _room_for(1, database) as crowded,
            crowded.transaction() as tx,
        ):
            first = (await tx.fetch(_OWN))[0][0]
            waiting = asyncio.ensure_future(_process(crowded))
            await database.fetch(f"ALTER ROLE {_CROWDED} CONNECTION LIMIT 2")
            assert await waiting != first

    asyncio.run(check())


def test_a_server_that_has_no_room_at_all_is_unavailable() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database, _room_for(0, database) as crowded:
            with pytest.raises(Unavailable, match="no more connections"):
                await crowded.fetch("SELECT 1")

    asyncio.run(check())


def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    async def check() -> None:
        database = PostgresDatabase("postgresql://locum@/none?host=/nowhere", connections=1)
        for _ in range(2):  # A failed attempt gives its place back.
            with pytest.raises(Unavailable):
                await database.fetch("SELECT 1")
        await database.close()

    asyncio.run(check())


def test_a_statement_of_ours_that_is_wrong_stays_a_mistake() -> None:
    async def check() -> None:
        async with _opened() as database:
            with pytest.raises(asyncpg.UndefinedTableError):
                await database.fetch("SELECT * FROM nothing")
            with pytest.raises(asyncpg.DataError):
                await database.fetch("SELECT $1::bigint", "text")

    asyncio.run(check())


def test_prepared_statements_are_kept_but_not_without_bound() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database:
            for number in range(300):
                await database.fetch(f"SELECT {number}")
            # The one that asks is among them.
            rows = await database.fetch("SELECT count(*) FROM pg_prepared_statements")
            assert 200 < rows[0][0] <= 257

    asyncio.run(check())


def test_a_statement_whose_table_was_changed_is_prepared_anew() -> None:
    async def check() -> None:
        async with _opened(connections=1) as database:
            await database.script("CREATE TABLE t (id integer);")
            await database.fetch("SELECT * FROM t")
            await database.script("ALTER TABLE t ADD COLUMN more text;")
            for _ in range(2):
                try:
                    assert await database.fetch("SELECT * FROM t") == []
                    break
                except Unavailable:
                    continue
            await database.script("DROP TABLE t;")

    asyncio.run(check())


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.store.connections._CLOSE_S", 0.05)

    async def check() -> None:
        async with _opened() as database:
            inside = asyncio.Event()

            async def stuck() -> None:
                async with database.transaction() as tx:
                    await tx.fetch("SELECT 1")
                    inside.set()
                    await tx.fetch("SELECT pg_sleep(30)")

            task = asyncio.create_task(stuck())
            await inside.wait()
            await database.close()
            with pytest.raises(Unavailable):
                await task

    asyncio.run(check())


def test_a_full_disk_is_named() -> None:
    """Reaches inside: the server's disk cannot be filled in a test."""
    error = translated(asyncpg.DiskFullError("could not extend file"))
    assert isinstance(error, StorageFull)


class _Confused:
    """A connection of the library that has lost its way in the middle of a statement."""

    def __init__(self) -> None:
        self.dropped = False

    async def prepare(self, _: str) -> "_Confused":
        return self

    async def fetch(self, *_: object) -> list[object]:
        raise asyncpg.InternalClientError(
            "cannot switch to state 12; another operation is in progress"
        )

    def terminate(self) -> None:
        self.dropped = True

    def is_closed(self) -> bool:
        return self.dropped

    def is_in_transaction(self) -> bool:
        return False


def test_a_connection_that_lost_its_way_is_dropped_and_told_as_lost() -> None:
    async def check() -> None:
        raw = _Confused()
        connection = Connection(raw)
        with pytest.raises(Unavailable):
            await connection.fetch("SELECT 1", ())
        assert not connection.usable()
        assert raw.dropped

    asyncio.run(check())
