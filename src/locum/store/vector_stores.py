"""The table of vector stores: each beside the time at which its life is over."""

from locum.store.database import Reader, Transaction
from locum.store.documents import Document, Documents
from locum.wire.vector_stores import VectorStore


class VectorStoreTable(Documents[VectorStore]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="vector_stores", noun="vector store", type=VectorStore)

    async def insert(
        self,
        tx: Transaction,
        project_id: str,
        object_id: str,
        document: VectorStore,
        *,
        owner_id: str | None = None,
        alone: bool = False,
        **columns: object,
    ) -> Document[VectorStore]:
        columns["expires_at"] = document.expires_at
        return await super().insert(
            tx, project_id, object_id, document, owner_id=owner_id, alone=alone, **columns
        )

    async def replace(
        self,
        tx: Transaction,
        project_id: str,
        object_id: str,
        document: VectorStore,
        *,
        owner_id: str | None = None,
        **columns: object,
    ) -> Document[VectorStore]:
        columns["expires_at"] = document.expires_at
        return await super().replace(
            tx, project_id, object_id, document, owner_id=owner_id, **columns
        )
