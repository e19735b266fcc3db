"""Files on their way into vector stores: whatever happens, each comes to one end, and once."""

import asyncio
import gc
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.kit.clocks import SteppedClock
from tests.kit.databases import DIALECTS, fresh_url
from tests.kit.embedders import HashEmbedder

from locum.app import Parts, open_house
from locum.errors import InvalidRequest, Unavailable
from locum.llm.scripted import Scripted
from locum.service import (
    file_batches,
    files,
    search,
    store_contents,
    sweep,
    vector_store_files,
    vector_stores,
)
from locum.service.blobs import arriving
from locum.service.scope import Scope
from locum.settings import Settings
from locum.store.passages import StoreKey, TextRow
from locum.tools.file_search.embedding import SearchEmbedder, WordsOnly
from locum.tools.file_search.extract import ExtractionFailed
from locum.wire.files import CreateFile
from locum.wire.vector_stores import (
    AskedChunking,
    ChunkSizes,
    CreateFileBatch,
    CreateVectorStore,
    ExpiresAfter,
    ModifyVectorStore,
    Search,
    VectorStore,
    VectorStoreFile,
)

pytestmark = pytest.mark.slow

_TEST_S = 60
_LOOK_S = 0.01
_DAY_S = 86_400


class Place:
    """Where a house stands, life after life: its data, its database and its clock."""

    def __init__(self, path: Path, url: str | None) -> None:
        self.clock = SteppedClock()
        self._settings = {"data": path, "database_url": url}

    @asynccontextmanager
    async def opened(
        self, embedder: SearchEmbedder | None = None, *, files_at_once: int = 2
    ) -> AsyncIterator[Scope]:
        parts = Parts(clock=self.clock, backend=Scripted(), embedder=embedder or HashEmbedder())
        settings = Settings(durable=False, files_at_once=files_at_once, **self._settings)  # type: ignore[arg-type]  # a path and an address
        async with open_house(settings, parts) as house:
            yield Scope(house, "proj_default")


def on_every_database(test: Callable[[Place], Awaitable[None]]) -> Callable[..., None]:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def run(dialect: str, tmp_path: Path) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(_TEST_S):
                if dialect == "sqlite":
                    await test(Place(tmp_path, None))
                else:
                    async with fresh_url() as url:
                        await test(Place(tmp_path, url))

        asyncio.run(bounded())

    run.__name__, run.__doc__ = getattr(test, "__name__", "test"), test.__doc__
    return run


class GatedEmbedder(HashEmbedder):
    """Embeds passages only while its gate is open; tells what it was asked, and when."""

    def __init__(self, name: str = "hash/64") -> None:
        super().__init__(name=name)
        self.gate = asyncio.Event()
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        if kind == "passage":
            self.asked.put_nowait(texts[0])
            await self.gate.wait()
        return await super().embed(texts, kind=kind)


async def _file(scope: Scope, name: str, data: bytes) -> str:
    async with arriving(scope, limit=1 << 24) as blob:
        await blob.write(data)
        body = CreateFile(filename=name, purpose="assistants")
        return (await files.create_file(scope, body=body, blob=blob)).id


async def _store(scope: Scope, *texts: str, chunking: AskedChunking | None = None) -> str:
    file_ids = [
        await _file(scope, f"{number}.txt", text.encode()) for number, text in enumerate(texts)
    ]
    body = CreateVectorStore(file_ids=tuple(file_ids), chunking_strategy=chunking)
    return (await vector_stores.create_vector_store(scope, body=body)).id


async def _read(scope: Scope, store_id: str) -> VectorStore:
    document = await vector_stores.get_vector_store(scope, vector_store_id=store_id)
    return document.read()


async def _files(scope: Scope, store_id: str) -> list[VectorStoreFile]:
    table = scope.store.vector_store_files
    return await table.all(scope.project_id, owner_id=store_id)


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    while not await true():  # noqa: ASYNC110  # what is waited for happens in other processes
        await asyncio.sleep(_LOOK_S)


async def _until_read(scope: Scope, store_id: str, *, passing: SteppedClock | None = None) -> None:
    """`passing` moves on whenever a file waits to be tried again."""
    waits = "SELECT MAX(leased_until) FROM vector_store_files WHERE leased_by IS NULL"

    async def is_read() -> bool:
        if passing is not None:
            [(until,)] = await scope.store.db.fetch(waits)
            passing.advance(max(0, (until or 0) - passing.now()))
        return (await _read(scope, store_id)).status == "completed"

    await _until(is_read)


