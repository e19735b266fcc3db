"""Every table, in one place."""

from contextlib import AbstractAsyncContextManager

from locum.store.database import Database, Transaction
from locum.store.documents import Documents
from locum.store.events import EventTable
from locum.store.files import FileTable
from locum.store.keys import KeyTable
from locum.store.runs import RunTable
from locum.store.threads import ThreadTable
from locum.wire.assistants import Assistant, AssistantFile
from locum.wire.messages import Message
from locum.wire.steps import RunStep
from locum.wire.uploads import Upload, UploadPart
from locum.wire.vector_stores import FileBatch, VectorStore, VectorStoreFile


class Store:
    """The tables of one database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.keys = KeyTable(db)
        self.assistants = Documents(db, table="assistants", noun="assistant", type=Assistant)
        self.assistant_files = Documents(
            db, table="assistant_files", noun="file", type=AssistantFile, owner="assistant_id"
        )
        self.threads = ThreadTable(db)
        self.messages = Documents(
            db, table="messages", noun="message", type=Message, owner="thread_id"
        )
        self.runs = RunTable(db)
        self.steps = Documents(db, table="steps", noun="run step", type=RunStep, owner="run_id")
        self.events = EventTable(db)
        self.files = FileTable(db)
        self.uploads = Documents(db, table="uploads", noun="upload", type=Upload)
        self.upload_parts = Documents(
            db, table="upload_parts", noun="part", type=UploadPart, owner="upload_id"
        )
        self.vector_stores = Documents(
            db, table="vector_stores", noun="vector store", type=VectorStore
        )
        self.vector_store_files = Documents(
            db,
            table="vector_store_files",
            noun="file",
            type=VectorStoreFile,
            owner="vector_store_id",
        )
        self.file_batches = Documents(
            db,
            table="file_batches",
            noun="vector store file batch",
            type=FileBatch,
            owner="vector_store_id",
        )

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self.db.transaction()

    async def close(self) -> None:
        await self.db.close()
