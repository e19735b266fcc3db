"""Passages in both databases: written in slices, shown whole, dropped at once, cleared slowly."""

from array import array

import pytest
from tests.kit.databases import on_every_database
from tests.store import objects

from locum.store.passages import PLACE_BITS, LiveFile, StoreKey, TextRow, VectorBlock, WordBlock
from locum.store.tables import Store
from locum.store.vector_store_files import Entry
from locum.wire.vector_stores import ChunkSizes, FileStatus, StaticChunking, VectorStoreFile

KEY = StoreKey("p", "vs_1")
OTHER = StoreKey("q", "vs_1")


async def _index(
    store: Store, file_id: str, *texts: str, key: StoreKey = KEY, model: str = "m"
) -> int:
    table = store.passages
    async with store.transaction() as tx:
        number = await table.begin(tx, key, file_id, pages=texts)
        await table.write(tx, number, 0, [TextRow(text, text.lower()) for text in texts])
        for place, text in enumerate(texts):
            await table.write_words(tx, number, WordBlock(place, text.encode()))
        for part, _ in enumerate(texts):
            block = VectorBlock(array("i", [part, part]).tobytes(), array("f", [1, 0]).tobytes())
            await table.write_block(tx, number, part, block)
        await table.go_live(tx, key, file_id, number, passages=len(texts), model=model)
    return number


async def _shown(store: Store, *, key: StoreKey = KEY) -> list[str]:
    """The words of all passages that can be found."""
    numbers = [file.number for file in await store.passages.live_files(key)]
    blocks = await store.passages.words(numbers)
    return [block.words.decode() for number in numbers for block in blocks[number]]


@on_every_database
async def test_a_search_sees_its_own_store_in_its_own_project_only(store: Store) -> None:
    await _index(store, "file-1", "ours")
    theirs = await _index(store, "file-1", "theirs", key=OTHER)
    await _index(store, "file-1", "another", key=StoreKey("p", "vs_2"))
    assert await _shown(store) == ["ours"]
    assert await _shown(store, key=OTHER) == ["theirs"]
    passage_id = theirs << PLACE_BITS
    assert [row.text for row in await store.passages.passages(OTHER, [passage_id])] == ["theirs"]
    assert await store.passages.passages(KEY, [passage_id]) == []


@on_every_database
async def test_terms_come_in_the_order_of_their_passages(store: Store) -> None:
    await _index(store, "file-1", "before")
    number = await _index(store, "file-2", "One", "Two", "面包")
    await _index(store, "file-3", "after")
    assert await store.passages.terms(number) == ["one", "two", "面包"]


@on_every_database
async def test_no_passage_takes_the_place_of_another_files(store: Store) -> None:
    async with store.transaction() as tx:
        number = await store.passages.begin(tx, KEY, "file-1", pages=["red"])
        last = (1 << PLACE_BITS) - 1
        await store.passages.write(tx, number, last, [TextRow("red", "red")])
        with pytest.raises(AssertionError, match="next file"):
            await store.passages.write(tx, number, last, [TextRow("red", "red")] * 2)
        with pytest.raises(AssertionError, match="next file"):
            await store.passages.write_words(tx, number, WordBlock(last + 1, b"red"))


@on_every_database
async def test_what_was_left_in_a_files_places_gives_way_and_is_cleared_with_it(
    store: Store,
) -> None:
    """As earlier versions left it, which wrote what was too much for one file into the next."""
    first = await _index(store, "file-1", "before")
    async with store.transaction() as tx:
        left = [TextRow("left", "left")] * 2
        await store.passages.write(tx, first + 1, 0, left)
    number = await _index(store, "file-2", "after")
    assert number == first + 1
    [found] = await store.passages.passages(KEY, [number << PLACE_BITS])
    assert (found.text, found.terms) == ("after", "after")
    async with store.transaction() as tx:
        await store.passages.drop(tx, KEY)
    while await store.passages.clear_some(most=1):
        pass
    assert await store.db.fetch("SELECT COUNT(*) FROM passages") == [(0,)]


@on_every_database
async def test_a_file_indexed_again_is_found_once(store: Store) -> None:
    first = await _index(store, "file-1", "old red", "older red")
    second = await _index(store, "file-1", "new red")
    assert await _shown(store) == ["new red"]
    assert second > first
    assert await store.passages.count(KEY) == 3
    while await store.passages.clear_some(most=1):
        pass
    assert await store.passages.count(KEY) == 1
    assert await _shown(store) == ["new red"]


