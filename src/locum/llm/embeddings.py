"""Meaning as numbers: what an embedder does, and the one that asks any `/v1/embeddings` server."""

import asyncio
import math
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from locum.llm.endpoint import Endpoint, Timeouts
from locum.llm.protocol import ModelError

# 32-bit floats (`array("f")`), of length one, so that a dot product is the cosine. It has the
# buffer protocol: `vector.tobytes()` is what a database stores, `numpy.frombuffer` reads it.
Vector: TypeAlias = "array[float]"

_BATCH_TEXTS = 64


class Embedder(Protocol):
    """A model that embeds. Vectors of two embedders compare only when `name` is the same."""

    @property
    def name(self) -> str:
        """The model and its size, as in `all-minilm-l6-v2-int8/384`: stored beside each vector."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> list[Vector]:
        """One vector for each text, in order. A failure is raised as `ModelError`."""
        ...

    async def close(self) -> None: ...


class OpenAIEmbeddings:
    """Vectors from a server. `shorten` asks it for fewer dimensions than the model has."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        dimensions: int,
        shorten: bool = False,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 — frozen, so it can be shared
        retries: int = 2,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._endpoint = Endpoint(
            base_url, key=key, headers=headers, timeouts=timeouts, retries=retries, sleep=sleep
        )
        self._model = model
        self._dimensions = dimensions
        self._shorten = shorten
        # At once. Fewer when the server has refused as many.
        self._most_texts = _BATCH_TEXTS

    @property
    def name(self) -> str:
        return f"{self._model}/{self._dimensions}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(
        self,
        texts: Sequence[str],
        *,
        kind: Literal["passage", "query"],  # noqa: ARG002 — this dialect knows no difference
    ) -> list[Vector]:
        vectors: list[Vector] = []
        while len(vectors) < len(texts):
            vectors += await self._in_parts(texts[len(vectors) :][: self._most_texts])
        return vectors

    async def close(self) -> None:
        await self._endpoint.close()

    async def _in_parts(self, texts: Sequence[str]) -> list[Vector]:
        """In halves, if all are refused: some take fewer, and each says so in other words."""
        try:
            return await self._batch(texts)
        except ModelError as error:
            if error.code != "invalid_prompt" or len(texts) == 1:
                raise
        half = (len(texts) + 1) // 2
        vectors = [*await self._in_parts(texts[:half]), *await self._in_parts(texts[half:])]
        self._most_texts = min(self._most_texts, half)
        return vectors

    async def _batch(self, texts: Sequence[str]) -> list[Vector]:
        # An empty text is refused by some servers; a space means as little.
        body: dict[str, Any] = {"model": self._model, "input": [text or " " for text in texts]}
        if self._shorten:
            body["dimensions"] = self._dimensions
        answer = await self._endpoint.call(
            "POST",
            "embeddings",
            _Embeddings,
            document=msgspec.json.encode(body),
            within_s=self._endpoint.timeouts.first_token_s,
        )
        by_index = {
            place if one.index is None else one.index: one for place, one in enumerate(answer.data)
        }
        if len(answer.data) != len(texts) or sorted(by_index) != list(range(len(texts))):
            message = f"{self._model} gave {len(answer.data)} vectors for {len(texts)} texts."
            raise ModelError(message)
        return [self._vector(by_index[place].embedding) for place in range(len(texts))]

    def _vector(self, found: list[float]) -> Vector:
        if len(found) != self._dimensions:
            raise ModelError(
                f"{self._model} gives vectors of {len(found)} dimensions, "
                f"where {self._dimensions} were configured."
            )
        length = math.hypot(*found) or 1.0
        return array("f", [value / length for value in found])


class _Embedding(Struct):
    embedding: list[float]
    # Gemini leaves out a zero.
    index: int | None = None


class _Embeddings(Struct):
    data: list[_Embedding]