async def _cleared(scope: Scope) -> None:
    async def is_cleared() -> bool:
        left = "SELECT COUNT(*) FROM passage_files WHERE state = 'dropped'"
        return await scope.store.db.fetch(left) == [(0,)]

    await _until(is_cleared)


async def _passages(scope: Scope, store_id: str) -> int:
    return await scope.store.passages.count(StoreKey(scope.project_id, store_id))


async def _found(scope: Scope, store_id: str, query: str) -> list[str]:
    page = await search.search_vector_store(
        scope, vector_store_id=store_id, body=Search(query=query, max_num_results=50)
    )
    return [one.content[0].text for one in page.data]


# ------------------------------------------------------------------ lives of a process


@on_every_database
async def test_a_batch_that_is_interrupted_goes_on_where_it_was_and_nothing_is_twice(
    place: Place,
) -> None:
    texts = [f"the report number {number}" for number in range(50)]
    gated = GatedEmbedder()
    async with place.opened(gated) as scope:
        store_id = await _store(scope, *texts)
        for _ in range(2):
            await gated.asked.get()
        gated.gate.set()
        for _ in range(10):
            await gated.asked.get()
        gated.gate.clear()
        for _ in range(2):
            await gated.asked.get()
    async with place.opened(files_at_once=0) as scope:
        between = (await _read(scope, store_id)).file_counts
        assert between.in_progress > 0
        assert between.completed > 0
    async with place.opened() as scope:
        await _until_read(scope, store_id)
        read = await _read(scope, store_id)
        assert read.file_counts.completed == 50
        assert read.usage_bytes == sum(len(text) + 1024 for text in texts)
        await _cleared(scope)
        assert await _passages(scope, store_id) == 50
        assert sorted(await _found(scope, store_id, "report")) == sorted(texts)


@on_every_database
async def test_what_a_killed_process_left_half_written_is_written_anew(place: Place) -> None:
    async with place.opened(files_at_once=0) as scope:
        store_id = await _store(scope, "a report")
        key = StoreKey(scope.project_id, store_id)
        now = place.clock.now()
        [head] = await scope.store.waiting_files.heads(now)
        queue = scope.store.waiting_files
        claim = await queue.claim(head.seq, token="dead", now=now, until=now + 60)
        assert claim is not None
        async with scope.store.transaction() as tx:
            number = await scope.store.passages.begin(tx, key, claim.file.id, pages=["half"])
            await scope.store.passages.write(tx, number, 0, [TextRow("half", "half")])
    # Others may be alive on a shared database, so there a dead one's lease must lapse first.
    place.clock.advance(60)
    async with place.opened() as scope:
        await _until_read(scope, store_id)
        await _cleared(scope)
        assert await _passages(scope, store_id) == 1
        assert await _found(scope, store_id, "report half") == ["a report"]


@on_every_database
async def test_a_file_that_ends_every_process_is_given_up(place: Place) -> None:
    async with place.opened(files_at_once=0) as scope:
        store_id = await _store(scope, "a report")
        for _ in range(5):
            now = place.clock.now()
            [head] = await scope.store.waiting_files.heads(now)
            assert await scope.store.waiting_files.claim(
                head.seq, token="dead", now=now, until=now + 60
            )
            place.clock.advance(60)
    async with place.opened() as scope:
        await _until_read(scope, store_id)
        [file] = await _files(scope, store_id)
        assert file.status == "failed"
        assert file.last_error is not None
        assert (file.last_error.code, file.last_error.message) == (
            "server_error",
            "It was tried 5 times.",
        )


@on_every_database
async def test_a_file_is_free_again_within_seconds_of_the_end_of_who_read_it(place: Place) -> None:
    gated = GatedEmbedder()
    async with place.opened(gated) as scope:
        await _store(scope, "a report")
        await gated.asked.get()
        held = "SELECT leased_until FROM vector_store_files WHERE leased_by IS NOT NULL"
        [(until,)] = await scope.store.db.fetch(held)
        assert until - place.clock.now() <= 10


# --------------------------------------------------------------------------- faults


@on_every_database
async def test_a_file_that_cannot_even_be_given_back_is_read_later(place: Place) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    async with place.opened(HashEmbedder(failures=1)) as scope:
        queue = scope.store.waiting_files
        release, asked = queue.release, asyncio.Event()

        async def unreachable(*_values: object, **_options: object) -> None:
            queue.release = release  # type: ignore[method-assign]  # so it is again
            asked.set()
            raise Unavailable("The database cannot be reached at the moment. Try again.")

        queue.release = unreachable  # type: ignore[method-assign]  # fails once
        store_id = await _store(scope, "a report")
        await asked.wait()
        place.clock.advance(60)
        await _until_read(scope, store_id)
        [file] = await _files(scope, store_id)
        assert file.status == "completed"
    gc.collect()
    assert complaints == []


