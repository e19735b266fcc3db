"""Files: bytes with a name and a purpose."""

from collections.abc import AsyncGenerator
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from locum import limits
from locum.errors import InvalidParameter, InvalidRequest, ServerError, no_such_file
from locum.service import blobs, store_contents
from locum.service.blobs import Arriving
from locum.service.scope import Scope
from locum.store.blobs import BlobMissing
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.files import PURPOSES, CreateFile, File, FileDeleted, FileExpiry, ListFiles
from locum.wire.tools import CodeResources, ToolResources

# What each line of JSON is for is said by the purpose; other endings were refused.
_LINES_ONLY: Final = ("fine-tune", "batch")
_KEPT_BACK: Final = ("assistants", "user_data")
# Nothing that a browser would run; all else is bytes.
_MEDIA: Final = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".webp": "image/webp",
}
_DELETE_ATTEMPTS: Final = 5


class Download(Struct, frozen=True):
    """The bytes of a file, as they are read, and how they are labelled."""

    pieces: AsyncGenerator[bytes, None]
    media: str
    headers: dict[str, str]


async def create_file(scope: Scope, *, body: CreateFile, blob: Arriving) -> Document[File]:
    """Keep what has arrived under a name and for a purpose."""
    check_purpose(body.purpose)
    check_ending(body.filename, body.purpose, param="file")
    if blob.size == 0:
        raise InvalidRequest("File is empty.", param="file")
    created_at = scope.now()
    file = new_file(
        scope,
        filename=body.filename,
        purpose=body.purpose,
        size_bytes=blob.size,
        created_at=created_at,
        life_s=life_s(body.purpose, body.expires_after),
    )
    key = await blob.keep()
    async with scope.store.transaction() as tx:
        return await record(scope, tx, file, key)


async def list_files(scope: Scope, *, query: ListFiles) -> Page[File]:
    return await scope.store.files.living_page(scope.project_id, query, now=scope.now())


async def get_file(scope: Scope, *, file_id: str) -> Document[File]:
    return await scope.store.files.living(scope.project_id, file_id, now=scope.now())


async def delete_file(scope: Scope, *, file_id: str) -> FileDeleted:
    """The file leaves every vector store and every list of a code interpreter, too."""
    await get_file(scope, file_id=file_id)
    await remove(scope, file_id)
    return FileDeleted(id=file_id)


async def get_file_content(scope: Scope, *, file_id: str) -> Download:
    file = (await get_file(scope, file_id=file_id)).read()
    if file.purpose in _KEPT_BACK and not scope.house.settings.allow_downloads:
        raise InvalidRequest(f"Not allowed to download files of purpose: {file.purpose}")
    key = await scope.store.files.blob(scope.project_id, file_id)
    if key is None:
        raise no_such_file(file_id)  # Deleted since we looked.
    return Download(
        pieces=await _opened(scope, key, file_id),
        media=_MEDIA.get(PurePath(file.filename).suffix.lower(), "application/octet-stream"),
        headers={
            "content-disposition": disposition(file.filename),
            "content-length": str(file.bytes),
        },
    )


# ------------------------------------------------------------- for other services


def new_file(
    scope: Scope,
    *,
    filename: str,
    purpose: str,
    size_bytes: int,
    created_at: int,
    life_s: int | None,
) -> File:
    return File(
        id=scope.new_id("file"),
        purpose=purpose,
        filename=filename,
        bytes=size_bytes,
        created_at=created_at,
        expires_at=None if life_s is None else created_at + life_s,
        status="processed",
        status_details=None,
    )


async def record(scope: Scope, tx: Transaction, file: File, blob_key: str) -> Document[File]:
    """Write the row that holds a blob."""
    return await scope.store.files.insert(
        tx,
        scope.project_id,
        file.id,
        file,
        purpose=file.purpose,
        expires_at=file.expires_at,
        blob=blob_key,
    )


async def remove(scope: Scope, file_id: str) -> None:
    """Remove a file, expired or not, from everything that names it, then its bytes."""
    for _ in range(_DELETE_ATTEMPTS):
        holders = await _holders(scope, file_id)
        async with scope.store.transaction() as tx:
            # Locked before the file's own row, in one order, as whoever adds a file does.
            for holder in holders:
                await tx.lock(holder[1])
            if await _holders(scope, file_id, tx) != holders:
                continue
            for owner, owner_id in holders:
                await _forget(scope, tx, owner, owner_id, file_id)
            blob = await scope.store.files.release(tx, scope.project_id, file_id)
        await blobs.discard(scope.house, [blob])
        return
    raise ServerError(f"The file {file_id} is being used by others at the moment. Try again.")


def life_s(purpose: str, expires_after: FileExpiry | None) -> int | None:
    if expires_after is not None:
        return expires_after.seconds
    return limits.BATCH_FILE_LIFE_S if purpose == "batch" else None


def check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        allowed = ", ".join(f"'{known}'" for known in PURPOSES)
        raise InvalidParameter(
            f"'{purpose}' is not one of [{allowed}] - 'purpose'", param="purpose", code=None
        )


def check_ending(filename: str, purpose: str, *, param: str) -> None:
    """Names without an ending pass: what the lines hold is seen by whoever reads them."""
    ending = PurePath(filename).suffix.lower()
    if purpose in _LINES_ONLY and ending not in {"", ".jsonl"}:
        raise InvalidRequest(
            f"Invalid extension {ending}. Files of purpose '{purpose}' must end in .jsonl.",
            param=param,
        )


def disposition(filename: str) -> str:
    """`content-disposition`, whose plain name is for old clients and whose other one is exact."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_"
        for letter in filename
    )
    exact = quote(filename, safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


# ------------------------------------------------------------------------ private


async def _opened(scope: Scope, key: str, file_id: str) -> AsyncGenerator[bytes, None]:
    """The pieces of a blob; that it is there is known before an answer begins."""
    pieces = scope.house.blobs.open(key)
    try:
        first = await anext(pieces, b"")
    except BlobMissing as error:
        raise ServerError(f"The bytes of {file_id} are missing from the file store.") from error

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


async def _holders(
    scope: Scope, file_id: str, tx: Transaction | None = None
) -> list[tuple[str, str]]:
    reader = tx or scope.store.db
    uses = await scope.store.files.uses(scope.project_id, file_id, reader=reader)
    stores = await scope.store.vector_store_files.stores_of(
        scope.project_id, file_id, reader=reader
    )
    return sorted(uses) + [("vector_stores", store_id) for store_id in stores]


async def _forget(scope: Scope, tx: Transaction, owner: str, owner_id: str, file_id: str) -> None:
    store, project_id = scope.store, scope.project_id
    match owner:
        case "assistants":
            assistant = await store.assistants.find(project_id, owner_id, reader=tx)
            if assistant is not None:
                old = assistant.read()
                found = _without(old.tool_resources, file_id)
                await store.assistants.replace(
                    tx, project_id, owner_id, replace(old, tool_resources=found)
                )
        case "threads":
            thread = await store.threads.find(project_id, owner_id, reader=tx)
            if thread is not None:
                held = thread.read()
                found = _without(held.tool_resources, file_id)
                await store.threads.replace(
                    tx, project_id, owner_id, replace(held, tool_resources=found)
                )
        case "vector_stores":
            await store_contents.take_out(scope, tx, owner_id, file_id)


def _without(resources: ToolResources, file_id: str) -> ToolResources:
    code = resources.code_interpreter
    if not isinstance(code, CodeResources):
        return resources
    left = tuple(held for held in code.file_ids if held != file_id)
    return replace(resources, code_interpreter=CodeResources(file_ids=left))
