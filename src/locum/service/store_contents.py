"""What is in a vector store: files come in, are settled, go out, and the counters follow.

Every change of a file's status goes through here, under the lock of its store, so that the
counters of the store and of the file's batch move exactly once.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from locum import limits
from locum.errors import InvalidParameter
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.passages import StoreKey
from locum.store.vector_store_files import Entry
from locum.wire.vector_stores import (
    Attributes,
    Chunking,
    ChunkSizes,
    FileBatch,
    FileCounts,
    FileStatus,
    IngestionError,
    StaticChunking,
    VectorStoreFile,
)

EMPTY = FileCounts(in_progress=0, completed=0, failed=0, cancelled=0, total=0)
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


class Wanted(Struct, frozen=True, kw_only=True):
    """A file that is to be in a store."""

    file_id: str
    chunking: StaticChunking
    # None leaves those of a file that is there already as they are.
    attributes: Attributes | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """How the reading of a file has ended."""

    status: Literal["completed", "failed", "cancelled"]
    usage_bytes: int = 0
    error: IngestionError | None = None


class _Move(Struct, frozen=True, kw_only=True):
    """One file goes from one state (and batch) to another; None is out of the store."""

    was: FileStatus | None
    now: FileStatus | None
    old_batch: str | None
    new_batch: str | None
    usage_bytes: int = 0


async def require_searchable(scope: Scope, tx: Transaction, file_ids: Sequence[str]) -> None:
    """Refuse files that are not there, or whose names end in what no text can be read from."""
    names = await scope.store.files.required(scope.project_id, file_ids, now=scope.now(), reader=tx)
    endings = [PurePath(names[file_id]).suffix.lower() for file_id in file_ids]
    refused = [ending or "none" for ending in endings if ending not in SEARCHABLE]
    if refused:
        raise InvalidParameter(
            f"Files with extensions [{', '.join(dict.fromkeys(refused))}] are not supported for"
            " retrieval. See https://platform.openai.com/docs/assistants/tools/file-search/"
            "supported-files",
            param="file_ids",
            code="unsupported_file",
        )


async def put_in(
    scope: Scope,
    tx: Transaction,
    vector_store_id: str,
    wanted: Iterable[Wanted],
    *,
    batch_id: str | None = None,
) -> None:
    """Put files into a store, to be read. One that is there stays; a failed one is tried again.

    A file belongs to the batch that named it last, and is counted there and there alone.
    """
    await tx.lock(vector_store_id)
    by_id = {one.file_id: one for one in wanted}
    present = await scope.store.vector_store_files.entries(
        scope.project_id, vector_store_id, list(by_id), reader=tx
    )
    added: list[Entry] = []
    moves: list[_Move] = []
    for file_id, one in by_id.items():
        old = present.get(file_id)
        if old is None:
            entry = Entry(_fresh(scope, vector_store_id, one), batch_id)
            added.append(entry)
        else:
            entry = Entry(_again(old.file, one), batch_id or old.batch_id)
            if entry != old:
                await scope.store.vector_store_files.put(tx, scope.project_id, entry)
        moves.append(
            _Move(
                was=None if old is None else old.file.status,
                now=entry.file.status,
                old_batch=None if old is None else old.batch_id,
                new_batch=entry.batch_id,
            )
        )
    await scope.store.vector_store_files.add(tx, scope.project_id, vector_store_id, added)
    await _count(scope, tx, vector_store_id, moves)


async def settle(
    scope: Scope, tx: Transaction, vector_store_id: str, outcomes: Mapping[str, Outcome]
) -> set[str]:
    """End the reading of files; those that had been waiting. Others keep the end they had.

    A store or a file that is gone by now is nobody's loss: it is simply not among them.
    """
    await tx.lock(vector_store_id)
    present = await scope.store.vector_store_files.entries(
        scope.project_id, vector_store_id, list(outcomes), reader=tx
    )
    waiting = {
        file_id: entry for file_id, entry in present.items() if entry.file.status == "in_progress"
    }
    moves: list[_Move] = []
    for file_id, entry in waiting.items():
        outcome = outcomes[file_id]
        settled = replace(
            entry.file,
            status=outcome.status,
            usage_bytes=outcome.usage_bytes,
            last_error=outcome.error,
        )
        await scope.store.vector_store_files.put(
            tx, scope.project_id, Entry(settled, entry.batch_id)
        )
        if outcome.status != "completed":
            # What has been written of it already is not to be found, ever.
            key = StoreKey(scope.project_id, vector_store_id)
            await scope.store.passages.drop(tx, key, file_id=file_id)
        moves.append(
            _Move(
                was="in_progress",
                now=outcome.status,
                old_batch=entry.batch_id,
                new_batch=entry.batch_id,
                usage_bytes=outcome.usage_bytes,
            )
        )
    if moves:
        await _count(scope, tx, vector_store_id, moves)
    return set(waiting)


async def take_out(scope: Scope, tx: Transaction, vector_store_id: str, file_id: str) -> None:
    """Remove a file from a store; its batch counts on with what is left."""
    await tx.lock(vector_store_id)
    table = scope.store.vector_store_files
    present = await table.entries(scope.project_id, vector_store_id, [file_id], reader=tx)
    await table.delete(tx, scope.project_id, file_id, owner_id=vector_store_id)
    key = StoreKey(scope.project_id, vector_store_id)
    await scope.store.passages.drop(tx, key, file_id=file_id)
    entry = present[file_id]
    move = _Move(
        was=entry.file.status,
        now=None,
        old_batch=entry.batch_id,
        new_batch=None,
        usage_bytes=-entry.file.usage_bytes,
    )
    await _count(scope, tx, vector_store_id, [move])


def sizes(chunking: Chunking | None) -> StaticChunking:
    """Chunk sizes as they are reported: `auto` is spelled out."""
    return StaticChunking(chunking.static if isinstance(chunking, StaticChunking) else _AUTO)


def status_of(counts: FileCounts) -> Literal["in_progress", "completed"]:
    return "in_progress" if counts.in_progress else "completed"


# ------------------------------------------------------------------------ private


def _fresh(scope: Scope, vector_store_id: str, wanted: Wanted) -> VectorStoreFile:
    return VectorStoreFile(
        id=wanted.file_id,
        usage_bytes=0,
        created_at=scope.now(),
        vector_store_id=vector_store_id,
        status="in_progress",
        last_error=None,
        chunking_strategy=wanted.chunking,
        attributes=dict(wanted.attributes or {}),
    )


def _again(file: VectorStoreFile, wanted: Wanted) -> VectorStoreFile:
    if wanted.attributes is not None:
        file = replace(file, attributes=dict(wanted.attributes))
    if file.status in {"failed", "cancelled"}:
        file = replace(
            file, status="in_progress", last_error=None, chunking_strategy=wanted.chunking
        )
    return file


async def _count(
    scope: Scope, tx: Transaction, vector_store_id: str, moves: Sequence[_Move]
) -> None:
    store = (
        await scope.store.vector_stores.get(scope.project_id, vector_store_id, reader=tx)
    ).read()
    counts = store.file_counts
    by_batch: dict[str, list[tuple[FileStatus | None, int]]] = {}
    for move in moves:
        counts = _changed(_changed(counts, move.was, -1), move.now, 1)
        if move.old_batch is not None:
            by_batch.setdefault(move.old_batch, []).append((move.was, -1))
        if move.new_batch is not None:
            by_batch.setdefault(move.new_batch, []).append((move.now, 1))
    store = replace(
        store,
        file_counts=counts,
        status=status_of(counts),
        usage_bytes=store.usage_bytes + sum(move.usage_bytes for move in moves),
    )
    assert min(store.usage_bytes, *_values(counts)) >= 0, vector_store_id
    await scope.store.vector_stores.replace(tx, scope.project_id, store.id, store)
    for batch_id, changes in by_batch.items():
        await _count_batch(scope, tx, vector_store_id, batch_id, changes)


async def _count_batch(
    scope: Scope,
    tx: Transaction,
    vector_store_id: str,
    batch_id: str,
    changes: Sequence[tuple[FileStatus | None, int]],
) -> None:
    batch = (
        await scope.store.file_batches.get(
            scope.project_id, batch_id, owner_id=vector_store_id, reader=tx
        )
    ).read()
    counts = batch.file_counts
    for status, by in changes:
        counts = _changed(counts, status, by)
    assert min(_values(counts)) >= 0, batch_id
    batch = replace(batch, file_counts=counts, status=_batch_status(batch, counts))
    await scope.store.file_batches.replace(
        tx, scope.project_id, batch_id, batch, owner_id=vector_store_id
    )


def _batch_status(
    batch: FileBatch, counts: FileCounts
) -> Literal["in_progress", "completed", "failed", "cancelled"]:
    """Final exactly when nothing is waiting: one SDK looks at the counts, another at the status."""
    if counts.in_progress:
        return "in_progress"
    if batch.status != "in_progress":
        return batch.status  # Files that leave it do not change how it has ended.
    if counts.cancelled:
        return "cancelled"
    return "failed" if counts.failed and counts.failed == counts.total else "completed"


def _changed(counts: FileCounts, status: FileStatus | None, by: int) -> FileCounts:
    match status:
        case None:
            return counts
        case "in_progress":
            counts = replace(counts, in_progress=counts.in_progress + by)
        case "completed":
            counts = replace(counts, completed=counts.completed + by)
        case "failed":
            counts = replace(counts, failed=counts.failed + by)
        case "cancelled":
            counts = replace(counts, cancelled=counts.cancelled + by)
    return replace(counts, total=counts.total + by)


def _values(counts: FileCounts) -> tuple[int, int, int, int, int]:
    return (counts.in_progress, counts.completed, counts.failed, counts.cancelled, counts.total)
