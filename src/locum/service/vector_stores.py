"""Vector stores: what files are gathered in, so that passages can be found."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from locum import limits
from locum.errors import InvalidParameter, InvalidRequest
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.assistants import NewSearchResources, NewToolResources
from locum.wire.fields import Deleted
from locum.wire.paging import PageQuery
from locum.wire.tools import ToolResources
from locum.wire.vector_stores import (
    Attributes,
    Chunking,
    ChunkSizes,
    CreateVectorStore,
    ExpiresAfter,
    FileCounts,
    ModifyVectorStore,
    StaticChunking,
    VectorStore,
    VectorStoreFile,
)

_DAY_S = 86_400
_EMPTY = FileCounts(in_progress=0, completed=0, failed=0, cancelled=0, total=0)
_AUTO = ChunkSizes(
    max_chunk_size_tokens=limits.CHUNK_TOKENS, chunk_overlap_tokens=limits.CHUNK_OVERLAP_TOKENS
)
# What ingestion reads; a file with another ending is refused when it is attached.
SEARCHABLE = frozenset(
    f".{ending}"
    for ending in (
        "c", "cs", "cpp", "css", "csv", "doc", "docx", "go", "html", "java", "js", "json", "md",
        "pdf", "php", "pptx", "py", "rb", "sh", "tex", "ts", "txt", "xlsx",
    )
)  # fmt: skip


async def create_vector_store(scope: Scope, *, body: CreateVectorStore) -> Document[VectorStore]:
    async with scope.store.transaction() as tx:
        store = await make(
            scope,
            tx,
            name=body.name,
            description=body.description,
            file_ids=body.file_ids or (),
            chunking=body.chunking_strategy,
            metadata=body.metadata or {},
            expires_after=body.expires_after,
        )
        return await scope.store.vector_stores.get(scope.project_id, store.id, reader=tx)


async def make(
    scope: Scope,
    tx: Transaction,
    *,
    name: str | None = None,
    description: str | None = None,
    file_ids: Sequence[str] = (),
    chunking: Chunking | None = None,
    metadata: dict[str, str] | None = None,
    expires_after: ExpiresAfter | None = None,
) -> VectorStore:
    """A store with its first files, as part of a larger transaction."""
    now = scope.now()
    store = VectorStore(
        id=scope.new_id("vs"),
        created_at=now,
        name=name,
        description=description,
        usage_bytes=0,
        file_counts=_EMPTY,
        status="completed",
        expires_after=expires_after,
        expires_at=_expiry(expires_after, now),
        last_active_at=now,
        metadata=metadata or {},
    )
    await scope.store.vector_stores.insert(tx, scope.project_id, store.id, store)
    if file_ids:
        await require_searchable(scope, tx, file_ids)
        await add_files(scope, tx, store.id, file_ids, chunking=chunking)
    return store


async def list_vector_stores(scope: Scope, *, query: PageQuery) -> Page[VectorStore]:
    page = await scope.store.vector_stores.page(scope.project_id, query)
    return page.mapped(lambda document: _shown(document, scope.now()))


async def get_vector_store(scope: Scope, *, vector_store_id: str) -> Document[VectorStore]:
    document = await scope.store.vector_stores.get(scope.project_id, vector_store_id)
    return _shown(document, scope.now())


async def modify_vector_store(
    scope: Scope, *, vector_store_id: str, body: ModifyVectorStore
) -> Document[VectorStore]:
    async with scope.store.transaction() as tx:
        await tx.lock(vector_store_id)
        store = await read(scope, tx, vector_store_id)
        if body.name is not UNSET:
            store = replace(store, name=body.name)
        if body.metadata is not UNSET:
            store = replace(store, metadata=body.metadata or {})
        if body.expires_after is not UNSET:
            active = store.last_active_at or scope.now()
            store = replace(
                store,
                expires_after=body.expires_after,
                expires_at=_expiry(body.expires_after, active),
            )
        changed = await scope.store.vector_stores.replace(tx, scope.project_id, store.id, store)
        return _shown(changed, scope.now())


async def delete_vector_store(scope: Scope, *, vector_store_id: str) -> Deleted:
    """The files stay; what refers to the store finds nothing in it any more."""
    async with scope.store.transaction() as tx:
        await tx.lock(vector_store_id)
        await scope.store.vector_stores.delete(tx, scope.project_id, vector_store_id)
        await scope.store.remove_store_contents(tx, scope.project_id, vector_store_id)
    return Deleted(id=vector_store_id, object="vector_store.deleted")


# ------------------------------------------------------------- for other services


async def read(scope: Scope, tx: Transaction, vector_store_id: str) -> VectorStore:
    document = await scope.store.vector_stores.get(scope.project_id, vector_store_id, reader=tx)
    return document.read()


async def touch(scope: Scope, tx: Transaction, vector_store_id: str) -> None:
    """Note that a store is used, which prolongs its life; one that has expired is refused."""
    found = await scope.store.vector_stores.find(scope.project_id, vector_store_id, reader=tx)
    if found is None:
        return  # Deleted since: searching it finds nothing, which is no reason to refuse a run.
    store = found.read()
    now = scope.now()
    if expired(store, now):
        raise InvalidRequest(f"Vector store {vector_store_id} is expired.")
    if store.last_active_at == now:
        return
    store = replace(store, last_active_at=now, expires_at=_expiry(store.expires_after, now))
    await scope.store.vector_stores.replace(tx, scope.project_id, store.id, store)


async def require_searchable(scope: Scope, tx: Transaction, file_ids: Sequence[str]) -> None:
    """Refuse files whose names end in what no text can be read from."""
    endings = []
    for file_id in file_ids:
        file = (await scope.store.files.get(scope.project_id, file_id, reader=tx)).read()
        ending = PurePath(file.filename).suffix.lower()
        if ending not in SEARCHABLE:
            endings.append(ending)
    if endings:
        raise InvalidParameter(
            f"Files with extensions [{', '.join(dict.fromkeys(endings))}] are not supported for"
            " retrieval. See https://platform.openai.com/docs/assistants/tools/file-search/"
            "supported-files",
            param="file_ids",
            code="unsupported_file",
        )


async def add_files(
    scope: Scope,
    tx: Transaction,
    vector_store_id: str,
    file_ids: Sequence[str],
    *,
    chunking: Chunking | None = None,
    attributes: Attributes | None = None,
    batch_id: str | None = None,
) -> int:
    """Put files into a store, waiting to be read; how many were not in it already."""
    await tx.lock(vector_store_id)
    store = await read(scope, tx, vector_store_id)
    added = 0
    for file_id in dict.fromkeys(file_ids):
        present = await scope.store.vector_store_files.find(
            scope.project_id, file_id, owner_id=vector_store_id, reader=tx
        )
        if present is not None:
            continue
        entry = VectorStoreFile(
            id=file_id,
            usage_bytes=0,
            created_at=scope.now(),
            vector_store_id=vector_store_id,
            status="in_progress",
            last_error=None,
            chunking_strategy=sizes(chunking),
            attributes=dict(attributes or {}),
        )
        await scope.store.vector_store_files.insert(
            tx,
            scope.project_id,
            file_id,
            entry,
            owner_id=vector_store_id,
            status=entry.status,
            batch_id=batch_id,
        )
        added += 1
    counts = store.file_counts
    counts = replace(counts, in_progress=counts.in_progress + added, total=counts.total + added)
    store = replace(store, file_counts=counts, status=status_of(counts))
    await scope.store.vector_stores.replace(tx, scope.project_id, store.id, store)
    return added


def as_new(resources: ToolResources) -> NewToolResources:
    """Resources that exist, in the form in which new ones are asked for."""
    search = resources.file_search
    return NewToolResources(
        code_interpreter=resources.code_interpreter,
        file_search=UNSET
        if search is UNSET
        else NewSearchResources(vector_store_ids=search.vector_store_ids),
    )


def sizes(chunking: Chunking | None) -> StaticChunking:
    """Chunk sizes as they are reported: `auto` is spelled out."""
    if not isinstance(chunking, StaticChunking):
        return StaticChunking(_AUTO)
    asked = chunking.static
    if asked.chunk_overlap_tokens * 2 > asked.max_chunk_size_tokens:
        raise InvalidParameter(
            "Invalid 'chunking_strategy.static.chunk_overlap_tokens': must not exceed half of"
            f" 'max_chunk_size_tokens' ({asked.max_chunk_size_tokens}), but got"
            f" {asked.chunk_overlap_tokens}.",
            param="chunking_strategy.static.chunk_overlap_tokens",
        )
    return chunking


def expired(store: VectorStore, now: int) -> bool:
    return store.expires_at is not None and store.expires_at <= now


def status_of(counts: FileCounts) -> Literal["in_progress", "completed"]:
    return "in_progress" if counts.in_progress else "completed"


def _shown(document: Document[VectorStore], now: int) -> Document[VectorStore]:
    store = document.read()
    if not expired(store, now):
        return document
    return document.with_value(replace(store, status="expired"))


def _expiry(expires_after: ExpiresAfter | None, active_at: int) -> int | None:
    return None if expires_after is None else active_at + expires_after.days * _DAY_S
