"""The words of passages, and finding by them: the one place where the two databases differ.

Words come cut, joined by spaces; the database only keeps them. A store's own token stands beside
the words of each of its passages, so that an index is read for that store alone.
"""

import json
from collections.abc import Collection, Sequence
from typing import Protocol

from locum.store.database import Database, Transaction

# So many passages of one term are looked at: a word that more of them hold says next to nothing.
_MOST_OF_A_TERM = 4_000
_MOST_TERMS = 48
# `held` pairs each term with the passages that hold it; the rarer the term, the more it counts.
_RANKED = """
    WITH live AS MATERIALIZED (
        SELECT number, passages FROM passage_files
        WHERE project_id = $1 AND vector_store_id = $2 AND state = 'live'{narrowed}
    ),
    held AS MATERIALIZED ({held}),
    rarity AS MATERIALIZED (
        SELECT term, ln(1 + CAST((SELECT SUM(passages) FROM live) AS DOUBLE PRECISION) / COUNT(*))
            AS weight
        FROM held GROUP BY term
    )
    SELECT id FROM held JOIN rarity USING (term)
    GROUP BY id ORDER BY SUM(weight) DESC, id LIMIT $3
"""


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
        """Passages of live files that hold any of the terms; first those of many and rare ones."""
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
        narrowed, values = "", list[object]([project_id, vector_store_id, most])
        if within is not None:
            narrowed = " AND file_id IN (SELECT value FROM json_each($4))"
            values.append(json.dumps(list(within)))
        parts = []
        for term in terms[:_MOST_TERMS]:
            values.append(f'store : "{token}" AND terms : {_quoted(term, chr(34))}')
            parts.append(
                f"SELECT * FROM (SELECT {len(values)} AS term, rowid AS id FROM passage_terms"
                f" WHERE passage_terms MATCH ${len(values)}"
                f" AND rowid >> 20 IN (SELECT number FROM live) LIMIT {_MOST_OF_A_TERM})"
            )
        sql = _RANKED.format(narrowed=narrowed, held=" UNION ALL ".join(parts))
        return [row[0] for row in await self._db.fetch_aside(sql, *values)]


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
        own = _quoted(f"={token}", "'")
        wanted = [f"{own} & {_quoted(term, chr(39))}" for term in terms[:_MOST_TERMS]]
        narrowed, values = "", list[object]([project_id, vector_store_id, most, wanted])
        if within is not None:
            narrowed = " AND file_id = ANY($5::text[])"
            values.append(list(within))
        held = (
            "SELECT term, id FROM unnest($4::text[]) AS term CROSS JOIN LATERAL"
            " (SELECT id FROM passages WHERE words @@ term::tsquery"
            # Not a plain condition: as a join, with the little the planner knows, it is slow.
            " AND (id >> 20 IN (SELECT number FROM live)) IS TRUE"
            f" LIMIT {_MOST_OF_A_TERM}) found"
        )
        rows = await self._db.fetch_aside(_RANKED.format(narrowed=narrowed, held=held), *values)
        return [row[0] for row in rows]


def _quoted(term: str, quote: str) -> str:
    """A term as a literal of either query language. Ours hold no quotes; others' might."""
    escaped = term.replace(quote, quote * 2)
    if quote == "'":
        escaped = escaped.replace("\\", "\\\\")
    return f"{quote}{escaped}{quote}"
