"""The files table: each file with the blob that holds its bytes."""

from collections.abc import Sequence

import msgspec

from locum.errors import NotFound, no_such_file
from locum.store.database import Reader, Transaction
from locum.store.documents import Document, Documents, Page
from locum.wire.files import File, ListFiles

_decoder = msgspec.json.Decoder(File)
_ASKED_TOGETHER = 500


class FileTable(Documents[File]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="files", noun="file", type=File)

    def missing(self, object_id: str, _owner_id: str | None) -> NotFound:
        return no_such_file(object_id)

    async def living(
        self, project_id: str, file_id: str, *, now: int, reader: Reader | None = None
    ) -> Document[File]:
        """The file, unless it has expired: then it is gone, swept or not."""
        found = await self.get(project_id, file_id, reader=reader)
        expires_at = found.read().expires_at
        if expires_at is not None and expires_at <= now:
            raise self.missing(file_id, None)
        return found

    async def living_page(self, project_id: str, query: ListFiles, *, now: int) -> Page[File]:
        where = {"purpose": query.purpose} if query.purpose else {}
        narrowed = f" AND (expires_at IS NULL OR expires_at > {now:d})"
        return await self.page(project_id, query, narrowed=narrowed, **where)

    async def names(
        self, project_id: str, file_ids: Sequence[str], *, now: int, reader: Reader
    ) -> dict[str, str]:
        """The file names of those of the given files that are there and have not expired."""
        names: dict[str, str] = {}
        for start in range(0, len(file_ids), _ASKED_TOGETHER):
            some = file_ids[start : start + _ASKED_TOGETHER]
            places = ", ".join(f"${number}" for number in range(3, len(some) + 3))
            rows = await reader.fetch(
                "SELECT id, document FROM files WHERE project_id = $1"
                f" AND (expires_at IS NULL OR expires_at > $2) AND id IN ({places})",
                project_id,
                now,
                *some,
            )
            names.update({row[0]: _decoder.decode(row[1]).filename for row in rows})
        return names

    async def required(
        self, project_id: str, file_ids: Sequence[str], *, now: int, reader: Reader
    ) -> dict[str, str]:
        """As `names`, of files that must all be there."""
        names = await self.names(project_id, file_ids, now=now, reader=reader)
        missing = [file_id for file_id in file_ids if file_id not in names]
        if missing:
            raise NotFound(f"The following files were not found: {', '.join(missing)}")
        return names

    async def blob(
        self, project_id: str, file_id: str, *, reader: Reader | None = None
    ) -> str | None:
        rows = await (reader or self._reader).fetch(
            "SELECT blob FROM files WHERE project_id = $1 AND id = $2", project_id, file_id
        )
        return rows[0][0] if rows else None

    async def with_blob(self, project_id: str, file_id: str) -> tuple[File, str] | None:
        rows = await self._reader.fetch(
            "SELECT document, blob FROM files WHERE project_id = $1 AND id = $2",
            project_id,
            file_id,
        )
        return (_decoder.decode(rows[0][0]), rows[0][1]) if rows else None

    async def expired(self, now: int, *, limit: int = 500) -> list[tuple[str, str]]:
        """Project and id of files whose time has come."""
        rows = await self._reader.fetch(
            "SELECT project_id, id FROM files WHERE expires_at <= $1 LIMIT $2", now, limit
        )
        return [(row[0], row[1]) for row in rows]

    async def known_blobs(self, blobs: list[str]) -> set[str]:
        """Those of the given blobs that a file or a part of an upload still holds."""
        known: set[str] = set()
        for blob in blobs:
            rows = await self._reader.fetch(
                "SELECT 1 FROM files WHERE blob = $1 UNION ALL"
                " SELECT 1 FROM upload_parts WHERE blob = $1 LIMIT 1",
                blob,
            )
            if rows:
                known.add(blob)
        return known

    async def release(self, tx: Transaction, project_id: str, file_id: str) -> str:
        """Remove the row; the blob that nobody holds any more."""
        blob = await self.blob(project_id, file_id, reader=tx)
        await self.delete(tx, project_id, file_id)
        assert blob is not None
        await tx.execute(
            "DELETE FROM file_uses WHERE project_id = $1 AND file_id = $2", project_id, file_id
        )
        await _leave_assistants(tx, project_id, file_id)
        return blob

    async def set_uses(
        self,
        tx: Transaction,
        project_id: str,
        *,
        owner: str,
        owner_id: str,
        file_ids: Sequence[str],
    ) -> None:
        """Note which files an assistant or a thread holds for its code interpreter."""
        await tx.execute(
            "DELETE FROM file_uses WHERE project_id = $1 AND owner = $2 AND owner_id = $3",
            project_id,
            owner,
            owner_id,
        )
        await tx.execute_many(
            "INSERT INTO file_uses (project_id, file_id, owner, owner_id) VALUES ($1, $2, $3, $4)",
            [(project_id, file_id, owner, owner_id) for file_id in file_ids],
        )

    async def uses(self, project_id: str, file_id: str, *, reader: Reader) -> list[tuple[str, str]]:
        """Who holds a file: `assistants` or `threads`, and the id."""
        rows = await reader.fetch(
            "SELECT owner, owner_id FROM file_uses WHERE project_id = $1 AND file_id = $2",
            project_id,
            file_id,
        )
        return [(row[0], row[1]) for row in rows]


async def _leave_assistants(tx: Transaction, project_id: str, file_id: str) -> None:
    """The lists of the first version of the API; paging goes on from where the file stood."""
    await tx.execute(
        "INSERT INTO tombstones (project_id, list, id, seq)"
        " SELECT project_id, 'assistant_files/' || assistant_id, id, seq FROM assistant_files"
        " WHERE project_id = $1 AND id = $2"
        " ON CONFLICT (project_id, list, id) DO UPDATE SET seq = excluded.seq",
        project_id,
        file_id,
    )
    await tx.execute(
        "DELETE FROM assistant_files WHERE project_id = $1 AND id = $2", project_id, file_id
    )
