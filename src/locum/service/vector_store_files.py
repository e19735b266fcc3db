"""The files of a vector store."""

from msgspec.structs import replace

from locum.service import store_contents, vector_stores
from locum.service.scope import Scope
from locum.service.store_contents import Wanted
from locum.store.documents import Document, Page
from locum.store.passages import StoreKey
from locum.wire.fields import Deleted
from locum.wire.vector_stores import (
    AttachFile,
    FileContentPage,
    ListStoreFiles,
    ModifyAttributes,
    TextContent,
    VectorStoreFile,
)


async def create_vector_store_file(
    scope: Scope, *, vector_store_id: str, body: AttachFile
) -> Document[VectorStoreFile]:
    """Attach a file; one that is attached already is answered as it is."""
    wanted = Wanted(
        file_id=body.file_id,
        chunking=store_contents.sizes(body.chunking_strategy),
        attributes=body.attributes,
    )
    async with scope.store.transaction() as tx:
        await vector_stores.usable(scope, tx, vector_store_id)
        await store_contents.require_searchable(scope, tx, [body.file_id])
        await store_contents.put_in(scope, tx, vector_store_id, [wanted])
        return await scope.store.vector_store_files.get(
            scope.project_id, body.file_id, owner_id=vector_store_id, reader=tx
        )


async def list_vector_store_files(
    scope: Scope, *, vector_store_id: str, query: ListStoreFiles
) -> Page[VectorStoreFile]:
    await scope.store.vector_stores.get(scope.project_id, vector_store_id)
    where = {"status": query.filter} if query.filter else {}
    return await scope.store.vector_store_files.page(
        scope.project_id, query, owner_id=vector_store_id, **where
    )


async def get_vector_store_file(
    scope: Scope, *, vector_store_id: str, file_id: str
) -> Document[VectorStoreFile]:
    await scope.store.vector_stores.get(scope.project_id, vector_store_id)
    return await scope.store.vector_store_files.get(
        scope.project_id, file_id, owner_id=vector_store_id
    )


async def modify_vector_store_file(
    scope: Scope, *, vector_store_id: str, file_id: str, body: ModifyAttributes
) -> Document[VectorStoreFile]:
    """Replace the attributes; null leaves none."""
    table = scope.store.vector_store_files
    async with scope.store.transaction() as tx:
        await vector_stores.usable(scope, tx, vector_store_id)
        found = await table.get(scope.project_id, file_id, owner_id=vector_store_id, reader=tx)
        file = replace(found.read(), attributes=dict(body.attributes or {}))
        return await table.replace(tx, scope.project_id, file_id, file, owner_id=vector_store_id)


async def delete_vector_store_file(scope: Scope, *, vector_store_id: str, file_id: str) -> Deleted:
    """Take a file out of the store; the file itself stays."""
    async with scope.store.transaction() as tx:
        await tx.lock(vector_store_id)
        await vector_stores.read(scope, tx, vector_store_id)
        await store_contents.take_out(scope, tx, vector_store_id, file_id)
    return Deleted(id=file_id, object="vector_store.file.deleted")


async def get_vector_store_file_content(
    scope: Scope, *, vector_store_id: str, file_id: str
) -> FileContentPage:
    """The text that was read from a file: nothing, as long as nothing was."""
    await get_vector_store_file(scope, vector_store_id=vector_store_id, file_id=file_id)
    key = StoreKey(scope.project_id, vector_store_id)
    pages = await scope.store.passages.pages(key, file_id)
    return FileContentPage(data=tuple(map(TextContent, pages)))
