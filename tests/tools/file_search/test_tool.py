"""File search as the engine drives it, one call at a time."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.kit.clocks import SteppedClock
from tests.kit.databases import fresh_database
from tests.kit.embedders import HashEmbedder
from tests.store import objects

from locum.llm import tokens
from locum.store.passages import StoreKey, TextRow, VectorBlock, WordBlock
from locum.store.tables import Store
from locum.store.vector_store_files import Entry
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.search import Searcher
from locum.tools.file_search.stored_index import StoredIndex
from locum.tools.file_search.terms import joined
from locum.tools.file_search.tool import FileSearch
from locum.tools.file_search.words import pack
from locum.tools.tool import Call, Setting, ToolFailed
from locum.wire.steps import FileSearchCall
from locum.wire.tools import FileSearchOptions, FileSearchTool, RankingOptions
from locum.wire.vector_stores import (
    ChunkSizes,
    FileCounts,
    StaticChunking,
    VectorStore,
    VectorStoreFile,
)

KEY = StoreKey("p", "vs_1")
_TEST_S = 30
_SIZES = StaticChunking(ChunkSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400))


class Rig:
    """A tool over a database of its own."""

    def __init__(self, store: Store, *, ready_s: float = 5.0) -> None:
        self.store = store
        self.clock = SteppedClock()
        self.embedder = HashEmbedder()
        index = StoredIndex(store.passages, model="hash/64", dimensions=64)
        self.tool = FileSearch(
            Searcher(index, self.embedder),
            store=store,
            clock=self.clock,
            count_tokens=tokens.count,
            ready_s=ready_s,
        )

    async def add(self, *texts: str, filename: str = "a.txt") -> None:
        """A store with one file, whose passages are the texts."""
        async with self.store.transaction() as tx:
            await self.store.files.insert(
                tx,
                "p",
                "file-1",
                msgspec.structs.replace(objects.file("file-1"), filename=filename),
                purpose="assistants",
                blob="b",
            )
            held = VectorStoreFile(
                id="file-1",
                usage_bytes=0,
                created_at=1,
                vector_store_id="vs_1",
                status="completed",
                last_error=None,
                chunking_strategy=_SIZES,
                attributes={"year": 2024},
            )
            await self.store.vector_store_files.add(tx, "p", "vs_1", [Entry(held, None)])
            number = await self.store.passages.begin(tx, KEY, "file-1", pages=texts)
            rows = [TextRow(text, joined(text)) for text in texts]
            await self.store.passages.write(tx, number, 0, rows)
            words = WordBlock(0, pack([row.terms for row in rows]))
            await self.store.passages.write_words(tx, number, words)
            vectors = await self.embedder.embed(texts, kind="passage")
            for place, vector in enumerate(vectors):
                spans = array("i", [place, place]).tobytes()
                block = VectorBlock(spans, vector.tobytes())
                await self.store.passages.write_block(tx, number, place, block)
            await self.store.passages.go_live(
                tx, KEY, "file-1", number, passages=len(texts), model="hash/64"
            )

    async def keep_store(self, *, in_progress: int = 0, expires_at: int | None = None) -> None:
        counts = FileCounts(
            in_progress=in_progress, completed=0, failed=0, cancelled=0, total=in_progress
        )
        store = VectorStore(
            id="vs_1",
            created_at=1,
            name=None,
            description=None,
            usage_bytes=0,
            file_counts=counts,
            status="completed",
            expires_after=None,
            expires_at=expires_at,
            last_active_at=1,
            metadata={},
        )
        table = self.store.vector_stores
        async with self.store.transaction() as tx:
            if await table.find("p", "vs_1", reader=tx) is None:
                await table.insert(tx, "p", "vs_1", store)
            else:
                await table.replace(tx, "p", "vs_1", store)

    async def call(self, arguments: str, setting: Setting, *, context_item: int = 4) -> Call:
        call: Call = await self.tool.open(
            setting, call_id="call_1", name="file_search", context_item=context_item
        )
        for letter in arguments:
            assert call.write(letter) is None
        assert [delta async for delta in call.run()] == []
        return call


def setting(*, model: str = "gpt-4o", enabled: bool = True, **options: Any) -> Setting:
    run = msgspec.structs.replace(
        objects.run("run_1"),
        model=model,
        tools=(FileSearchTool(file_search=FileSearchOptions(**options)),) if enabled else (),
    )
    return Setting(project_id="p", run=run, vector_store_ids=("vs_1",), thread_store_ids=("vs_1",))


@asynccontextmanager
async def _rig(**options: Any) -> AsyncIterator[Rig]:
    async with asyncio.timeout(_TEST_S), fresh_database("sqlite") as database:
        yield Rig(Store(database), **options)


def _found(call: Call) -> Sequence[Any]:
    done = call.done()
    assert isinstance(done, FileSearchCall)
    return done.file_search.results


def test_a_search_shows_results_and_tells_the_model_passages_with_their_markers() -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add("Ann likes figs.", "Bob likes plums.")
            call = await rig.call('{"queries": ["likes plums"]}', setting())
            assert call.begin() == {
                "ranking_options": {"ranker": "default_2024_08_21", "score_threshold": 0.0},
                "results": [],
            }
            first, second = _found(call)
            assert (first.file_name, first.content[0].text) == ("a.txt", "Bob likes plums.")
            assert first.attributes == {"year": 2024}
            assert first.score > second.score
            memory = call.memory()
            assert memory.citations == {"【4:0†a.txt】": "file-1", "【4:1†a.txt】": "file-1"}
            assert (
                "【4:0†a.txt】\nBob likes plums.\n\n【4:1†a.txt】\nAnn likes figs." in memory.result
            )
            assert (memory.name, memory.arguments) == (
                "file_search",
                '{"queries": ["likes plums"]}',
            )

    asyncio.run(once())


@pytest.mark.parametrize(
    "arguments",
    [
        '{"queries": ["plums"]}',
        '{"queries": "plums"}',
        '{"query": "plums"}',
        '{"q": "plums"}',
        '["plums"]',
        '"plums"',
        "plums",
        '{"queries": ["", "plums", "plums", 7]}',
    ],
)
def test_queries_are_understood_however_a_model_writes_them(arguments: str) -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add("Bob likes plums.")
            assert len(_found(await rig.call(arguments, setting()))) == 1

    asyncio.run(once())


def test_a_query_nested_without_end_is_looked_for_as_it_is_written() -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add("Bob likes plums.")
            deep = '[["plums", ' + "[" * 100_000 + "]" * 100_000 + "]]"
            assert len(_found(await rig.call(deep, setting()))) == 1

    asyncio.run(once())


@pytest.mark.parametrize("arguments", ["", "{}", '{"queries": []}', "7", "null"])
def test_a_call_without_a_query_finds_nothing(arguments: str) -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add("Bob likes plums.")
            call = await rig.call(arguments, setting())
            assert _found(call) == ()
            assert "found nothing" in call.memory().result

    asyncio.run(once())


@pytest.mark.parametrize(
    ("model", "options", "count"),
    [
        ("gpt-4o", {}, 20),
        ("gpt-3.5-turbo", {}, 5),
        ("gpt-4o", {"max_num_results": 7}, 7),
        ("gpt-4o", {"ranking_options": RankingOptions(score_threshold=1.0)}, 0),
    ],
)
def test_how_much_is_found_is_the_tools_to_say_else_the_models(
    model: str, options: dict[str, Any], count: int
) -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add(*[f"plums and number {n}" for n in range(30)])
            call = await rig.call('{"queries": ["plums"]}', setting(model=model, **options))
            assert len(_found(call)) == count

    asyncio.run(once())


def test_no_more_is_found_than_the_model_can_read() -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            await rig.add(*["plums " * 2_000 for _ in range(20)])
            large = await rig.call("plums", setting())
            assert sum(tokens.count(one.content[0].text) for one in _found(large)) <= 16_000
            small = await rig.call("plums", setting(model="gpt-3.5-turbo"))
            assert len(_found(small)) == 1

    asyncio.run(once())


def test_a_missing_store_gives_nothing_and_an_expired_one_fails_the_call() -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.add("Bob likes plums.")
            assert _found(await rig.call("plums", setting())) == ()
            await rig.keep_store(expires_at=rig.clock.now())
            with pytest.raises(ToolFailed, match="'vs_1' has expired"):
                await rig.call("plums", setting())

    asyncio.run(once())


def test_an_embedder_that_fails_is_a_failure_of_the_tool() -> None:
    async def once() -> None:
        async with _rig() as rig:
            await rig.keep_store()
            rig.embedder.failures = 1
            with pytest.raises(ToolFailed, match="could not be searched") as failure:
                await rig.call("plums", setting())
            assert isinstance(failure.value.__cause__, EmbeddingFailed)

    asyncio.run(once())


def test_the_function_is_offered_only_to_runs_that_have_the_tool() -> None:
    async def once() -> None:
        async with _rig() as rig:
            [offered] = await rig.tool.functions(setting())
            assert offered.name == "file_search"
            assert list(offered.parameters["properties"]) == ["queries"]
            assert await rig.tool.functions(setting(enabled=False)) == ()

    asyncio.run(once())


def test_a_run_waits_for_files_of_its_thread_and_goes_on_when_they_are_read() -> None:
    async def once() -> None:
        async with _rig(ready_s=_TEST_S) as rig:
            await rig.keep_store(in_progress=1)
            offering = asyncio.create_task(rig.tool.functions(setting()))
            done, _ = await asyncio.wait({offering}, timeout=0.3)
            assert not done
            await rig.keep_store()
            assert len(await offering) == 1

    asyncio.run(once())


def test_a_run_does_not_wait_for_ever_and_only_once() -> None:
    async def once() -> None:
        async with _rig(ready_s=0.2) as rig:
            await rig.keep_store(in_progress=1)
            assert len(await rig.tool.functions(setting())) == 1
            again = asyncio.create_task(rig.tool.functions(setting()))
            await asyncio.sleep(0)
            assert again.done()
            await again

    asyncio.run(once())


def test_a_wait_can_be_broken_off() -> None:
    async def once() -> None:
        async with _rig(ready_s=_TEST_S) as rig:
            await rig.keep_store(in_progress=1)
            offering = asyncio.create_task(rig.tool.functions(setting()))
            await asyncio.sleep(0)
            offering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await offering

    asyncio.run(once())
