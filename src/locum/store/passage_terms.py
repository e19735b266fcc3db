"""The words of passages, and finding by them: the one place where the two databases differ.

Words come cut, joined by spaces; the database only keeps them. A store's own token stands beside
the words of each of its passages, so that an index is read for that store alone.
"""

import json
from collections.abc import Collection, Sequence
from typing import Protocol

from locum.store.database import Database, Transaction

_LIVE = (
    "SELECT number, passages FROM passage_files"
    " WHERE project_id = $1 AND vector_store_id = $2 AND state = 'live'"
)


class TermIndex(Protocol):
    async def add(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str, str]]) -> None:
        """Write passages, each as id, text and terms."""
        ...

    async def remove(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str]]) -> None:
        """Remove passages, each named by its id and the terms it was written with."""
        ...

    async def find(
        self,
        project_id: str,
        vector_store_id: str,
        token: str,
        terms: Sequence[str],
        *,
        within: Collection[str] | None,
        most: int,
    ) -> list[int]:
        """Passages of live files that hold any of the terms, the rarest and most frequent first."""
        ...


class SqliteTerms:
    """FTS5, without a copy of the text."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str, str]]) -> None:
        await tx.execute_many(
            "INSERT INTO passages (id, text, terms) VALUES ($1, $2, $3)", [tuple(r) for r in rows]
        )
        await tx.execute_many(
            "INSERT INTO passage_terms (rowid, store, terms) VALUES ($1, $2, $3)",
            [(passage_id, token, terms) for passage_id, _, terms in rows],
        )

    async def remove(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str]]) -> None:
        # An index without the text must be told what to take out.
        await tx.execute_many(
            "INSERT INTO passage_terms (passage_terms, rowid, store, terms)"
            " VALUES ('delete', $1, $2, $3)",
            [(passage_id, token, terms) for passage_id, terms in rows],
        )
        await tx.execute_many(
            "DELETE FROM passages WHERE id = $1", [(passage_id,) for passage_id, _ in rows]
        )

    async def find(
        self,
        project_id: str,
        vector_store_id: str,
        token: str,
        terms: Sequence[str],
        *,
        within: Collection[str] | None,
        most: int,
    ) -> list[int]:
        words = " OR ".join(_quoted(term, '"') for term in terms)
        values: list[object] = [
            project_id, vector_store_id, f'store : "{token}" AND terms : ({words})', most,
        ]  # fmt: skip
        narrowed = ""
        if within is not None:
            narrowed = " AND file_id IN (SELECT value FROM json_each($5))"
            values.append(json.dumps(list(within)))
        rows = await self._db.fetch_aside(
            "SELECT rowid FROM passage_terms WHERE passage_terms MATCH $3"
            f" AND rowid >> 20 IN (SELECT number FROM ({_LIVE}{narrowed}))"
            " ORDER BY bm25(passage_terms, 0.0, 1.0), rowid LIMIT $4",
            *values,
        )
        return [row[0] for row in rows]


class PostgresTerms:
    """A tsvector of the words as they come, and a rank of our own: its own knows no rarity."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str, str]]) -> None:
        await tx.execute_many(
            "INSERT INTO passages (id, text, terms, words) VALUES ($1, $2, $3,"
            " array_to_tsvector(array_remove(string_to_array($4, ' '), '')))",
            [(one, text, terms, f"={token} {terms}") for one, text, terms in rows],
        )

    async def remove(self, tx: Transaction, token: str, rows: Sequence[tuple[int, str]]) -> None:  # noqa: ARG002  # SQLite needs it
        await tx.execute_many(
            "DELETE FROM passages WHERE id = $1", [(passage_id,) for passage_id, _ in rows]
        )

    async def find(
        self,
        project_id: str,
        vector_store_id: str,
        token: str,
        terms: Sequence[str],
        *,
        within: Collection[str] | None,
        most: int,
    ) -> list[int]:
        values: list[object] = [
            project_id,
            vector_store_id,
            [f"{_quoted(f'={token}', chr(39))} & {_quoted(term, chr(39))}" for term in terms],
            most,
        ]
        narrowed = ""
        if within is not None:
            narrowed = " AND file_id = ANY($5::text[])"
            values.append(list(within))
        rows = await self._db.fetch_aside(
            f"""
            WITH wanted AS (SELECT unnest($3::text[])::tsquery AS term),
            live AS MATERIALIZED ({_LIVE}{narrowed}),
            held AS MATERIALIZED (
                SELECT term, id FROM wanted JOIN passages ON words @@ term
                WHERE id >> 20 IN (SELECT number FROM live)
            ),
            rarity AS (
                SELECT term, ln(1 + (SELECT SUM(passages) FROM live) / COUNT(*)) AS weight
                FROM held GROUP BY term
            )
            SELECT id FROM held JOIN rarity USING (term)
            GROUP BY id ORDER BY SUM(weight) DESC, id LIMIT $4
            """,
            *values,
        )
        return [row[0] for row in rows]


def _quoted(term: str, quote: str) -> str:
    """A term as a literal of either query language. Ours hold no quotes; others' might."""
    escaped = term.replace(quote, quote * 2)
    if quote == "'":
        escaped = escaped.replace("\\", "\\\\")
    return f"{quote}{escaped}{quote}"
