"""What ingestion and the sweep will do to files, on both databases and with a disk that is full."""

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.kit.clocks import SteppedClock
from tests.kit.databases import DIALECTS, fresh_url

from locum.app import Parts, open_house
from locum.errors import InvalidRequest, NotFound, ServerError, StorageFull, TooLarge
from locum.llm.scripted import Scripted
from locum.service import (
    blobs,
    file_batches,
    files,
    store_contents,
    sweep,
    uploads,
    vector_store_files,
    vector_stores,
)
from locum.service.scope import Scope
from locum.service.store_contents import Outcome
from locum.settings import Settings
from locum.store.blobs import local
from locum.wire.assistants import AssistantFile
from locum.wire.files import CreateFile, FileExpiry, ListFiles
from locum.wire.paging import PageQuery
from locum.wire.uploads import CompleteUpload, CreateUpload
from locum.wire.vector_stores import (
    CreateFileBatch,
    CreateVectorStore,
    FileCounts,
    IngestionError,
)

_TEST_S = 60
Test = Callable[[Scope, SteppedClock], Awaitable[None]]


@asynccontextmanager
async def _scope(dialect: str, path: Path, clock: SteppedClock) -> AsyncIterator[Scope]:
    parts = Parts(clock=clock, backend=Scripted())
    if dialect == "sqlite":
        async with open_house(Settings(data=path, durable=False, files_at_once=0), parts) as house:
            yield Scope(house, "proj_default")
        return
    async with fresh_url() as url:
        settings = Settings(data=path, database_url=url, files_at_once=0)
        async with open_house(settings, parts) as house:
            yield Scope(house, "proj_default")


def on_every_database(test: Test) -> Callable[..., None]:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def run(dialect: str, tmp_path: Path) -> None:
        async def bounded() -> None:
            clock = SteppedClock()
            async with asyncio.timeout(_TEST_S), _scope(dialect, tmp_path, clock) as scope:
                await test(scope, clock)

        asyncio.run(bounded())

    run.__name__, run.__doc__ = getattr(test, "__name__", "test"), test.__doc__
    return run


async def _file(scope: Scope, *, life_s: int | None = None, data: bytes = b"text") -> str:
    expiry = None if life_s is None else FileExpiry(anchor="created_at", seconds=life_s)
    body = CreateFile(filename="a.txt", purpose="assistants", expires_after=expiry)
    async with blobs.arriving(scope, limit=1_000) as blob:
        await blob.write(data)
        return (await files.create_file(scope, body=body, blob=blob)).id


async def _part(scope: Scope, upload_id: str) -> None:
    async with blobs.arriving(scope, limit=9) as blob:
        await blob.write(b"part")
        await uploads.create_part(scope, upload_id=upload_id, blob=blob)


async def _store(scope: Scope, *file_ids: str) -> str:
    body = CreateVectorStore(file_ids=file_ids)
    return (await vector_stores.create_vector_store(scope, body=body)).id


async def _batch(scope: Scope, store_id: str, *file_ids: str) -> str:
    body = CreateFileBatch(file_ids=file_ids)
    document = await file_batches.create_file_batch(scope, vector_store_id=store_id, body=body)
    return document.id


async def _settle(scope: Scope, store_id: str, **outcomes: Outcome) -> set[str]:
    async with scope.store.transaction() as tx:
        by_id = {file_id.replace("_", "-", 1): outcome for file_id, outcome in outcomes.items()}
        return await store_contents.settle(scope, tx, store_id, by_id)


def _counts(**some: int) -> FileCounts:
    fields = dict.fromkeys(("in_progress", "completed", "failed", "cancelled"), 0) | some
    return FileCounts(**fields, total=sum(some.values()))


async def _stored_blobs(scope: Scope) -> list[str]:
    return [stored.key async for stored in scope.house.blobs.stored()]


def _named(file_id: str) -> str:
    return file_id.replace("-", "_", 1)


