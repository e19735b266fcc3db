"""The queue of files to be read: the rows of vector stores that are in progress are its entries.

Who takes a file holds a lease with a token of his own; whatever he writes later must show it.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from locum.store.database import Database, Transaction
from locum.wire.vector_stores import VectorStoreFile

_decoder = msgspec.json.Decoder(VectorStoreFile)
_FREE = "status = 'in_progress' AND (leased_until IS NULL OR leased_until <= $1)"


class Claim(Struct, frozen=True):
    """A file that is being read. `attempts` counts this one."""

    seq: int
    project_id: str
    file: VectorStoreFile
    attempts: int
    token: str


class Head(Struct, frozen=True):
    """The file of a store that has waited longest."""

    seq: int
    project_id: str
    vector_store_id: str


class WaitingFiles:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def heads(self, now: int) -> Sequence[Head]:
        """One for each store where a file waits, the longest wait first."""
        rows = await self._db.fetch(
            "SELECT MIN(seq) AS first, project_id, vector_store_id FROM vector_store_files"
            f" WHERE {_FREE} GROUP BY project_id, vector_store_id ORDER BY first",
            now,
        )
        return [Head(*row) for row in rows]

    async def claim(self, seq: int, *, token: str, now: int, until: int) -> Claim | None:
        """Take a file, unless somebody else was quicker."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(
                "UPDATE vector_store_files SET attempts = attempts + 1, leased_by = $2,"
                f" leased_until = $3 WHERE {_FREE} AND seq = $4"
                " RETURNING project_id, document, attempts",
                now,
                token,
                until,
                seq,
            )
        if not rows:
            return None
        project_id, document, attempts = rows[0]
        return Claim(seq, project_id, _decoder.decode(document), attempts, token)

    async def renew(self, claim: Claim, *, until: int) -> bool:
        """Keep a file; False when it is no longer one's own, or no longer there."""
        async with self._db.transaction() as tx:
            touched = await tx.execute(
                "UPDATE vector_store_files SET leased_until = $1"
                " WHERE seq = $2 AND leased_by = $3 AND status = 'in_progress'",
                until,
                claim.seq,
                claim.token,
            )
        return touched == 1

    async def release(self, claim: Claim, *, until: int | None, refund: bool = False) -> None:
        """Give a file back, not to be taken again before `until`; a refund uncounts the attempt."""
        async with self._db.transaction() as tx:
            await tx.execute(
                "UPDATE vector_store_files SET leased_by = NULL, leased_until = $1,"
                " attempts = attempts - $2 WHERE seq = $3 AND leased_by = $4",
                until,
                int(refund),
                claim.seq,
                claim.token,
            )

    async def is_held(self, tx: Transaction, claim: Claim) -> bool:
        rows = await tx.fetch(
            "SELECT 1 FROM vector_store_files"
            " WHERE seq = $1 AND leased_by = $2 AND status = 'in_progress'",
            claim.seq,
            claim.token,
        )
        return bool(rows)

    async def free_all(self) -> None:
        """Void every lease: for the one process of a database, as it begins."""
        async with self._db.transaction() as tx:
            await tx.execute(
                "UPDATE vector_store_files SET leased_by = NULL, leased_until = NULL"
                " WHERE status = 'in_progress' AND leased_until IS NOT NULL"
            )
