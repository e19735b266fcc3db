"""Files in vector stores: each waits to be read anew, and the counters of its store follow."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from locum.moving.kinds import Kind
from locum.moving.writing import REFUSED, Writer
from locum.store.database import Reader, Transaction
from locum.store.staging import Staged
from locum.store.tables import Store
from locum.wire.vector_stores import FileBatch, FileCounts, VectorStoreFile


class StoreFiles:
    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

    async def write(
        self,
        reader: Reader,
        tx: Transaction | None,
        project_id: str,
        kind: Kind,
        staged: Staged,
        *,
        now: int,
        fresh: bool,
    ) -> str:
        """Put a file into its store, to be read by the server; one that ended badly stays so."""
        file = await self._store.files.find(project_id, staged.id, reader=reader)
        if file is None and tx is not None:
            self._writer.note(kind, staged.id, "not imported: its file did not come along")
            return REFUSED
        value: dict[str, Any] = msgspec.json.decode(staged.document)
        if value.get("status") not in ("failed", "cancelled"):
            value |= {"status": "in_progress", "last_error": None}
        value["usage_bytes"] = 0
        waiting = Staged(staged.number, staged.id, msgspec.json.encode(value))
        return await self._writer.write(reader, tx, project_id, kind, waiting, now=now, fresh=fresh)

    async def recount(self, tx: Transaction, project_id: str, vector_store_id: str) -> None:
        """Let the store and its batches say what is in it now."""
        entries = await self._store.vector_store_files.all_entries(
            project_id, vector_store_id, reader=tx
        )
        counts = _counts(entry.file for entry in entries)
        held = await self._store.vector_stores.get(project_id, vector_store_id, reader=tx)
        store = held.read()
        status = "in_progress" if counts.in_progress else "completed"
        counted = replace(
            store,
            file_counts=counts,
            usage_bytes=sum(entry.file.usage_bytes for entry in entries),
            status=store.status if store.status == "expired" else status,
        )
        if counted != store:
            await self._store.vector_stores.replace(tx, project_id, store.id, counted)
        for batch_id in {entry.batch_id for entry in entries} - {None}:
            assert batch_id is not None
            await self._recount_batch(
                tx,
                project_id,
                vector_store_id,
                batch_id,
                _counts(entry.file for entry in entries if entry.batch_id == batch_id),
            )

    async def _recount_batch(
        self,
        tx: Transaction,
        project_id: str,
        vector_store_id: str,
        batch_id: str,
        counts: FileCounts,
    ) -> None:
        held = await self._store.file_batches.find(
            project_id, batch_id, owner_id=vector_store_id, reader=tx
        )
        if held is None:
            return
        batch: FileBatch = held.read()
        status = batch.status
        if counts.in_progress:
            status = "in_progress"
        elif status == "in_progress":
            status = "completed"
        counted = replace(batch, file_counts=counts, status=status)
        if counted != batch:
            await self._store.file_batches.replace(
                tx, project_id, batch_id, counted, owner_id=vector_store_id
            )


def _counts(files: Iterable[VectorStoreFile]) -> FileCounts:
    by_status = Counter(file.status for file in files)
    return FileCounts(
        in_progress=by_status["in_progress"],
        completed=by_status["completed"],
        failed=by_status["failed"],
        cancelled=by_status["cancelled"],
        total=by_status.total(),
    )
