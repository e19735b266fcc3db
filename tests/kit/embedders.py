"""An embedder that needs no model: texts that share words have like vectors."""

import hashlib
from array import array
from collections.abc import Sequence
from typing import Literal

from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.terms import terms

_DIMENSIONS = 64


class HashEmbedder:
    """Every word is a direction. It fails as often as it is told to, and counts what it made."""

    dimensions = _DIMENSIONS

    def __init__(
        self, *, name: str = "hash/64", failures: int = 0, window_tokens: int | None = None
    ) -> None:
        self.name = name
        self.window_tokens = window_tokens
        self.failures = failures
        self.embedded = 0

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        if self.failures:
            self.failures -= 1
            raise EmbeddingFailed("The embedder of this test fails on purpose.")
        self.embedded += len(texts) if kind == "passage" else 0
        return [_vector(text) for text in texts]

    async def close(self) -> None:
        """Nothing is held."""


def _vector(text: str) -> "array[float]":
    counts = [0.0] * _DIMENSIONS
    for term in terms(text):
        counts[int.from_bytes(hashlib.blake2b(term.encode(), digest_size=2).digest()) % 64] += 1.0
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return array("f", [count / length for count in counts])
