"""The tables of uploads and their parts: each part with the blob that holds its bytes."""

import msgspec
from msgspec import Struct

from locum.store.database import Reader, Transaction
from locum.store.documents import Document, Documents
from locum.wire.uploads import Upload, UploadPart


class UploadPlan(Struct, frozen=True, kw_only=True):
    """What the finished file will need and the upload does not show."""

    mime_type: str
    life_s: int | None


class HeldPart(Struct, frozen=True):
    id: str
    blob: str
    bytes: int


_plans = msgspec.json.Decoder(UploadPlan)


class UploadTable(Documents[Upload]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="uploads", noun="upload", type=Upload)

    async def add(
        self, tx: Transaction, project_id: str, upload: Upload, plan: UploadPlan
    ) -> Document[Upload]:
        text = msgspec.json.encode(plan).decode()
        return await self.insert(tx, project_id, upload.id, upload, plan=text)

    async def plan(self, project_id: str, upload_id: str, *, reader: Reader) -> UploadPlan:
        rows = await reader.fetch(
            "SELECT plan FROM uploads WHERE project_id = $1 AND id = $2", project_id, upload_id
        )
        if not rows:
            raise self.missing(upload_id, None)
        return _plans.decode(rows[0][0])


class PartTable(Documents[UploadPart]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(
            reader, table="upload_parts", noun="part", type=UploadPart, owner="upload_id"
        )

    async def held(self, project_id: str, upload_id: str, *, reader: Reader) -> list[HeldPart]:
        rows = await reader.fetch(
            "SELECT id, blob, bytes FROM upload_parts"
            " WHERE project_id = $1 AND upload_id = $2 ORDER BY seq",
            project_id,
            upload_id,
        )
        return [HeldPart(*row) for row in rows]

    async def release(self, tx: Transaction, project_id: str, upload_id: str) -> list[str]:
        """Remove all parts of an upload; the blobs that nobody holds any more."""
        held = await self.held(project_id, upload_id, reader=tx)
        await tx.execute(
            "DELETE FROM upload_parts WHERE project_id = $1 AND upload_id = $2",
            project_id,
            upload_id,
        )
        return [part.blob for part in held]

    async def oldest_uploads(self, *, limit: int = 500) -> list[tuple[str, str]]:
        """Project and id of the uploads that hold parts; those that have ended hold none."""
        rows = await self._reader.fetch(
            "SELECT project_id, upload_id FROM upload_parts"
            " GROUP BY project_id, upload_id ORDER BY MIN(seq) LIMIT $1",
            limit,
        )
        return [(row[0], row[1]) for row in rows]