@on_every_database
async def test_a_passing_fault_is_tried_again_later(place: Place) -> None:
    embedder = HashEmbedder(failures=2)
    async with place.opened(embedder) as scope:
        store_id = await _store(scope, "a report")
        await _until_read(scope, store_id, passing=place.clock)
        [file] = await _files(scope, store_id)
        assert (file.status, file.last_error) == ("completed", None)
        assert embedder.failures == 0


@on_every_database
async def test_a_fault_that_does_not_pass_fails_the_file_and_says_what_it_was(
    place: Place,
) -> None:
    async with place.opened(HashEmbedder(failures=1_000)) as scope:
        store_id = await _store(scope, "a report")
        await _until_read(scope, store_id, passing=place.clock)
        [file] = await _files(scope, store_id)
        assert file.status == "failed"
        assert file.last_error is not None
        assert file.last_error.code == "server_error"
        assert file.last_error.message == "The embedder of this test fails on purpose."
        assert await _passages(scope, store_id) == 0


@on_every_database
async def test_a_file_that_failed_is_read_when_it_is_put_in_again(place: Place) -> None:
    embedder = HashEmbedder(failures=5)
    async with place.opened(embedder) as scope:
        store_id = await _store(scope, "a report")
        await _until_read(scope, store_id, passing=place.clock)
        [file] = await _files(scope, store_id)
        assert file.status == "failed"
        async with scope.store.transaction() as tx:
            await vector_stores.add_files(scope, tx, store_id, [file.id])
        await _until_read(scope, store_id)
        [file] = await _files(scope, store_id)
        assert (file.status, file.last_error) == ("completed", None)


# ------------------------------------------------------------------------ no longer wanted


@on_every_database
async def test_a_cancelled_batch_leaves_nothing_of_what_was_being_read(place: Place) -> None:
    gated = GatedEmbedder()
    async with place.opened(gated) as scope:
        store_id = await _store(scope)
        file_ids = tuple([await _file(scope, f"{n}.txt", b"a report") for n in range(4)])
        batch = await file_batches.create_file_batch(
            scope, vector_store_id=store_id, body=CreateFileBatch(file_ids=file_ids)
        )
        await gated.asked.get()
        cancelled = await file_batches.cancel_file_batch(
            scope, vector_store_id=store_id, batch_id=batch.id
        )
        assert cancelled.read().status == "cancelled"
        gated.gate.set()
        other = await _store(scope, "another report")
        await _until_read(scope, other)
        counts = (await _read(scope, store_id)).file_counts
        assert (counts.cancelled, counts.completed) == (4, 0)
        await _cleared(scope)
        assert await _passages(scope, store_id) == 0
        assert await _found(scope, store_id, "report") == []


@on_every_database
async def test_a_file_deleted_while_it_is_read_leaves_nothing(place: Place) -> None:
    gated = GatedEmbedder()
    async with place.opened(gated) as scope:
        store_id = await _store(scope, "a report")
        await gated.asked.get()
        [file] = await _files(scope, store_id)
        await files.delete_file(scope, file_id=file.id)
        gated.gate.set()
        other = await _store(scope, "another report")
        await _until_read(scope, other)
        assert (await _read(scope, store_id)).file_counts == store_contents.EMPTY
        assert await _passages(scope, store_id) == 0


@on_every_database
async def test_a_deleted_file_and_a_deleted_store_are_really_gone(place: Place) -> None:
    async with place.opened() as scope:
        store_id = await _store(scope, "a report", "another report")
        await _until_read(scope, store_id)
        first, _ = await _files(scope, store_id)
        await vector_store_files.delete_vector_store_file(
            scope, vector_store_id=store_id, file_id=first.id
        )
        await _cleared(scope)
        assert await _passages(scope, store_id) == 1
        await vector_stores.delete_vector_store(scope, vector_store_id=store_id)
        await _cleared(scope)
        for table in ("passages", "passage_files", "passage_vectors"):
            assert await scope.store.db.fetch(f"SELECT COUNT(*) FROM {table}") == [(0,)]


