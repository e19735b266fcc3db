"""Files: each with its blob, listed by purpose, found when their time has come."""

import pytest
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.errors import NotFound
from locum.store.tables import Store
from locum.wire.paging import PageQuery


async def _add(
    store: Store, file_id: str, *, purpose: str = "assistants", expires_at: int | None = None
) -> None:
    file = objects.file(file_id, purpose=purpose, expires_at=expires_at)
    async with store.transaction() as tx:
        await store.files.insert(
            tx,
            "p",
            file_id,
            file,
            purpose=purpose,
            expires_at=expires_at,
            blob=f"blob-of-{file_id}",
        )


@on_every_database
async def test_a_file_has_its_blob_in_its_own_project_only(store: Store) -> None:
    await _add(store, "file-1")
    assert await store.files.blob("p", "file-1") == "blob-of-file-1"
    assert await store.files.blob("other", "file-1") is None


@on_every_database
async def test_files_are_listed_by_purpose(store: Store) -> None:
    await _add(store, "file-1")
    await _add(store, "file-2", purpose="batch")
    page = await store.files.page("p", PageQuery(), purpose="batch")
    assert [file.id for file in page.read()] == ["file-2"]
    assert (await store.files.page("p", PageQuery(), purpose="\0")).text == ""


@on_every_database
async def test_files_whose_time_has_come_are_found(store: Store) -> None:
    await _add(store, "file-1", expires_at=10)
    await _add(store, "file-2", expires_at=11)
    await _add(store, "file-3")
    assert await store.files.expired(9) == []
    assert await store.files.expired(10) == [("p", "file-1")]


@on_every_database
async def test_a_blob_is_known_while_a_row_holds_it(store: Store) -> None:
    await _add(store, "file-1")
    blobs = ["blob-of-file-1", "blob-of-nobody", "unfinished/x"]
    assert await store.files.known_blobs(blobs) == {"blob-of-file-1"}
    async with store.transaction() as tx:
        assert await store.files.release(tx, "p", "file-1") == "blob-of-file-1"
    assert await store.files.known_blobs(blobs) == set()
    with pytest.raises(NotFound):
        async with store.transaction() as tx:
            await store.files.release(tx, "p", "file-1")


@on_every_database
async def test_existing_files_are_told_from_others(store: Store) -> None:
    await _add(store, "file-1")
    assert set(await store.files.names("p", ["file-1", "file-2"], now=0, reader=store.db)) == {
        "file-1"
    }
    assert await store.files.names("other", ["file-1"], now=0, reader=store.db) == {}
