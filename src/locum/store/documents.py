"""Objects stored as the JSON they are served as, in lists that page by insertion order.

Every table has `seq, project_id, <owner>, id, document` and a few columns to query by. The
owner is what the list hangs on: a thread for messages, a run for steps, the project itself
for what hangs on nothing else. All access names the project, so no tenant meets another.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, TypeVar

import msgspec

from locum.errors import NotFound, no_such
from locum.store.database import Reader, Row, Transaction
from locum.wire.paging import PageQuery

T = TypeVar("T", bound=msgspec.Struct)
_encode = msgspec.json.encode
_BETWEEN_IDS: Final = "\n"
_STATEMENTS_KEPT: Final = 512


class Document(Generic[T]):
    """One stored object: its text goes out as it is, and is read only when it must be."""

    __slots__ = ("_decoder", "id", "text")

    def __init__(self, document_id: str, text: str, decoder: "msgspec.json.Decoder[T]") -> None:
        self.id = document_id
        self.text = text
        self._decoder = decoder

    def read(self) -> T:
        return self._decoder.decode(self.text)

    def with_value(self, value: T) -> "Document[T]":
        return self.with_text(_encode(value).decode())

    def with_text(self, text: str) -> "Document[T]":
        return Document(self.id, text, self._decoder)


class Page(Generic[T]):
    """One page of a list: its documents as one text, which goes out as it is."""

    __slots__ = ("_decoder", "first_id", "has_more", "last_id", "text")

    def __init__(
        self, ids: str, text: str, decoder: "msgspec.json.Decoder[list[T]]", *, has_more: bool
    ) -> None:
        self.text = text
        self.first_id = ids.partition(_BETWEEN_IDS)[0]
        self.last_id = ids.rpartition(_BETWEEN_IDS)[2]
        self.has_more = has_more
        self._decoder = decoder

    def read(self) -> list[T]:
        return self._decoder.decode(f"[{self.text}]")

    def mapped(self, change: Callable[[T], T]) -> "Page[T]":
        return self.with_text(",".join([_encode(change(value)).decode() for value in self.read()]))

    def with_text(self, text: str) -> "Page[T]":
        """The same documents, told in other words."""
        ids = f"{self.first_id}{_BETWEEN_IDS}{self.last_id}"
        return Page(ids, text, self._decoder, has_more=self.has_more)


class Documents(Generic[T]):
    """One table. `noun` is what the API calls its objects in errors."""

    def __init__(
        self, reader: Reader, *, table: str, noun: str, type: type[T], owner: str = "project_id"
    ) -> None:
        self._reader = reader
        self._table = table
        self._noun = noun
        self._owner = owner
        self._decoder = msgspec.json.Decoder(type)
        self._list_decoder = msgspec.json.Decoder(list[type])  # type: ignore[valid-type]
        self._scope = "project_id = $1"
        if owner != "project_id":
            self._scope += f" AND {owner} = $2"

    # ------------------------------------------------------------------ reading

    async def find(
        self,
        project_id: str,
        object_id: str,
        *,
        owner_id: str | None = None,
        reader: Reader | None = None,
    ) -> Document[T] | None:
        scope = self._scoped(project_id, owner_id)
        rows = await (reader or self._reader).fetch(self._one(scope), *scope, object_id)
        return self._document(rows[0]) if rows else None

    async def get(
        self,
        project_id: str,
        object_id: str,
        *,
        owner_id: str | None = None,
        reader: Reader | None = None,
    ) -> Document[T]:
        """The object, or the API's own error that there is none."""
        found = await self.find(project_id, object_id, owner_id=owner_id, reader=reader)
        if found is None:
            raise self.missing(object_id, owner_id)
        return found

    def missing(self, object_id: str, _owner_id: str | None) -> NotFound:
        """The API's own words for an object that is not in the list."""
        return no_such(self._noun, object_id)

    async def page(
        self,
        project_id: str,
        query: PageQuery,
        *,
        owner_id: str | None = None,
        narrowed: str = "",
        **where: object,
    ) -> Page[T]:
        """One page. `narrowed` is a further condition made of constants and digests of ours."""
        scope = self._scoped(project_id, owner_id)
        after = await self._place(scope, query.after, owner_id)
        before = await self._place(scope, query.before, owner_id)
        # Only `before`: the page that ends there, so it is gathered backwards and turned round.
        backwards = before is not None and after is None
        ascending = (query.order == "asc") is not backwards
        conditions = [self._scope]
        values: list[object] = list(scope)
        beyond, short_of = (">", "<") if query.order == "asc" else ("<", ">")
        for place, sign in ((after, beyond), (before, short_of)):
            if place is not None:
                values.append(place)
                conditions.append(f"seq {sign} ${len(values)}")
        for column, value in where.items():
            values.append(value)
            conditions.append(f"{column} = ${len(values)}")
        values.append(query.limit)
        rows = await self._reader.fetch(
            page_of(
                self._table,
                " AND ".join(conditions) + narrowed,
                ascending=ascending,
                most=f"${len(values)}",
                backwards=backwards,
            ),
            *values,
        )
        return self._page(rows)

    async def all(
        self,
        project_id: str,
        *,
        owner_id: str | None = None,
        reader: Reader | None = None,
        **where: object,
    ) -> list[T]:
        """Every object of a list that is known to be short, oldest first."""
        scope = self._scoped(project_id, owner_id)
        conditions = [self._scope] + [
            f"{column} = ${number}" for number, column in enumerate(where, start=len(scope) + 1)
        ]
        rows = await (reader or self._reader).fetch(
            f"SELECT id, document FROM {self._table} WHERE {' AND '.join(conditions)} ORDER BY seq",
            *scope,
            *where.values(),
        )
        return [self._decoder.decode(row[1]) for row in rows]

    # ------------------------------------------------------------------ writing

    async def hold(
        self, tx: Transaction, project_id: str, object_id: str, *, owner_id: str | None = None
    ) -> Document[T] | None:
        """As `find`, to be replaced: until the transaction ends nobody else changes the object."""
        scope = self._scoped(project_id, owner_id)
        rows = await tx.hold(self._one(scope), *scope, object_id)
        return self._document(rows[0]) if rows else None

    async def insert(
        self,
        tx: Transaction,
        project_id: str,
        object_id: str,
        document: T,
        *,
        owner_id: str | None = None,
        alone: bool = False,
        **columns: object,
    ) -> Document[T]:
        """Add an object to the end of its list.

        `alone`: what the transaction holds already keeps others from adding to the list.
        """
        scope = self._scoped(project_id, owner_id)
        names = [
            "project_id",
            *([self._owner] if len(scope) > 1 else []),
            "id",
            "document",
            *columns,
        ]
        text = self._text(document)
        if not alone:
            await tx.lock(f"{self._table}/{scope[-1]}")
        await tx.execute(
            f"INSERT INTO {self._table} ({', '.join(names)})"
            f" VALUES ({', '.join(f'${n}' for n in range(1, len(names) + 1))})",
            *scope,
            object_id,
            text,
            *columns.values(),
        )
        return Document(object_id, text, self._decoder)

    async def replace(
        self,
        tx: Transaction,
        project_id: str,
        object_id: str,
        document: T,
        *,
        owner_id: str | None = None,
        **columns: object,
    ) -> Document[T]:
        scope = self._scoped(project_id, owner_id)
        text = self._text(document)
        values: list[object] = [*scope, object_id, text]
        changes = ["document = $" + str(len(values))]
        for column, value in columns.items():
            values.append(value)
            changes.append(f"{column} = ${len(values)}")
        touched = await tx.execute(
            f"UPDATE {self._table} SET {', '.join(changes)}"
            f" WHERE {self._scope} AND id = ${len(scope) + 1}",
            *values,
        )
        if touched == 0:
            raise self.missing(object_id, owner_id)
        return Document(object_id, text, self._decoder)

    async def delete(
        self, tx: Transaction, project_id: str, object_id: str, *, owner_id: str | None = None
    ) -> None:
        """Remove an object; its place in the list stays known, so that paging goes on from it."""
        scope = self._scoped(project_id, owner_id)
        rows = await tx.fetch(
            f"DELETE FROM {self._table} WHERE {self._scope} AND id = ${len(scope) + 1}"
            " RETURNING seq",
            *scope,
            object_id,
        )
        if not rows:
            raise self.missing(object_id, owner_id)
        await tx.execute(
            "INSERT INTO tombstones (project_id, list, id, seq) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (project_id, list, id) DO UPDATE SET seq = excluded.seq",
            project_id,
            self._list(scope),
            object_id,
            rows[0][0],
        )

    async def was_deleted(self, project_id: str, object_id: str, *, reader: Reader) -> bool:
        """Whether an object of a list that hangs on the project stood in it once."""
        rows = await reader.fetch(
            "SELECT 1 FROM tombstones WHERE project_id = $1 AND list = $2 AND id = $3",
            project_id,
            self._table,
            object_id,
        )
        return bool(rows)

    # ------------------------------------------------------------------ private

    def _scoped(self, project_id: str, owner_id: str | None) -> tuple[str, ...]:
        assert (owner_id is None) == (self._owner == "project_id"), self._table
        return (project_id,) if owner_id is None else (project_id, owner_id)

    def _one(self, scope: tuple[str, ...]) -> str:
        return (
            f"SELECT id, document FROM {self._table} WHERE {self._scope} AND id = ${len(scope) + 1}"
        )

    def _list(self, scope: tuple[str, ...]) -> str:
        return self._table if len(scope) == 1 else f"{self._table}/{scope[1]}"

    def _text(self, document: T) -> str:
        return _encode(document).decode()

    def _document(self, row: Row) -> Document[T]:
        return Document(row[0], row[1], self._decoder)

    def _page(self, rows: list[Row]) -> Page[T]:
        """What `page_of` found: one row, or none where a value is one that no row can hold."""
        ids, text, more = rows[0][:3] if rows else (None, None, False)
        return Page(ids or "", text or "", self._list_decoder, has_more=bool(more))

    async def _place(
        self, scope: tuple[str, ...], cursor: str | None, owner_id: str | None
    ) -> int | None:
        if not cursor:
            return None
        rows = await self._reader.fetch(
            f"SELECT seq FROM {self._table} WHERE {self._scope} AND id = ${len(scope) + 1}",
            *scope,
            cursor,
        )
        if not rows:
            rows = await self._reader.fetch(
                "SELECT seq FROM tombstones WHERE project_id = $1 AND list = $2 AND id = $3",
                scope[0],
                self._list(scope),
                cursor,
            )
        if not rows:
            raise self.missing(cursor, owner_id)
        place: int = rows[0][0]
        return place


@lru_cache(maxsize=_STATEMENTS_KEPT)
def page_of(
    table: str,
    conditions: str,
    *,
    ascending: bool,
    most: str,
    backwards: bool = False,
    beside: str = "",
) -> str:
    """The query of a page as one row: ids, documents, whether there is more, what is `beside`.

    The database joins the texts, in two thirds of the time that rows of their own take.
    """
    order, other, edge, beyond = ("ASC", "DESC", "max", ">")
    if not ascending:
        order, other, edge, beyond = ("DESC", "ASC", "min", "<")
    rows = f"SELECT seq, id, document FROM {table} WHERE {conditions}"
    rows += f" ORDER BY seq {order} LIMIT {most}"
    if backwards:
        rows = f"SELECT * FROM ({rows}) AS nearest ORDER BY seq {other} LIMIT {most}"
    return (
        f"SELECT ids, documents, EXISTS (SELECT 1 FROM {table} WHERE {conditions}"
        f" AND seq {beyond} edge){beside}"
        f" FROM (SELECT string_agg(id, '{_BETWEEN_IDS}') AS ids,"
        f" string_agg(document, ',') AS documents, {edge}(seq) AS edge"
        f" FROM ({rows}) AS shown) AS page"
    )