@on_every_database
async def test_an_expired_store_is_emptied_and_cannot_be_brought_back(place: Place) -> None:
    async with place.opened() as scope:
        store_id = await _store(scope, "a report")
        await _until_read(scope, store_id)
        days = ModifyVectorStore(expires_after=ExpiresAfter(anchor="last_active_at", days=1))
        await vector_stores.modify_vector_store(scope, vector_store_id=store_id, body=days)
        assert await sweep.sweep_expired(scope.house) == 0
        place.clock.advance(_DAY_S)
        assert await sweep.sweep_expired(scope.house) == 1
        assert await sweep.sweep_expired(scope.house) == 0
        await _cleared(scope)
        assert await _passages(scope, store_id) == 0
        assert (await _read(scope, store_id)).status == "expired"
        for_ever = ModifyVectorStore(expires_after=None)
        with pytest.raises(InvalidRequest, match="has expired"):
            await vector_stores.modify_vector_store(scope, vector_store_id=store_id, body=for_ever)


# ------------------------------------------------------------------------- order and size


@on_every_database
async def test_many_files_of_one_store_do_not_keep_another_waiting(place: Place) -> None:
    gated = GatedEmbedder()
    async with place.opened(gated, files_at_once=1) as scope:
        await _store(scope, *[f"many {number}" for number in range(8)])
        await gated.asked.get()
        few = await _store(scope, "few")
        gated.gate.set()
        await _until_read(scope, few)
        assert "few" in await gated.asked.get()


@on_every_database
async def test_a_large_file_is_written_in_slices_and_shown_whole(place: Place) -> None:
    words = " ".join(f"word{number}" for number in range(9_000))
    chunking = AskedChunking(ChunkSizes(max_chunk_size_tokens=100, chunk_overlap_tokens=0))
    async with place.opened(HashEmbedder(window_tokens=50)) as scope:
        store_id = await _store(scope, words, chunking=chunking)
        await _until_read(scope, store_id)
        [file] = await _files(scope, store_id)
        passages = await _passages(scope, store_id)
        assert passages > 200
        assert file.usage_bytes > len(words)
        for wanted in ("word17", "word8999"):
            assert any(wanted in text for text in await _found(scope, store_id, wanted))


# ------------------------------------------------------------------------- another model


@on_every_database
async def test_another_model_gives_every_file_new_vectors_and_until_then_words_find_it(
    place: Place,
) -> None:
    async with place.opened(HashEmbedder(name="old/64")) as scope:
        store_id = await _store(scope, "a report", "a letter")
        await _until_read(scope, store_id)
    gated = GatedEmbedder("new/64")
    async with place.opened(gated) as scope:
        await gated.asked.get()
        assert await _found(scope, store_id, "report") == ["a report"]
        gated.gate.set()

        async def is_up_to_date() -> bool:
            return not await scope.store.passages.outdated("new/64", beyond=0, most=1)

        await _until(is_up_to_date)
        await _cleared(scope)
        assert await _passages(scope, store_id) == 2
        assert sorted(await _found(scope, store_id, "a")) == ["a letter", "a report"]
        assert (await _read(scope, store_id)).file_counts.completed == 2


@on_every_database
async def test_without_a_model_words_find_and_a_model_that_comes_later_is_used(
    place: Place,
) -> None:
    async with place.opened(WordsOnly()) as scope:
        store_id = await _store(scope, "a report")
        await _until_read(scope, store_id)
        assert await _found(scope, store_id, "report") == ["a report"]
        assert await scope.store.db.fetch("SELECT COUNT(*) FROM passage_vectors") == [(0,)]
    async with place.opened() as scope:

        async def has_vectors() -> bool:
            return await scope.store.db.fetch("SELECT COUNT(*) FROM passage_vectors") == [(1,)]

        await _until(has_vectors)
        assert await _found(scope, store_id, "report") == ["a report"]


@on_every_database
async def test_a_file_that_is_refused_when_it_is_read_again_keeps_no_other_waiting(
    place: Place,
) -> None:
    class Refusing(HashEmbedder):
        async def embed(
            self, texts: Sequence[str], *, kind: Literal["passage", "query"]
        ) -> Sequence["array[float]"]:
            if "a report" in texts[0]:
                raise ExtractionFailed("invalid_file", "It has too many chunks by now.")
            return await super().embed(texts, kind=kind)

    async with place.opened(HashEmbedder(name="old/64")) as scope:
        await _until_read(scope, await _store(scope, "a report", "a letter"))
    async with place.opened(Refusing(name="new/64")) as scope:

        async def has_one_left() -> bool:
            return len(await scope.store.passages.outdated("new/64", beyond=0, most=2)) == 1

        await _until(has_one_left)