_DONE = Outcome(status="completed", usage_bytes=1045)
_FAILED = Outcome(status="failed", error=IngestionError("invalid_file", "It is empty."))


@on_every_database
async def test_a_file_is_settled_exactly_once(scope: Scope, clock: SteppedClock) -> None:
    file_id = await _file(scope)
    store_id = await _store(scope, file_id)
    assert await _settle(scope, store_id, **{_named(file_id): _DONE}) == {file_id}
    assert await _settle(scope, store_id, **{_named(file_id): _FAILED}) == set()
    assert await _settle(scope, store_id, file_gone=_DONE) == set()
    assert await _settle(scope, "vs_gone", **{_named(file_id): _DONE}) == set()
    store = (await vector_stores.get_vector_store(scope, vector_store_id=store_id)).read()
    assert store.file_counts == _counts(completed=1)
    assert (store.status, store.usage_bytes) == ("completed", 1045)
    found = await vector_store_files.get_vector_store_file(
        scope, vector_store_id=store_id, file_id=file_id
    )
    assert (found.read().status, found.read().usage_bytes) == ("completed", 1045)
    await vector_store_files.delete_vector_store_file(
        scope, vector_store_id=store_id, file_id=file_id
    )
    store = (await vector_stores.get_vector_store(scope, vector_store_id=store_id)).read()
    assert (store.file_counts, store.usage_bytes) == (_counts(), 0)


@on_every_database
async def test_a_batch_ends_when_the_last_file_does(scope: Scope, clock: SteppedClock) -> None:
    first, second = await _file(scope), await _file(scope)
    store_id = await _store(scope)
    batch_id = await _batch(scope, store_id, first, second)

    async def shown() -> tuple[str, FileCounts]:
        document = await file_batches.get_file_batch(
            scope, vector_store_id=store_id, batch_id=batch_id
        )
        return document.read().status, document.read().file_counts

    await _settle(scope, store_id, **{_named(first): _FAILED})
    assert await shown() == ("in_progress", _counts(failed=1, in_progress=1))
    await _settle(scope, store_id, **{_named(second): _DONE})
    assert await shown() == ("completed", _counts(failed=1, completed=1))


@on_every_database
async def test_a_batch_of_failures_has_failed_and_may_be_tried_again(
    scope: Scope, clock: SteppedClock
) -> None:
    file_id = await _file(scope)
    store_id = await _store(scope)
    batch_id = await _batch(scope, store_id, file_id)
    await _settle(scope, store_id, **{_named(file_id): _FAILED})
    document = await file_batches.get_file_batch(scope, vector_store_id=store_id, batch_id=batch_id)
    assert document.read().status == "failed"
    found = await vector_store_files.get_vector_store_file(
        scope, vector_store_id=store_id, file_id=file_id
    )
    assert found.read().last_error == _FAILED.error
    again = await _batch(scope, store_id, file_id)
    await _settle(scope, store_id, **{_named(file_id): _DONE})
    document = await file_batches.get_file_batch(scope, vector_store_id=store_id, batch_id=again)
    assert document.read().file_counts == _counts(completed=1)
    # A file that is there already is counted at once: the batch has nothing to wait for.
    third = await _batch(scope, store_id, file_id)
    document = await file_batches.get_file_batch(scope, vector_store_id=store_id, batch_id=third)
    assert (document.read().status, document.read().file_counts) == (
        "completed",
        _counts(completed=1),
    )


