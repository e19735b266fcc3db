"""Every table, in one place."""

from contextlib import AbstractAsyncContextManager
from operator import itemgetter

import msgspec

from locum.store.assistants import AssistantTable
from locum.store.database import Database, Reader, Transaction
from locum.store.documents import Documents
from locum.store.events import EventTable
from locum.store.files import FileTable
from locum.store.keys import KeyTable
from locum.store.leases import LeaseTable
from locum.store.passages import PassageTable, StoreKey
from locum.store.processes import ProcessTable
from locum.store.runs import RunTable
from locum.store.steps import StepTable
from locum.store.threads import ThreadTable
from locum.store.uploads import PartTable, UploadTable
from locum.store.vector_store_files import VectorStoreFileTable
from locum.store.vector_stores import VectorStoreTable
from locum.store.waiting_files import WaitingFiles
from locum.wire.assistants import AssistantFile
from locum.wire.messages import Message
from locum.wire.steps import RunStep
from locum.wire.vector_stores import FileBatch

_messages = msgspec.json.Decoder(Message)
_steps = msgspec.json.Decoder(RunStep)
# Sizes first, so that no document is read that there is no room for; the newest always is.
_NEWEST = """
    SELECT * FROM (
        SELECT seq, document, NULL AS memory FROM messages
        WHERE project_id = $1 AND thread_id = $2 AND seq >= (
            SELECT COALESCE(MIN(CASE WHEN total <= $5 THEN seq END), MAX(seq)) FROM (
                SELECT seq, SUM(size) OVER (ORDER BY seq DESC) AS total FROM (
                    SELECT seq, LENGTH(document) AS size FROM messages
                    WHERE project_id = $1 AND thread_id = $2 ORDER BY seq DESC LIMIT $3
                ) AS sizes
            ) AS totals
        ) ORDER BY seq DESC LIMIT $3
    ) AS said UNION ALL SELECT * FROM (
        SELECT seq, document, memory FROM steps
        WHERE project_id = $1 AND thread_id = $2 ORDER BY seq DESC LIMIT $4
    ) AS done
"""


class Store:
    """The tables of one database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.keys = KeyTable(db)
        self.assistants = AssistantTable(db)
        self.assistant_files = Documents(
            db, table="assistant_files", noun="file", type=AssistantFile, owner="assistant_id"
        )
        self.runs = RunTable(db, db.dialect)
        self.events = EventTable(db, self.runs)
        self.threads = ThreadTable(db, self.events)
        self.messages = Documents(
            db, table="messages", noun="message", type=Message, owner="thread_id"
        )
        self.leases = LeaseTable(db, self.runs)
        self.processes = ProcessTable(db)
        self.steps = StepTable(db)
        self.files = FileTable(db)
        self.uploads = UploadTable(db)
        self.upload_parts = PartTable(db)
        self.vector_stores = VectorStoreTable(db)
        self.vector_store_files = VectorStoreFileTable(db)
        self.waiting_files = WaitingFiles(db)
        self.passages = PassageTable(db)
        self.file_batches = Documents(
            db,
            table="file_batches",
            noun="vector store file batch",
            type=FileBatch,
            owner="vector_store_id",
        )

    async def newest(
        self, project_id: str, thread_id: str, *, messages: int, chars: int, steps: int
    ) -> tuple[list[Message], list[tuple[RunStep, str]]]:
        """The newest messages of a thread and the newest steps of its runs, oldest first.

        So many messages, as far as they are `chars` long together, and the newest in any case.
        With each step comes what the model remembers of it.
        """
        found = await self.db.fetch(_NEWEST, project_id, thread_id, messages, steps, chars)
        rows = sorted(found, key=itemgetter(0))
        return (
            [_messages.decode(document) for _, document, memory in rows if memory is None],
            [
                (_steps.decode(document), memory)
                for _, document, memory in rows
                if memory is not None
            ],
        )

    async def remove_store_contents(
        self, tx: Transaction, project_id: str, vector_store_id: str
    ) -> None:
        """Remove what hangs on a vector store that is being deleted."""
        await self.passages.drop(tx, StoreKey(project_id, vector_store_id))
        for table in ("vector_store_files", "file_batches"):
            await tx.execute(
                f"DELETE FROM {table} WHERE project_id = $1 AND vector_store_id = $2",
                project_id,
                vector_store_id,
            )
            await tx.execute(
                "DELETE FROM tombstones WHERE project_id = $1 AND list = $2",
                project_id,
                f"{table}/{vector_store_id}",
            )

    async def has_user_message(self, reader: Reader, project_id: str, thread_id: str) -> bool:
        rows = await reader.fetch(
            "SELECT 1 FROM messages WHERE project_id = $1 AND thread_id = $2"
            " AND role = 'user' LIMIT 1",
            project_id,
            thread_id,
        )
        return bool(rows)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self.db.transaction()

    async def close(self) -> None:
        await self.db.close()
