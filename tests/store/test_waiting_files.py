"""The queue of files: taken by one, kept while it is renewed, taken again when it is not."""

from tests.kit.databases import on_every_database

from locum.store.tables import Store
from locum.store.vector_store_files import Entry
from locum.store.waiting_files import Claim
from locum.wire.vector_stores import ChunkSizes, FileStatus, StaticChunking, VectorStoreFile


def _file(store_id: str, file_id: str, status: FileStatus = "in_progress") -> VectorStoreFile:
    return VectorStoreFile(
        id=file_id,
        usage_bytes=0,
        created_at=1,
        vector_store_id=store_id,
        status=status,
        last_error=None,
        chunking_strategy=StaticChunking(
            ChunkSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400)
        ),
        attributes={},
    )


async def _enqueue(store: Store, *files: VectorStoreFile) -> None:
    async with store.transaction() as tx:
        for file in files:
            await store.vector_store_files.add(tx, "p", file.vector_store_id, [Entry(file, None)])


async def _claim(store: Store, token: str, *, now: int = 100, until: int = 160) -> Claim | None:
    [head] = await store.waiting_files.heads(now)
    return await store.waiting_files.claim(head.seq, token=token, now=now, until=until)


@on_every_database
async def test_one_head_for_each_store_the_longest_wait_first(store: Store) -> None:
    await _enqueue(
        store,
        _file("vs_2", "file-0", "completed"),
        _file("vs_2", "file-1"),
        _file("vs_1", "file-1"),
        _file("vs_2", "file-2"),
    )
    heads = await store.waiting_files.heads(100)
    assert [head.vector_store_id for head in heads] == ["vs_2", "vs_1"]
    first = await store.waiting_files.claim(heads[0].seq, token="a", now=100, until=160)
    assert first is not None
    assert (first.project_id, first.file.id, first.attempts) == ("p", "file-1", 1)


@on_every_database
async def test_a_file_is_taken_by_one_only(store: Store) -> None:
    await _enqueue(store, _file("vs_1", "file-1"))
    [head] = await store.waiting_files.heads(100)
    claims = [
        await store.waiting_files.claim(head.seq, token=token, now=100, until=160)
        for token in ("a", "b")
    ]
    assert [claim is not None for claim in claims] == [True, False]
    assert await store.waiting_files.heads(159) == []


@on_every_database
async def test_a_lease_that_has_lapsed_is_lost_to_the_next_one(store: Store) -> None:
    await _enqueue(store, _file("vs_1", "file-1"))
    first = await _claim(store, "a")
    assert first is not None
    assert await store.waiting_files.renew(first, until=200)
    second = await _claim(store, "b", now=200, until=260)
    assert second is not None
    assert second.attempts == 2
    assert not await store.waiting_files.renew(first, until=300)
    async with store.transaction() as tx:
        assert not await store.waiting_files.is_held(tx, first)
        assert await store.waiting_files.is_held(tx, second)


@on_every_database
async def test_a_file_given_back_waits_until_it_may_be_tried_again(store: Store) -> None:
    await _enqueue(store, _file("vs_1", "file-1"))
    first = await _claim(store, "a")
    assert first is not None
    await store.waiting_files.release(first, until=104)
    assert await store.waiting_files.heads(103) == []
    second = await _claim(store, "b", now=104)
    assert second is not None
    assert second.attempts == 2
    await store.waiting_files.release(first, until=None)  # It is no longer his to give.
    assert await store.waiting_files.heads(105) == []
    await store.waiting_files.release(second, until=None, refund=True)
    third = await _claim(store, "c", now=105)
    assert third is not None
    assert third.attempts == 2


@on_every_database
async def test_a_settled_file_is_nobodys_and_begins_anew(store: Store) -> None:
    await _enqueue(store, _file("vs_1", "file-1"))
    claim = await _claim(store, "a")
    assert claim is not None
    states: tuple[FileStatus, ...] = ("failed", "in_progress")
    for status in states:
        async with store.transaction() as tx:
            entry = Entry(_file("vs_1", "file-1", status), None)
            await store.vector_store_files.put(tx, "p", entry)
        assert not await store.waiting_files.renew(claim, until=500)
    again = await _claim(store, "b")
    assert again is not None
    assert again.attempts == 1


@on_every_database
async def test_a_process_that_begins_alone_frees_what_another_held(store: Store) -> None:
    await _enqueue(store, _file("vs_1", "file-1"))
    assert await _claim(store, "a") is not None
    await store.waiting_files.free_all()
    assert await _claim(store, "b") is not None
