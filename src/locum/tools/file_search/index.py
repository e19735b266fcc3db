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
from locum.tools.file_search.words import Words

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]


class NewPassage(Struct, frozen=True):
    """A chunk to be indexed; `terms` are what `terms.joined` makes of its text and title."""

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

    Passages are in ascending order of id. Files that were indexed without vectors, or with another
    model's, are not in it.
    """

    vectors: Vectors
    # The first and the last passage of each window, by id.
    first: Numbers
    last: Numbers
    rows: Numbers
    starts: Numbers
    passage_ids: Numbers

    @property
    def size_bytes(self) -> int:
        numbers = (self.first, self.last, self.rows, self.starts, self.passage_ids)
        return self.vectors.nbytes + sum(part.nbytes for part in numbers)


class Contents(Struct, frozen=True):
    """All of a store that ranks its passages, as it is kept in memory between searches."""

    version: int
    # The files that can be found, by the number in the ids of their passages.
    file_ids: Mapping[int, str]
    matrix: Matrix
    words: Words

    @property
    def size_bytes(self) -> int:
        return self.matrix.size_bytes + self.words.size_bytes


class PassageIndex(Protocol):
    async def files(
        self, store_id: str, *, only: Collection[str] | None = None
    ) -> Mapping[str, FileEntry]:
        """The files of the store that may be searched, by id; or those among the given."""
        ...

    async def version(self, store_id: str) -> int:
        """Another number whenever its contents are others; it tells that those kept are old."""
        ...

    async def contents(self, store_id: str, *, known: Contents | None = None) -> Contents:
        """The contents as they are now; of those `known` what still holds need not be read."""
        ...

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        """The passages of these ids; those that have gone meanwhile are left out."""
        ...


def arranged(
    *,
    vectors: Vectors,
    first: Numbers,
    last: Numbers,
    passage_ids: Numbers,
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
        vectors=np.asarray(vectors, dtype=np.float32),
        first=first,
        last=last,
        rows=rows[order],
        starts=starts,
        passage_ids=passage_ids,
    )
