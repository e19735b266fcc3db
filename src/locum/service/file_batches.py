"""Batches: many files put into a vector store at once, and watched together."""

from locum.errors import InvalidParameter, missing
from locum.service import store_contents, vector_stores
from locum.service.scope import Scope
from locum.service.store_contents import Outcome, Wanted
from locum.store.documents import Document, Page
from locum.wire.vector_stores import (
    CreateFileBatch,
    FileBatch,
    ListStoreFiles,
    VectorStoreFile,
)


async def create_file_batch(
    scope: Scope, *, vector_store_id: str, body: CreateFileBatch
) -> Document[FileBatch]:
    wanted = _wanted(body)
    file_ids = [one.file_id for one in wanted]
    batch = FileBatch(
        id=scope.new_id("vsfb"),
        created_at=scope.now(),
        status="in_progress",
        vector_store_id=vector_store_id,
        file_counts=store_contents.EMPTY,
    )
    async with scope.store.transaction() as tx:
        await vector_stores.usable(scope, tx, vector_store_id)
        await store_contents.require_searchable(scope, tx, file_ids)
        await scope.store.file_batches.insert(
            tx, scope.project_id, batch.id, batch, owner_id=vector_store_id
        )
        await store_contents.put_in(scope, tx, vector_store_id, wanted, batch_id=batch.id)
        return await scope.store.file_batches.get(
            scope.project_id, batch.id, owner_id=vector_store_id, reader=tx
        )


async def get_file_batch(
    scope: Scope, *, vector_store_id: str, batch_id: str
) -> Document[FileBatch]:
    await scope.store.vector_stores.get(scope.project_id, vector_store_id)
    return await scope.store.file_batches.get(scope.project_id, batch_id, owner_id=vector_store_id)


async def cancel_file_batch(
    scope: Scope, *, vector_store_id: str, batch_id: str
) -> Document[FileBatch]:
    """Cancel what has not been read yet; a batch that has ended stays as it ended."""
    batches = scope.store.file_batches
    async with scope.store.transaction() as tx:
        await tx.lock(vector_store_id)
        await vector_stores.read(scope, tx, vector_store_id)
        await batches.get(scope.project_id, batch_id, owner_id=vector_store_id, reader=tx)
        waiting = await scope.store.vector_store_files.all(
            scope.project_id,
            owner_id=vector_store_id,
            reader=tx,
            batch_id=batch_id,
            status="in_progress",
        )
        outcomes = {file.id: Outcome(status="cancelled") for file in waiting}
        await store_contents.settle(scope, tx, vector_store_id, outcomes)
        return await batches.get(scope.project_id, batch_id, owner_id=vector_store_id, reader=tx)


async def list_file_batch_files(
    scope: Scope, *, vector_store_id: str, batch_id: str, query: ListStoreFiles
) -> Page[VectorStoreFile]:
    await get_file_batch(scope, vector_store_id=vector_store_id, batch_id=batch_id)
    where = {"status": query.filter} if query.filter else {}
    return await scope.store.vector_store_files.page(
        scope.project_id, query, owner_id=vector_store_id, batch_id=batch_id, **where
    )


def _wanted(body: CreateFileBatch) -> list[Wanted]:
    """Either ids with one treatment for all, or files each with its own."""
    if body.files is not None and body.file_ids is not None:
        raise InvalidParameter("Only one of 'file_ids' and 'files' may be given.", param="files")
    if body.files is not None:
        return [
            Wanted(
                file_id=file.file_id,
                chunking=store_contents.sizes(file.chunking_strategy),
                attributes=file.attributes,
            )
            for file in body.files
        ]
    if body.file_ids is None:
        raise missing("file_ids")
    chunking = store_contents.sizes(body.chunking_strategy)
    return [
        Wanted(file_id=file_id, chunking=chunking, attributes=body.attributes)
        for file_id in body.file_ids
    ]
