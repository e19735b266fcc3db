"""The table of files in vector stores, and the batch that each came with."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from locum.errors import NotFound
from locum.store.database import Reader, Transaction
from locum.store.documents import Documents
from locum.wire.vector_stores import VectorStoreFile

_ASKED_TOGETHER = 500
_decoder = msgspec.json.Decoder(VectorStoreFile)


class Entry(Struct, frozen=True):
    """A file in a store, and its batch: the one that named it last, if any did."""

    file: VectorStoreFile
    batch_id: str | None


class VectorStoreFileTable(Documents[VectorStoreFile]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(
            reader,
            table="vector_store_files",
            noun="file",
            type=VectorStoreFile,
            owner="vector_store_id",
        )

    def missing(self, object_id: str, owner_id: str | None) -> NotFound:
        return NotFound(f"No file found with id '{object_id}' in vector store '{owner_id}'.")

    async def entries(
        self, project_id: str, vector_store_id: str, file_ids: Sequence[str], *, reader: Reader
    ) -> dict[str, Entry]:
        """Those of the given files that are in the store."""
        found: dict[str, Entry] = {}
        for start in range(0, len(file_ids), _ASKED_TOGETHER):
            some = file_ids[start : start + _ASKED_TOGETHER]
            places = ", ".join(f"${number}" for number in range(3, len(some) + 3))
            rows = await reader.fetch(
                "SELECT id, document, batch_id FROM vector_store_files"
                f" WHERE project_id = $1 AND vector_store_id = $2 AND id IN ({places})",
                project_id,
                vector_store_id,
                *some,
            )
            found.update({row[0]: Entry(_decoder.decode(row[1]), row[2]) for row in rows})
        return found

    async def all_entries(
        self, project_id: str, vector_store_id: str, *, reader: Reader
    ) -> list[Entry]:
        rows = await reader.fetch(
            "SELECT document, batch_id FROM vector_store_files"
            " WHERE project_id = $1 AND vector_store_id = $2",
            project_id,
            vector_store_id,
        )
        return [Entry(_decoder.decode(row[0]), row[1]) for row in rows]

    async def put(self, tx: Transaction, project_id: str, entry: Entry) -> None:
        """Write the new state of a file that is in the store."""
        file = entry.file
        # A file whose reading has ended is nobody's any more, and may begin anew one day.
        ended: dict[str, object] = {"attempts": 0, "leased_by": None, "leased_until": None}
        await self.replace(
            tx,
            project_id,
            file.id,
            file,
            owner_id=file.vector_store_id,
            status=file.status,
            batch_id=entry.batch_id,
            **({} if file.status == "in_progress" else ended),
        )

    async def add(
        self, tx: Transaction, project_id: str, vector_store_id: str, entries: Iterable[Entry]
    ) -> None:
        await tx.lock(f"vector_store_files/{vector_store_id}")
        await tx.execute_many(
            "INSERT INTO vector_store_files"
            " (project_id, vector_store_id, id, status, batch_id, document)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (
                    project_id,
                    vector_store_id,
                    entry.file.id,
                    entry.file.status,
                    entry.batch_id,
                    msgspec.json.encode(entry.file).decode(),
                )
                for entry in entries
            ],
        )

    async def stores_of(self, project_id: str, file_id: str, *, reader: Reader) -> list[str]:
        """The stores that a file is in, always in the same order: that of locking them."""
        rows = await reader.fetch(
            "SELECT vector_store_id FROM vector_store_files"
            " WHERE project_id = $1 AND id = $2 ORDER BY vector_store_id",
            project_id,
            file_id,
        )
        return [row[0] for row in rows]
