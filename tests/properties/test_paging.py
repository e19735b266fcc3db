"""Any walk through pages equals the list, whatever is put in and taken out meanwhile.

The model is a plain list of ids in the order they were put in. Every example has a list of
its own in one shared database, so that ten thousand of them take minutes.
"""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.kit.databases import DIALECTS, fresh_database

from locum.store.tables import Store
from locum.wire.assistants import AssistantFile
from locum.wire.paging import PageQuery

_EFFORT = [pytest.param(100, id="some"), pytest.param(10_000, id="many", marks=pytest.mark.slow)]
_owners = itertools.count()


class Put(Struct, frozen=True):
    """Put something new in, or again what was taken out: `again` counts those from the first."""

    again: int | None


class Take(Struct, frozen=True):
    which: int


class Look(Struct, frozen=True):
    """A page; cursors count what was ever put in."""

    order: str
    limit: int
    after: int | None
    before: int | None


_numbers = st.integers(0, 11)
_puts = st.builds(Put, st.none() | _numbers)
_takes = st.builds(Take, _numbers)
_looks = st.builds(
    Look, st.sampled_from(["asc", "desc"]), st.integers(1, 5), *[st.none() | _numbers] * 2
)
_operations = st.lists(_puts | _puts | _takes | _looks | _looks, max_size=16)
# While somebody walks, what was taken out stays out: put in again, it would be a new item.
_changes = st.lists(st.lists(st.just(Put(None)) | _takes, max_size=3), max_size=8)
_walks = st.tuples(st.integers(0, 12), st.integers(1, 4), st.sampled_from(["asc", "desc"]))


class Lists:
    """A list in the database, and what it ought to be."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = f"asst_{next(_owners)}"
        # In order; what was put in again leaves a hole at its first place.
        self.places: list[str] = []
        self.there: set[str] = set()

    async def put(self, put: Put) -> None:
        gone = sorted(set(self.places) - self.there - {""})
        again = put.again is not None and bool(gone)
        file_id = gone[(put.again or 0) % len(gone)] if again else f"file-{len(self.places)}"
        file = AssistantFile(id=file_id, created_at=1, assistant_id=self._owner)
        async with self._store.transaction() as tx:
            await self._store.assistant_files.insert(tx, "p", file_id, file, owner_id=self._owner)
        if again:
            self.places[self.places.index(file_id)] = ""
        self.places.append(file_id)
        self.there.add(file_id)

    async def take(self, file_id: str) -> None:
        async with self._store.transaction() as tx:
            await self._store.assistant_files.delete(tx, "p", file_id, owner_id=self._owner)
        self.there.discard(file_id)

    async def change(self, change: Put | Take) -> None:
        if isinstance(change, Put):
            await self.put(change)
        elif self.there:
            await self.take(sorted(self.there)[change.which % len(self.there)])

    async def page(
        self, *, order: str, limit: int, after: str | None = None, before: str | None = None
    ) -> tuple[list[str], bool]:
        query = PageQuery(order=order, limit=limit, after=after, before=before)  # type: ignore[arg-type]  # drawn from the two
        page = await self._store.assistant_files.page("p", query, owner_id=self._owner)
        return [found.id for found in page.read()], page.has_more

    def expected(
        self, *, order: str, limit: int, after: str | None, before: str | None
    ) -> tuple[list[str], bool]:
        line = self.places if order == "asc" else self.places[::-1]
        start = line.index(after) + 1 if after else 0
        end = line.index(before) if before else len(line)
        found = [file_id for file_id in line[start:end] if file_id in self.there]
        nearest = found[-limit:] if before and not after else found[:limit]
        return nearest, len(found) > limit

    def ever(self, number: int | None) -> str | None:
        named = sorted(filter(None, self.places))
        return named[number % len(named)] if number is not None and named else None


@pytest.fixture(params=DIALECTS)
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, Store]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        database = runner.run(stack.enter_async_context(fresh_database(request.param)))
        yield runner, Store(database)
        runner.run(stack.aclose())


@pytest.mark.parametrize("examples", _EFFORT)
def test_every_page_is_what_a_plain_list_would_give(
    shared: tuple[asyncio.Runner, Store], examples: int
) -> None:
    runner, store = shared

    async def check(operations: list[Put | Take | Look]) -> None:
        lists = Lists(store)
        for operation in operations:
            if not isinstance(operation, Look):
                await lists.change(operation)
                continue
            after, before = lists.ever(operation.after), lists.ever(operation.before)
            order, limit = operation.order, operation.limit
            page = await lists.page(order=order, limit=limit, after=after, before=before)
            assert page == lists.expected(order=order, limit=limit, after=after, before=before)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(_operations)
    def run(operations: list[Put | Take | Look]) -> None:
        runner.run(check(operations))

    run()


@pytest.mark.parametrize("backward", [False, True])
def test_a_walk_neither_loses_nor_repeats_what_was_there_throughout(
    shared: tuple[asyncio.Runner, Store], backward: bool
) -> None:
    runner, store = shared

    async def check(size: int, limit: int, order: str, changes: list[list[Put | Take]]) -> None:
        lists = Lists(store)
        for _ in range(size + 1):
            await lists.put(Put(None))
        # Backwards one starts from an end; forwards, from the first page.
        cursor = (lists.places[-1] if order == "asc" else lists.places[0]) if backward else None
        throughout = set(lists.there) - {cursor}
        seen: list[str] = []
        more, steps = True, iter(changes)
        while more:
            at = {"before" if backward else "after": cursor}
            page, more = await lists.page(order=order, limit=limit, **at)
            seen[:] = [*page, *seen] if backward else [*seen, *page]
            cursor = (page[0] if backward else page[-1]) if page else cursor
            for change in next(steps, []):
                await lists.change(change)
                throughout &= lists.there
        assert len(seen) == len(set(seen))
        assert throughout <= set(seen)
        steady = [file_id for file_id in seen if file_id in throughout]
        assert steady == sorted(steady, key=lists.places.index, reverse=order == "desc")

    @settings(max_examples=100, deadline=None, database=None)
    @given(_walks, _changes)
    def run(walk: tuple[int, int, str], changes: list[list[Put | Take]]) -> None:
        runner.run(check(*walk, changes))

    run()


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_deleting_whatever_a_loop_lists_deletes_everything(
    shared: tuple[asyncio.Runner, Store], order: str
) -> None:
    """`for a in client.beta.assistants.list(): client.beta.assistants.delete(a.id)`."""
    runner, store = shared

    async def check(size: int, limit: int) -> None:
        lists = Lists(store)
        for _ in range(size):
            await lists.put(Put(None))
        cursor, more = None, True
        while more:
            page, more = await lists.page(order=order, limit=limit, after=cursor)
            for file_id in page:
                await lists.take(file_id)
            cursor = page[-1] if page else cursor
        assert await lists.page(order=order, limit=100) == ([], False)

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.integers(0, 15), st.integers(1, 5))
    def run(size: int, limit: int) -> None:
        runner.run(check(size, limit))

    run()
