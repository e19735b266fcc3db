"""A store searched with a reranker's server beside it, as the settings name it."""

import asyncio
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.kit.embedders import HashEmbedder
from tests.kit.fake_model import FakeModel, Hanging, Reply, refuses
from tests.kit.fake_reranker import answers, ranks

from locum import doctor, logs
from locum.app import Parts, open_house
from locum.llm.scripted import Scripted
from locum.service import files, search, vector_stores
from locum.service.blobs import arriving
from locum.service.scope import Scope
from locum.settings import Settings, SettingsError
from locum.wire.files import CreateFile
from locum.wire.vector_stores import CreateVectorStore, Search, SearchRanking, SearchResult

pytestmark = pytest.mark.slow

_TEST_S = 30
_LOOK_S = 0.01
_KEY = "sk-of-the-reranker"
_QUERY = "ferry marmalade"
_TEXTS = ("ferry marmalade quince", "ferry rhubarb")


def _prefers_rhubarb(_: str, text: str) -> float:
    return 3.0 if "rhubarb" in text else -3.0


def _settings(path: Path, url: str) -> Settings:
    return Settings(data=path, durable=False, rerank_url=url, rerank_key=_KEY, rerank_timeout_s=0.5)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The server's log; whoever had it before gets it back."""
    logger = logging.getLogger("locum")
    before = (list(logger.handlers), logger.level, logger.propagate, logger.disabled)
    logger.disabled = False
    stream = io.StringIO()
    logs.configure(as_json=True, stream=stream)
    yield stream
    logger.handlers[:], logger.level, logger.propagate, logger.disabled = before


async def _filled(scope: Scope) -> str:
    file_ids = []
    for text in _TEXTS:
        async with arriving(scope, limit=1 << 20) as blob:
            await blob.write(text.encode())
            note = CreateFile(filename="note.txt", purpose="assistants")
            file_ids.append((await files.create_file(scope, body=note, blob=blob)).id)
    body = CreateVectorStore(file_ids=tuple(file_ids))
    store_id = (await vector_stores.create_vector_store(scope, body=body)).id
    while True:
        store = await vector_stores.get_vector_store(scope, vector_store_id=store_id)
        if store.read().file_counts.completed == len(_TEXTS):
            return store_id
        await asyncio.sleep(_LOOK_S)


def _searched(
    path: Path, reply: Reply, ranker: Literal["none", "auto"] = "auto"
) -> tuple[tuple[SearchResult, ...], FakeModel]:
    server = FakeModel(reply)

    async def scene() -> tuple[SearchResult, ...]:
        async with asyncio.timeout(_TEST_S), server:
            parts = Parts(backend=Scripted(), embedder=HashEmbedder())
            async with open_house(_settings(path, server.url), parts) as house:
                scope = Scope(house, "proj_default")
                body = Search(query=_QUERY, ranking_options=SearchRanking(ranker=ranker))
                page = await search.search_vector_store(
                    scope, vector_store_id=await _filled(scope), body=body
                )
                return page.data

    return asyncio.run(scene()), server


def _texts(found: tuple[SearchResult, ...]) -> tuple[str, ...]:
    return tuple(one.content[0].text for one in found)


def test_the_server_of_the_settings_decides_the_order(tmp_path: Path) -> None:
    found, server = _searched(tmp_path, ranks(_prefers_rhubarb))
    assert _texts(found) == _TEXTS[::-1]
    assert [round(one.score, 3) for one in found] == [0.953, 0.047]
    assert server.received[0].headers["Authorization"] == f"Bearer {_KEY}"


def test_the_ranker_none_leaves_the_server_alone(tmp_path: Path) -> None:
    found, server = _searched(tmp_path, ranks(_prefers_rhubarb), "none")
    assert _texts(found) == _TEXTS
    assert server.received == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refuses(500, {"error": {"message": f"{_KEY} cannot rank: {_TEXTS[0]}"}}), "status 500"),
        (answers((0, 0.9), (2, 0.8)), "no usable answer"),
        (Hanging(sends_headers=False), "too slow"),
    ],
)
def test_a_failing_server_costs_its_opinion_and_a_warning_that_quotes_nobody(
    reply: Reply, reason: str, tmp_path: Path, log: io.StringIO
) -> None:
    found, _ = _searched(tmp_path, reply)
    assert _texts(found) == _TEXTS
    (line,) = [line for line in log.getvalue().splitlines() if "search.not_reranked" in line]
    assert f'"reason":"{reason}"' in line
    for word in (_KEY, "marmalade", "rhubarb"):
        assert word not in log.getvalue()


def test_an_address_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    async def scene() -> None:
        parts = Parts(backend=Scripted(), embedder=HashEmbedder())
        with pytest.raises(SettingsError, match="rerank_url"):
            async with open_house(_settings(tmp_path, "localhost"), parts):
                pass

    asyncio.run(scene())


def test_the_doctor_asks_the_reranker(tmp_path: Path) -> None:
    async def scene(reply: Reply) -> doctor.Finding:
        async with asyncio.timeout(_TEST_S), FakeModel(reply) as server:
            return await doctor.reranker(_settings(tmp_path, server.url))

    assert asyncio.run(scene(ranks(_prefers_rhubarb))).verdict == "ok"
    sick = asyncio.run(scene(refuses(503, {})))
    assert (sick.verdict, sick.said) == ("fail", "Searches are not reranked: status 503.")
