"""What file search asks of an embedder, and what stands in where there is none."""

from array import array
from collections.abc import Sequence
from typing import Literal, Protocol


class EmbeddingFailed(Exception):
    """No vectors were made. The message says why."""


class SearchEmbedder(Protocol):
    @property
    def name(self) -> str:
        """The model and its size. Vectors of two names are never compared."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def window_tokens(self) -> int | None:
        """How much it reads well at a time, if that is less than a chunk."""
        ...

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        """One vector of length one for each text; a failure is raised as `EmbeddingFailed`."""
        ...

    async def close(self) -> None: ...


class WordsOnly:
    """No embedder at all: nothing has a meaning, and passages are found by their words."""

    name = "none"
    dimensions = 1
    window_tokens: int | None = None

    async def embed(
        self,
        texts: Sequence[str],
        *,
        kind: Literal["passage", "query"],  # noqa: ARG002  # there is no difference
    ) -> Sequence["array[float]"]:
        return [array("f", [0.0]) for _ in texts]

    async def close(self) -> None:
        """Nothing is held."""
