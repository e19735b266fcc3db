"""Searching a store without a run: what the service adds to the searcher."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from tests.kit.clocks import SteppedClock
from tests.kit.embedders import HashEmbedder

from locum.app import Parts, open_house
from locum.errors import InvalidParameter, NotFound, Unavailable
from locum.llm.scripted import Scripted
from locum.service import search, vector_stores
from locum.service.scope import Scope
from locum.settings import Settings
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.wire.vector_stores import CreateVectorStore, ExpiresAfter, Search


class _DeadEmbedder(HashEmbedder):
    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        raise EmbeddingFailed("The model's server is away.")


@asynccontextmanager
async def _scope(
    path: Path, clock: SteppedClock, embedder: HashEmbedder | None = None
) -> AsyncIterator[Scope]:
    parts = Parts(clock=clock, backend=Scripted(), embedder=embedder or HashEmbedder())
    async with open_house(Settings(data=path, durable=False, files_at_once=0), parts) as house:
        yield Scope(house, "proj_default")


async def _store(scope: Scope) -> str:
    body = CreateVectorStore(expires_after=ExpiresAfter(anchor="last_active_at", days=1))
    return (await vector_stores.create_vector_store(scope, body=body)).id


def test_a_search_prolongs_the_life_of_its_store(tmp_path: Path) -> None:
    async def once() -> None:
        clock = SteppedClock()
        async with _scope(tmp_path, clock) as scope:
            store_id = await _store(scope)
            clock.advance(100)
            body = Search(query="anything")
            await search.search_vector_store(scope, vector_store_id=store_id, body=body)
            store = await vector_stores.get_vector_store(scope, vector_store_id=store_id)
            assert store.read().last_active_at == clock.now()
            assert store.read().expires_at == clock.now() + 86_400

    asyncio.run(once())


def test_a_store_of_another_project_is_not_there(tmp_path: Path) -> None:
    async def once() -> None:
        async with _scope(tmp_path, SteppedClock()) as scope:
            store_id = await _store(scope)
            stranger = Scope(scope.house, "proj_other")
            with pytest.raises(NotFound):
                await search.search_vector_store(
                    stranger, vector_store_id=store_id, body=Search(query="anything")
                )

    asyncio.run(once())


def test_what_is_asked_is_checked_before_the_store_is_looked_for(tmp_path: Path) -> None:
    async def once() -> None:
        async with _scope(tmp_path, SteppedClock()) as scope:
            for body in (
                Search(query="x", filters={"type": "like"}),
                Search(query=tuple("x" for _ in range(33))),
            ):
                with pytest.raises(InvalidParameter):
                    await search.search_vector_store(scope, vector_store_id="vs_no", body=body)

    asyncio.run(once())


def test_an_embedder_that_fails_is_a_passing_fault_of_ours(tmp_path: Path) -> None:
    async def once() -> None:
        async with _scope(tmp_path, SteppedClock(), _DeadEmbedder()) as scope:
            store_id = await _store(scope)
            with pytest.raises(Unavailable, match="server is away") as failure:
                await search.search_vector_store(
                    scope, vector_store_id=store_id, body=Search(query="anything")
                )
            assert failure.value.status == 503

    asyncio.run(once())


def test_an_empty_query_finds_nothing(tmp_path: Path) -> None:
    async def once() -> None:
        async with _scope(tmp_path, SteppedClock()) as scope:
            store_id = await _store(scope)
            page = await search.search_vector_store(
                scope, vector_store_id=store_id, body=Search(query=" ")
            )
            assert (page.search_query, page.data) == ((" ",), ())

    asyncio.run(once())
