"""The seam between file search and the database that keeps passages.

Every implementation stores what `add` is given in one transaction, and gives it back in these
shapes; ranking and fusion happen above, the same for all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from locum.tools.file_search.filters import Attributes

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]


class NewPassage(Struct, frozen=True):
    """A chunk to be indexed; `terms` are what `terms.joined` makes of its text."""

    text: str
    terms: str


class NewWindow(Struct, frozen=True):
    """A vector, as little-endian 32-bit floats, and which passages of its file it speaks for."""

    vector: bytes
    first_passage: int
    last_passage: int


class FileEntry(Struct, frozen=True):
    filename: str
    attributes: Attributes


class Passage(Struct, frozen=True):
    passage_id: int
    file_id: str
    text: str
    terms: str


class Matrix(Struct, frozen=True):
    """Every vector of one store. The windows of passage `n` are `rows[starts[n]:starts[n + 1]]`.

    Passages are in ascending order of id, and `file_numbers` points into `file_ids`.
    """

    version: int
    vectors: Vectors
    rows: Numbers
    starts: Numbers
    passage_ids: Numbers
    file_numbers: Numbers
    file_ids: Sequence[str]

    @property
    def size_bytes(self) -> int:
        parts = (self.vectors, self.rows, self.starts, self.passage_ids, self.file_numbers)
        return sum(part.nbytes for part in parts)


class PassageIndex(Protocol):
    async def add(
        self,
        store_id: str,
        file_id: str,
        *,
        passages: Sequence[NewPassage],
        windows: Sequence[NewWindow],
    ) -> None:
        """Index a file, in place of what was indexed of it before."""
        ...

    async def remove(self, store_id: str, file_id: str) -> None: ...

    async def files(self, store_id: str) -> Mapping[str, FileEntry]:
        """The files of the store that may be searched, by id."""
        ...

    async def version(self, store_id: str) -> int:
        """Another number after every `add` and `remove`; it tells a cached matrix is old."""
        ...

    async def matrix(self, store_id: str) -> Matrix: ...

    async def keyword(
        self, store_id: str, terms: Sequence[str], *, within: Collection[str] | None, most: int
    ) -> list[int]:
        """Passages that hold any of the terms, best first; `within` names the files allowed."""
        ...

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        """The passages of these ids; those that have gone meanwhile are left out."""
        ...


def matrix_of(
    *,
    version: int,
    dimensions: int,
    passages: Sequence[tuple[int, str]],
    windows: Sequence[tuple[bytes, int, int]],
) -> Matrix:
    """Put a matrix together. `passages` are (id, file id) in ascending order of id; `windows` are
    (vector, first id, last id), where the ids between belong to the same file.
    """
    data = b"".join(vector for vector, _, _ in windows)
    vectors = np.frombuffer(data, dtype="<f4").reshape(len(windows), dimensions)
    ids = np.array([passage_id for passage_id, _ in passages], dtype=np.int64)
    first = np.searchsorted(ids, np.array([first for _, first, _ in windows], dtype=np.int64))
    last = np.searchsorted(ids, np.array([last for _, _, last in windows], dtype=np.int64))
    spans = last - first + 1
    rows = np.repeat(np.arange(len(windows), dtype=np.int64), spans)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(spans) - spans, spans)
    places = np.repeat(first, spans) + offsets
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(len(ids) + 1)).astype(np.int64)
    assert (np.diff(starts) > 0).all(), "a passage has no window"
    numbers: dict[str, int] = {}
    file_numbers = [numbers.setdefault(file_id, len(numbers)) for _, file_id in passages]
    return Matrix(
        version=version,
        vectors=np.asarray(vectors, dtype=np.float32),
        rows=rows[order],
        starts=starts,
        passage_ids=ids,
        file_numbers=np.array(file_numbers, dtype=np.int64),
        file_ids=list(numbers),
    )