@on_every_database
async def test_how_a_batch_ended_stays_when_its_files_leave_it(
    scope: Scope, clock: SteppedClock
) -> None:
    good, bad = await _file(scope), await _file(scope)
    store_id = await _store(scope)
    batch_id = await _batch(scope, store_id, good, bad)
    await _settle(scope, store_id, **{_named(good): _DONE, _named(bad): _FAILED})

    async def shown(batch_id: str) -> tuple[str, FileCounts]:
        document = await file_batches.get_file_batch(
            scope, vector_store_id=store_id, batch_id=batch_id
        )
        return document.read().status, document.read().file_counts

    assert await shown(batch_id) == ("completed", _counts(completed=1, failed=1))
    await vector_store_files.delete_vector_store_file(scope, vector_store_id=store_id, file_id=good)
    assert await shown(batch_id) == ("completed", _counts(failed=1))
    # Another batch takes over what failed, and fails with it.
    second = await _batch(scope, store_id, bad)
    assert await shown(batch_id) == ("completed", _counts())
    await _settle(scope, store_id, **{_named(bad): _FAILED})
    await files.delete_file(scope, file_id=bad)
    assert await shown(second) == ("failed", _counts())


@on_every_database
async def test_many_files_at_once_are_counted_right(scope: Scope, clock: SteppedClock) -> None:
    ids = [await _file(scope) for _ in range(30)]
    store_id = await _store(scope)
    batch_id = await _batch(scope, store_id, *ids)
    outcomes = [_DONE if number % 3 else _FAILED for number in range(30)]
    await asyncio.gather(
        *[
            _settle(scope, store_id, **{_named(file_id): outcome})
            for file_id, outcome in zip(ids, outcomes, strict=True)
        ],
        *[files.delete_file(scope, file_id=file_id) for file_id in ids[:6]],
    )
    store = (await vector_stores.get_vector_store(scope, vector_store_id=store_id)).read()
    batch = (
        await file_batches.get_file_batch(scope, vector_store_id=store_id, batch_id=batch_id)
    ).read()
    assert store.file_counts == batch.file_counts == _counts(completed=16, failed=8)
    assert store.usage_bytes == 16 * 1045


@on_every_database
async def test_a_deleted_file_leaves_the_assistants_of_the_first_version(
    scope: Scope, clock: SteppedClock
) -> None:
    file_id, kept = await _file(scope), await _file(scope)
    async with scope.store.transaction() as tx:
        for name in (file_id, kept):
            held = AssistantFile(id=name, created_at=1, assistant_id="asst_1")
            await scope.store.assistant_files.insert(
                tx, scope.project_id, name, held, owner_id="asst_1"
            )
    await files.delete_file(scope, file_id=file_id)
    page = await scope.store.assistant_files.page(
        scope.project_id, PageQuery(order="asc", after=file_id), owner_id="asst_1"
    )
    assert [file.id for file in page.read()] == [kept]


@on_every_database
async def test_what_has_expired_is_swept(scope: Scope, clock: SteppedClock) -> None:
    dying, staying = await _file(scope, life_s=3600), await _file(scope)
    store_id = await _store(scope, dying, staying)
    body = CreateUpload(filename="a.txt", purpose="assistants", bytes=9, mime_type="text/plain")
    upload_id = (await uploads.create_upload(scope, body=body)).id
    await _part(scope, upload_id)
    assert await sweep.sweep_expired(scope.house) == 0
    clock.advance(3600)
    with pytest.raises(NotFound):
        await files.get_file(scope, file_id=dying)
    assert await sweep.sweep_expired(scope.house) == 2
    assert await sweep.sweep_expired(scope.house) == 0
    store = (await vector_stores.get_vector_store(scope, vector_store_id=store_id)).read()
    assert store.file_counts == _counts(in_progress=1)
    upload = (await scope.store.uploads.get(scope.project_id, upload_id)).read()
    assert upload.status == "expired"
    kept = await scope.store.files.blob(scope.project_id, staying)
    assert await _stored_blobs(scope) == [kept]


