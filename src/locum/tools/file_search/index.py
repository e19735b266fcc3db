"""The seam between file search and the database that keeps passages: what a search asks of it.

Whatever keeps them gives them back in these shapes; ranking and fusion happen above, the same
for all. Ingestion writes them, by `store.passages`.
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

    Passages are in ascending order of id, and `file_numbers` points into `file_ids`. Files that
    were indexed without vectors, or with another model's, are not in it.
    """

    version: int
    vectors: Vectors
    # The first and the last passage of each window, by id.
    first: Numbers
    last: Numbers
    rows: Numbers
    starts: Numbers
    passage_ids: Numbers
    file_numbers: Numbers
    file_ids: Sequence[str]

    @property
    def size_bytes(self) -> int:
        numbers = (self.first, self.last, self.rows, self.starts, self.passage_ids)
        return self.vectors.nbytes + sum(part.nbytes for part in (*numbers, self.file_numbers))


class PassageIndex(Protocol):
    async def files(
        self, store_id: str, *, only: Collection[str] | None = None
    ) -> Mapping[str, FileEntry]:
        """The files of the store that may be searched, by id; or those among the given."""
        ...

    async def version(self, store_id: str) -> int:
        """Another number whenever its vectors are others; it tells that a cached matrix is old."""
        ...

    async def matrix(self, store_id: str, *, known: Matrix | None = None) -> Matrix:
        """The matrix as it is now; of one that was `known` what still holds need not be read."""
        ...

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
    numbers: dict[str, int] = {}
    file_numbers = [numbers.setdefault(file_id, len(numbers)) for _, file_id in passages]
    return arranged(
        version=version,
        vectors=np.frombuffer(data, dtype="<f4").reshape(len(windows), dimensions),
        first=np.array([first for _, first, _ in windows], dtype=np.int64),
        last=np.array([last for _, _, last in windows], dtype=np.int64),
        passage_ids=np.array([passage_id for passage_id, _ in passages], dtype=np.int64),
        file_numbers=np.array(file_numbers, dtype=np.int64),
        file_ids=list(numbers),
    )


def arranged(
    *,
    version: int,
    vectors: Vectors,
    first: Numbers,
    last: Numbers,
    passage_ids: Numbers,
    file_numbers: Numbers,
    file_ids: Sequence[str],
) -> Matrix:
    """Find the windows of each passage; every passage has one."""
    begin = np.searchsorted(passage_ids, first)
    spans = np.searchsorted(passage_ids, last) - begin + 1
    rows = np.repeat(np.arange(len(vectors), dtype=np.int64), spans)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(spans) - spans, spans)
    places = np.repeat(begin, spans) + offsets
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(len(passage_ids) + 1)).astype(np.int64)
    assert (np.diff(starts) > 0).all(), "a passage has no window"
    return Matrix(
        version=version,
        vectors=np.asarray(vectors, dtype=np.float32),
        first=first,
        last=last,
        rows=rows[order],
        starts=starts,
        passage_ids=passage_ids,
        file_numbers=file_numbers,
        file_ids=file_ids,
    )
