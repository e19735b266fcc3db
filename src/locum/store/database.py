"""The seam between the tables and a database.

Statements are written once, with `$1, $2 …` for values, in the SQL that both databases speak.
"""

import re
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

Row = tuple[Any, ...]
Dialect = Literal["sqlite", "postgres"]
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Reader(Protocol):
    async def fetch(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query. Outside a transaction only what is committed is seen.

        Values that no row can hold, see `storable`, find nothing.
        """
        ...


class Transaction(Reader, Protocol):
    """Work that happens whole or not at all. Await nothing but the database inside one."""

    async def execute(self, sql: str, *values: object) -> int:
        """Run a statement; how many rows it touched."""
        ...

    async def execute_many(self, sql: str, rows: list[tuple[object, ...]]) -> None: ...

    async def hold(self, sql: str, *values: object) -> list[Row]:
        """As `fetch`, with a plain query; nobody else changes the rows before this ends."""
        ...

    async def lock(self, name: str) -> None:
        """Wait until no other transaction holds `name`; held until this one ends.

        Whoever inserts into a list locks it first: so the numbers of a list are committed in
        their order, and a reader who pages on never skips a late one.
        """
        ...


class Database(Reader, Protocol):
    @property
    def dialect(self) -> Dialect:
        """Whose migrations to apply."""
        ...

    async def fetch_aside(self, sql: str, *values: object) -> list[Row]:
        """As `fetch`, for a query that may take long: nobody else waits for it."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Durable when the block has been left without an exception."""
        ...

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        """Run the statements of a migration in one transaction, one process at a time.

        Nothing is run, and the answer is False, when the query `unless` finds a row.
        """
        ...

    async def close(self) -> None: ...


class AlreadyExists(Exception):
    """A unique key is taken."""


def storable(values: Iterable[object]) -> bool:
    """Whether a row can hold these values: text with a NUL or half a surrogate pair is in none.

    Ids and cursors come from clients, who may send anything; such a one is simply not there.
    """
    for value in values:
        if not isinstance(value, str) or (value.isascii() and "\0" not in value):
            continue  # Nearly all are: the search costs as much as the rest of a small query.
        if _UNSTORABLE.search(value):
            return False
    return True
