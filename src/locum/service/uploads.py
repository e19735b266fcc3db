"""Uploads: a large file in parts, which may come in parallel and in any order."""

import re
from typing import Final

from msgspec.structs import replace

from locum import limits
from locum.errors import InvalidParameter, InvalidRequest, NotFound, ServerError
from locum.service import blobs, files
from locum.service.blobs import Arriving
from locum.service.scope import Scope
from locum.store.blobs import BlobMissing
from locum.store.database import Transaction
from locum.store.documents import Document
from locum.store.uploads import HeldPart, UploadPlan
from locum.wire.uploads import CompleteUpload, CreateUpload, Upload, UploadPart

_MIME: Final = re.compile(r"[\w.+!#$&^-]+/[\w.+!#$&^-]+(\s*;.*)?\Z", re.ASCII)
_LINES: Final = (
    "text/jsonl",
    "application/jsonl",
    "application/x-jsonlines",
    "application/x-ndjson",
    "application/json",
    "application/octet-stream",
    "text/plain",
)
_FITTING: Final = {
    "fine-tune": _LINES,
    "batch": _LINES,
    "vision": ("image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"),
}


async def create_upload(scope: Scope, *, body: CreateUpload) -> Document[Upload]:
    _check_mime(body)
    files.check_ending(body.filename, body.purpose, param="filename")
    now = scope.now()
    upload = Upload(
        id=scope.new_id("upload"),
        bytes=body.bytes,
        created_at=now,
        filename=body.filename,
        purpose=body.purpose,
        status="pending",
        expires_at=now + limits.UPLOAD_LIFE_S,
    )
    plan = UploadPlan(
        mime_type=body.mime_type, life_s=files.life_s(body.purpose, body.expires_after)
    )
    async with scope.store.transaction() as tx:
        return await scope.store.uploads.add(tx, scope.project_id, upload, plan)


async def require_pending(scope: Scope, upload_id: str) -> None:
    """Refuse a part before its bytes have come."""
    upload = (await scope.store.uploads.get(scope.project_id, upload_id)).read()
    _refuse_ended(upload, scope.now(), "add parts to")


async def create_part(scope: Scope, *, upload_id: str, blob: Arriving) -> Document[UploadPart]:
    """Keep what has arrived as a part; where it belongs is said on completion."""
    if blob.size == 0:
        raise InvalidRequest("Part is empty.", param="data")
    part = UploadPart(id=scope.new_id("part"), created_at=scope.now(), upload_id=upload_id)
    key = await blob.keep()
    async with scope.store.transaction() as tx:
        await _pending(scope, tx, upload_id, "add parts to")
        return await scope.store.upload_parts.insert(
            tx,
            scope.project_id,
            part.id,
            part,
            owner_id=upload_id,
            blob=key,
            bytes=blob.size,
        )


async def complete_upload(
    scope: Scope, *, upload_id: str, body: CompleteUpload
) -> Document[Upload]:
    """Join the parts in the order that is given, and make the file of them."""
    async with scope.store.transaction() as tx:
        upload = await _pending(scope, tx, upload_id, "complete")
        held = await scope.store.upload_parts.held(scope.project_id, upload_id, reader=tx)
        plan = await scope.store.uploads.plan(scope.project_id, upload_id, reader=tx)
    parts = _in_order(upload, held, body)
    async with blobs.arriving(scope, limit=upload.bytes) as blob:
        md5 = await _joined(scope, upload_id, parts, blob, hashed=body.md5 is not None)
        if body.md5 is not None and md5 != body.md5.lower():
            raise InvalidParameter(
                f"Invalid 'md5': the parts have the checksum '{md5}', but got '{body.md5}'.",
                param="md5",
            )
        return await _finish(scope, upload, plan, blob)


async def cancel_upload(scope: Scope, *, upload_id: str) -> Document[Upload]:
    async with scope.store.transaction() as tx:
        upload = await _pending(scope, tx, upload_id, "cancel")
        ended = await _end(scope, tx, replace(upload, status="cancelled"))
        unheld = await scope.store.upload_parts.release(tx, scope.project_id, upload_id)
    await blobs.discard(scope.house, unheld)
    return ended


