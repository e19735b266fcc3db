"""Vector stores: what files are gathered in, so that passages can be found."""

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from locum.errors import InvalidRequest
from locum.service import store_contents
from locum.service.scope import Scope
from locum.service.store_contents import Wanted
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.assistants import NewSearchResources, NewToolResources
from locum.wire.fields import Deleted
from locum.wire.paging import PageQuery
from locum.wire.tools import AskedToolResources
from locum.wire.vector_stores import (
    Chunking,
    CreateVectorStore,
    ExpiresAfter,
    ModifyVectorStore,
    VectorStore,
)

_DAY_S = 86_400


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
        file_counts=store_contents.EMPTY,
        status="completed",
        expires_after=expires_after,
        expires_at=_expiry(expires_after, now),
        last_active_at=now,
        metadata=metadata or {},
    )
    await scope.store.vector_stores.insert(tx, scope.project_id, store.id, store)
    if file_ids:
        await store_contents.require_searchable(scope, tx, file_ids)
        await add_files(scope, tx, store.id, file_ids, chunking=chunking)
    return store


async def list_vector_stores(scope: Scope, *, query: PageQuery) -> Page[VectorStore]:
    page = await scope.store.vector_stores.page(scope.project_id, query)
    return page.mapped(lambda store: _as_of(store, scope.now()))


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
            if expired(store, scope.now()):
                raise _expired_error(vector_store_id)  # Its passages may be gone already.
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
    await tx.lock(vector_store_id)
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


async def add_files(
    scope: Scope,
    tx: Transaction,
    vector_store_id: str,
    file_ids: Sequence[str],
    *,
    chunking: Chunking | None = None,
) -> None:
    """Put files into a store, waiting to be read."""
    spelled_out = store_contents.sizes(chunking)
    await store_contents.put_in(
        scope,
        tx,
        vector_store_id,
        [Wanted(file_id=file_id, chunking=spelled_out) for file_id in file_ids],
    )


async def usable(scope: Scope, tx: Transaction, vector_store_id: str) -> VectorStore:
    """The store, locked; one that has expired takes and gives nothing more."""
    await tx.lock(vector_store_id)
    store = await read(scope, tx, vector_store_id)
    if expired(store, scope.now()):
        raise _expired_error(vector_store_id)
    return store


async def lives(scope: Scope, tx: Transaction, vector_store_id: str) -> bool:
    """Whether a store is there still, neither deleted nor expired."""
    found = await scope.store.vector_stores.find(scope.project_id, vector_store_id, reader=tx)
    return found is not None and not expired(found.read(), scope.now())


def as_new(resources: AskedToolResources) -> NewToolResources:
    """Resources that exist, in the form in which new ones are asked for."""
    search = resources.file_search
    return NewToolResources(
        code_interpreter=resources.code_interpreter or UNSET,
        file_search=NewSearchResources(vector_store_ids=search.vector_store_ids)
        if search
        else UNSET,
    )


def expired(store: VectorStore, now: int) -> bool:
    return store.expires_at is not None and store.expires_at <= now


def _expired_error(vector_store_id: str) -> InvalidRequest:
    return InvalidRequest(f"Vector store '{vector_store_id}' has expired.")


def _shown(document: Document[VectorStore], now: int) -> Document[VectorStore]:
    return document.with_value(_as_of(document.read(), now))


def _as_of(store: VectorStore, now: int) -> VectorStore:
    return replace(store, status="expired") if expired(store, now) else store


def _expiry(expires_after: ExpiresAfter | None, active_at: int) -> int | None:
    return None if expires_after is None else active_at + expires_after.days * _DAY_S