@on_every_database
async def test_two_completions_at_once_make_one_file(scope: Scope, clock: SteppedClock) -> None:
    body = CreateUpload(filename="a.txt", purpose="assistants", bytes=4, mime_type="text/plain")
    upload_id = (await uploads.create_upload(scope, body=body)).id
    await _part(scope, upload_id)
    (held,) = await scope.store.upload_parts.held(
        scope.project_id, upload_id, reader=scope.store.db
    )
    asked = CompleteUpload(part_ids=(held.id,))
    ends = await asyncio.gather(
        *[uploads.complete_upload(scope, upload_id=upload_id, body=asked) for _ in range(2)],
        return_exceptions=True,
    )
    refused = [end for end in ends if isinstance(end, InvalidRequest)]
    assert [str(end) for end in refused] == ["Cannot complete upload with status 'completed'."]
    page = await files.list_files(scope, query=ListFiles())
    assert len(page.read()) == len(await _stored_blobs(scope)) == 1


@on_every_database
async def test_a_part_whose_bytes_are_missing_is_a_clear_error(
    scope: Scope, clock: SteppedClock
) -> None:
    body = CreateUpload(filename="a.txt", purpose="assistants", bytes=4, mime_type="text/plain")
    upload_id = (await uploads.create_upload(scope, body=body)).id
    await _part(scope, upload_id)
    (held,) = await scope.store.upload_parts.held(
        scope.project_id, upload_id, reader=scope.store.db
    )
    await scope.house.blobs.delete(held.blob)
    asked = CompleteUpload(part_ids=(held.id,))
    with pytest.raises(ServerError, match="missing from the file store"):
        await uploads.complete_upload(scope, upload_id=upload_id, body=asked)
    assert await _stored_blobs(scope) == []


@on_every_database
async def test_blobs_that_no_row_holds_are_swept_when_they_are_old(
    scope: Scope, clock: SteppedClock
) -> None:
    await _file(scope)
    writer = await scope.house.blobs.create()
    await writer.write(b"orphan")
    orphan = await writer.commit()
    unfinished = await scope.house.blobs.create()
    assert len(await _stored_blobs(scope)) == 3
    newest = max([stored.modified_at async for stored in scope.house.blobs.stored()])
    early, late = (
        SteppedClock(int(newest)),
        SteppedClock(int(newest) + sweep.ORPHAN_AGE_S + 2),
    )
    assert await sweep.sweep_orphans(_at(scope, early)) == 0
    assert await sweep.sweep_orphans(_at(scope, late)) == 2
    assert orphan not in await _stored_blobs(scope)
    assert len(await _stored_blobs(scope)) == 1
    await unfinished.abort()


@on_every_database
async def test_a_row_that_is_refused_leaves_no_blob(scope: Scope, clock: SteppedClock) -> None:
    body = CreateUpload(filename="a.txt", purpose="assistants", bytes=9, mime_type="text/plain")
    upload_id = (await uploads.create_upload(scope, body=body)).id
    clock.advance(3600)
    with pytest.raises(InvalidRequest, match="expired"):
        await _part(scope, upload_id)
    with pytest.raises(TooLarge):
        await _file(scope, data=b"x" * 1_001)
    assert await _stored_blobs(scope) == []


@on_every_database
async def test_a_client_that_leaves_takes_its_blob_along(scope: Scope, clock: SteppedClock) -> None:
    async def leave_halfway() -> None:
        async with blobs.arriving(scope, limit=9) as blob:
            await blob.write(b"half")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await leave_halfway()
    assert await _stored_blobs(scope) == []


@pytest.mark.parametrize("when", ["writing", "finishing"])
def test_a_full_disk_is_said_and_leaves_nothing(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reaches inside: no disk here can be filled on purpose."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if when == "writing":
        monkeypatch.setattr(local, "_write_all", full)
    else:
        monkeypatch.setattr(local._LocalWriter, "_finish", full)

    async def run() -> None:
        async with _scope("sqlite", tmp_path, SteppedClock()) as scope:
            with pytest.raises(StorageFull) as refusal:
                await _file(scope)
            assert refusal.value.status == 507
            assert await _stored_blobs(scope) == []
            assert (await scope.store.db.fetch("SELECT * FROM files")) == []

    asyncio.run(run())


def _at(scope: Scope, clock: SteppedClock) -> Any:
    """The same house at another time."""
    return replace(scope.house, clock=clock)