async def expire(scope: Scope, upload_id: str) -> bool:
    """End an upload whose hour is over, and let go of its parts."""
    async with scope.store.transaction() as tx:
        await tx.lock(upload_id)
        found = await scope.store.uploads.find(scope.project_id, upload_id, reader=tx)
        if found is not None and scope.now() < found.read().expires_at:
            return False
        if found is not None:
            await _end(scope, tx, replace(found.read(), status="expired"))
        unheld = await scope.store.upload_parts.release(tx, scope.project_id, upload_id)
    await blobs.discard(scope.house, unheld)
    return True


# ------------------------------------------------------------------------ private


async def _joined(
    scope: Scope, upload_id: str, parts: list[HeldPart], blob: Arriving, *, hashed: bool
) -> str | None:
    try:
        return await blobs.join(scope, blob, [part.blob for part in parts], hashed=hashed)
    except BlobMissing as error:
        # Whoever was quicker has removed the parts, and then there is a better answer.
        async with scope.store.transaction() as tx:
            await _pending(scope, tx, upload_id, "complete")
        raise ServerError("The bytes of a part are missing from the file store.") from error


async def _finish(
    scope: Scope, upload: Upload, plan: UploadPlan, blob: Arriving
) -> Document[Upload]:
    file = files.new_file(
        scope,
        filename=upload.filename,
        purpose=upload.purpose,
        size_bytes=blob.size,
        created_at=upload.created_at,
        life_s=plan.life_s,
    )
    key = await blob.keep()
    async with scope.store.transaction() as tx:
        # Again: another completion, or a cancellation, may have been quicker.
        upload = await _pending(scope, tx, upload.id, "complete")
        await files.record(scope, tx, file, key)
        ended = await _end(scope, tx, replace(upload, status="completed", file=file))
        unheld = await scope.store.upload_parts.release(tx, scope.project_id, upload.id)
    await blobs.discard(scope.house, unheld)
    return ended


async def _end(scope: Scope, tx: Transaction, upload: Upload) -> Document[Upload]:
    return await scope.store.uploads.replace(tx, scope.project_id, upload.id, upload)


async def _pending(scope: Scope, tx: Transaction, upload_id: str, verb: str) -> Upload:
    await tx.lock(upload_id)
    found = await scope.store.uploads.get(scope.project_id, upload_id, reader=tx)
    upload = found.read()
    _refuse_ended(upload, scope.now(), verb)
    return upload


def _refuse_ended(upload: Upload, now: int, verb: str) -> None:
    status = upload.status
    if status == "pending" and upload.expires_at <= now:
        status = "expired"
    if status != "pending":
        raise InvalidRequest(f"Cannot {verb} upload with status '{status}'.")


def _in_order(upload: Upload, held: list[HeldPart], body: CompleteUpload) -> list[HeldPart]:
    by_id = {part.id: part for part in held}
    for part_id in body.part_ids:
        if part_id not in by_id:
            raise NotFound(
                f"No part found with id '{part_id}' in upload '{upload.id}'.", param="part_ids"
            )
    if len(set(body.part_ids)) < len(body.part_ids):
        raise InvalidParameter(
            "Invalid 'part_ids': a part may be named only once.", param="part_ids"
        )
    parts = [by_id[part_id] for part_id in body.part_ids]
    together = sum(part.bytes for part in parts)
    if together != upload.bytes:
        raise InvalidParameter(
            f"Invalid 'part_ids': the upload was declared with {upload.bytes} bytes, but its"
            f" parts have {together} bytes.",
            param="part_ids",
        )
    return parts


def _check_mime(body: CreateUpload) -> None:
    given = body.mime_type
    fitting = _FITTING.get(body.purpose)
    if not _MIME.match(given):
        raise InvalidParameter(
            f"Invalid 'mime_type': '{given}'. Expected a MIME type such as 'text/plain'.",
            param="mime_type",
        )
    if fitting and given.partition(";")[0].strip().lower() not in fitting:
        raise InvalidParameter(
            f"Invalid 'mime_type': '{given}' does not fit the purpose '{body.purpose}'."
            f" Supported values are: {', '.join(fitting)}.",
            param="mime_type",
        )
