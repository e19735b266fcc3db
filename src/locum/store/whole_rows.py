"""Rows with what the API does not show, in the order of their lists: for exports."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from msgspec import Struct

from locum.store.database import Database

_TOGETHER: Final = 500
# By table: what its lists hang on, and the columns beside the document that cannot be derived.
_TABLES: Final[Mapping[str, tuple[str | None, tuple[str, ...]]]] = {
    "assistants": (None, ("headers",)),
    "assistant_files": ("assistant_id", ()),
    "files": (None, ("blob",)),
    "vector_stores": (None, ()),
    "vector_store_files": ("vector_store_id", ("batch_id",)),
    "file_batches": ("vector_store_id", ()),
    "threads": (None, ()),
    "messages": ("thread_id", ()),
    "runs": ("thread_id", ("plan",)),
    "steps": ("run_id", ("memory",)),
}


class WholeRow(Struct, frozen=True):
    id: str
    document: str
    private: dict[str, Any]


class WholeRows:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(
        self, table: str, project_id: str, owner_id: str | None = None
    ) -> AsyncIterator[WholeRow]:
        """All rows of a list, or of a whole table where no owner is named; some at a time."""
        owner, private = _TABLES[table]
        scope: tuple[str, ...] = (project_id,)
        where = "project_id = $1"
        if owner_id is not None:
            where += f" AND {owner} = $2"
            scope = (project_id, owner_id)
        columns = ", ".join(("seq", "id", "document", *private))
        after = 0
        while True:
            rows = await self._db.fetch(
                f"SELECT {columns} FROM {table} WHERE {where} AND seq > ${len(scope) + 1}"
                f" ORDER BY seq LIMIT {_TOGETHER}",
                *scope,
                after,
            )
            for row in rows:
                yield WholeRow(row[1], row[2], dict(zip(private, row[3:], strict=True)))
            if len(rows) < _TOGETHER:
                return
            after = rows[-1][0]

    async def count(self, table: str, project_id: str) -> int:
        rows = await self._db.fetch(
            f"SELECT COUNT(*) FROM {table} WHERE project_id = $1", project_id
        )
        return int(rows[0][0])

    async def projects(self) -> list[tuple[str, str]]:
        """Every project that owns something, with its name; those without a name have their id."""
        tables = (name for name, (owner, _) in _TABLES.items() if owner is None)
        owning = " UNION ".join(f"SELECT project_id FROM {table}" for table in tables)
        rows = await self._db.fetch(
            f"SELECT owning.project_id, COALESCE(projects.name, owning.project_id)"
            f" FROM ({owning}) owning LEFT JOIN projects ON projects.id = owning.project_id"
            " ORDER BY owning.project_id"
        )
        return [(row[0], row[1]) for row in rows]
