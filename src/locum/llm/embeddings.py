"""Meaning as numbers: the protocol of whatever turns passages and queries into vectors."""

from array import array
from collections.abc import Sequence
from typing import Literal, Protocol

# 32-bit floats (`array("f")`), of length one, so that a dot product is the cosine. It has the
# buffer protocol: `vector.tobytes()` is what a database stores, `numpy.frombuffer` reads it.
Vector = array[float]


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
