"""How well texts answer a query, from any server with the usual `/rerank`."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from locum.llm.endpoint import Endpoint, Timeouts
from locum.llm.protocol import ModelError

# A search has a second-best order at hand, so it waits for none of the times a model may take.
_CONNECT_S = 3.0
_REQUESTS_AT_ONCE = 8


class HttpReranker:
    """Asks once: whoever ranks has no use for an answer that comes late."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        timeouts = Timeouts(connect_s=min(_CONNECT_S, timeout_s), first_token_s=timeout_s)
        self._endpoint = Endpoint(base_url, key=key, timeouts=timeouts, retries=0)
        self._model = model
        self._slots = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One number for each text, in order, as the server gave it: higher answers better."""
        body: dict[str, Any] = {
            "query": _sendable(query),
            "documents": [_sendable(text) for text in texts],
            "top_n": len(texts),
        }
        if self._model is not None:
            body["model"] = self._model
        async with self._slots:
            answer = await self._endpoint.call(
                "POST",
                "rerank",
                _Answer,
                document=msgspec.json.encode(body),
                within_s=self._endpoint.timeouts.first_token_s,
            )
        if sorted(one.index for one in answer.results) != list(range(len(texts))):
            message = f"The reranker gave {len(answer.results)} scores for {len(texts)} texts."
            raise ModelError(message)
        by_index = sorted(answer.results, key=lambda one: one.index)
        scores = [one.relevance_score for one in by_index]
        if not all(map(math.isfinite, scores)):
            raise ModelError("The reranker gave a score that is no number.")
        return scores

    async def close(self) -> None:
        await self._endpoint.close()


class _Result(Struct):
    index: int
    relevance_score: float


class _Answer(Struct):
    results: list[_Result]


def _sendable(text: str) -> str:
    """Without the lone surrogates that JSON cannot carry; some servers refuse an empty text."""
    return text.encode(errors="replace").decode() or " "
