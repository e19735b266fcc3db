"""What a server with `/rerank` says to `FakeModel`'s requests: true scores, or lies."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from tests.kit.fake_model import Reply

from locum.tools.file_search.reranking import RerankingFailed


def ranks(score: Callable[[str, str], float]) -> Reply:
    """Score each document by the query and its text, best first, as the real ones do."""

    async def reply(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        results = [
            {"index": place, "relevance_score": score(body["query"], text)}
            for place, text in enumerate(body["documents"])
        ]
        results.sort(key=lambda one: -one["relevance_score"])
        return web.json_response({"model": body.get("model"), "results": results})

    return reply


def answers(*results: tuple[int, Any]) -> Reply:
    """Say these pairs of index and score, whatever was asked."""

    async def reply(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
        said = [{"index": index, "relevance_score": score} for index, score in results]
        return web.json_response({"results": said})

    return reply


class FakeReranker:
    """A reranker without a server: scores by the text alone, fails or hangs when told to."""

    def __init__(
        self, score: Callable[[str], float], *, fails_at: str = "", hangs: bool = False
    ) -> None:
        self._score = score
        self._fails_at = fails_at
        self._hangs = hangs
        self.asked: list[tuple[str, int]] = []

    async def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.asked.append((query, len(texts)))
        if self._hangs:
            await asyncio.Event().wait()
        if query == self._fails_at:
            raise RerankingFailed("status 503")
        return [self._score(text) for text in texts]

    async def close(self) -> None:
        """Nothing is held."""