@on_every_database
async def test_what_is_being_filled_is_not_found(store: Store) -> None:
    async with store.transaction() as tx:
        number = await store.passages.begin(tx, KEY, "file-1", pages=["red"])
        await store.passages.write(tx, number, 0, [TextRow("red", "red")])
    assert await _shown(store) == []
    assert await store.passages.passages(KEY, [number << PLACE_BITS]) == []
    assert await store.passages.pages(KEY, "file-1") == ()


@on_every_database
async def test_a_dropped_store_is_out_of_searches_at_once_and_gone_after_clearing(
    store: Store,
) -> None:
    await _index(store, "file-1", "red", "blue")
    await _index(store, "file-2", "red")
    await _index(store, "file-1", "red", key=OTHER)
    async with store.transaction() as tx:
        await store.remove_store_contents(tx, KEY.project_id, KEY.vector_store_id)
    assert await _shown(store) == []
    while await store.passages.clear_some(most=1):
        pass
    assert await store.passages.count(KEY) == 0
    for table in ("passage_files", "passage_vectors", "passage_words", "passages"):
        assert await store.db.fetch(f"SELECT COUNT(*) FROM {table}") == [(1,)], table
    assert await _shown(store, key=OTHER) == ["red"]


@on_every_database
async def test_the_version_tells_every_change_of_what_a_model_can_search(store: Store) -> None:
    seen = [await store.passages.version(KEY, model="m")]
    await _index(store, "file-1", "a")
    seen.append(await store.passages.version(KEY, model="m"))
    await _index(store, "file-2", "b", model="another")
    seen.append(await store.passages.version(KEY, model="m"))
    await _index(store, "file-2", "b")
    seen.append(await store.passages.version(KEY, model="m"))
    async with store.transaction() as tx:
        await store.passages.drop(tx, KEY, file_id="file-1")
    seen.append(await store.passages.version(KEY, model="m"))
    assert len(set(seen)) == len(seen)


@on_every_database
async def test_each_file_tells_whose_vectors_it_has_and_gives_them_in_order(store: Store) -> None:
    first = await _index(store, "file-1", "a", "b")
    second = await _index(store, "file-2", "c", model="another")
    files = await store.passages.live_files(KEY)
    assert files == [LiveFile(first, "file-1", 2, "m"), LiveFile(second, "file-2", 1, "another")]
    vectors = await store.passages.vectors([first])
    assert [array("i", block.spans).tolist() for block in vectors[first]] == [[0, 0], [1, 1]]
    assert array("f", vectors[first][0].vectors).tolist() == [1.0, 0.0]
    assert await store.passages.vectors([]) == {}
    [outdated] = await store.passages.outdated("m", beyond=0, most=10)
    assert (outdated.key, outdated.file_id) == (KEY, "file-2")
    assert await store.passages.outdated("m", beyond=outdated.number, most=10) == []


@on_every_database
async def test_the_text_of_a_file_is_kept_by_page(store: Store) -> None:
    await _index(store, "file-1", "page one", "page two")
    assert await store.passages.pages(KEY, "file-1") == ("page one", "page two")
    assert await store.passages.pages(OTHER, "file-1") == ()


@on_every_database
async def test_files_are_entered_by_what_they_are_and_only_when_read(store: Store) -> None:
    async with store.transaction() as tx:
        states: dict[str, FileStatus] = {"file-1": "completed", "file-2": "in_progress"}
        for file_id, status in states.items():
            await store.files.insert(
                tx, "p", file_id, objects.file(file_id), purpose="assistants", blob=file_id
            )
            entry = Entry(_held(file_id, status), None)
            await store.vector_store_files.add(tx, "p", "vs_1", [entry])
    for only in (None, ["file-1", "file-2", "file-3"]):
        [(held, file)] = await store.passages.entries(KEY, only=only)
        assert (held.attributes, file.filename) == ({"year": 2024}, "a.txt")
    assert await store.passages.entries(KEY, only=[]) == []
    assert await store.passages.entries(OTHER, only=None) == []


def _held(file_id: str, status: FileStatus) -> VectorStoreFile:
    return VectorStoreFile(
        id=file_id,
        usage_bytes=0,
        created_at=1,
        vector_store_id="vs_1",
        status=status,
        last_error=None,
        chunking_strategy=StaticChunking(
            ChunkSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400)
        ),
        attributes={"year": 2024},
    )
