"""Packed words against BM25 said plainly: the same ranks, however the passages came in."""

import asyncio
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.memory_index import MemoryIndex

from locum.store.passages import PLACE_BITS
from locum.tools.file_search.index import NewPassage
from locum.tools.file_search.words import Words, merged, pack, unpacked

_TERMS = ("tea", "milk", "err-2041", "面包", "🫖", "a.b")
_Files = list[list[list[str]]]
_files = st.lists(
    st.lists(st.lists(st.sampled_from(_TERMS), max_size=6), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)
_query = st.lists(st.sampled_from((*_TERMS, "unheard")), unique=True, max_size=4)


def _joined(files: _Files) -> list[list[str]]:
    return [[" ".join(passage) for passage in passages] for passages in files]


def _grown(files: _Files) -> Words:
    words = Words()
    for number, passages in enumerate(_joined(files), start=1):
        words = words.with_part(unpacked(pack(passages), number << PLACE_BITS))
    return words


def _plainly(files: _Files, query: Sequence[str], within: set[str] | None) -> list[int]:
    index = MemoryIndex(dimensions=1)
    for number, passages in enumerate(_joined(files), start=1):
        new = [NewPassage(text, text) for text in passages]
        asyncio.run(index.add("vs", f"file-{number}", passages=new, windows=[]))
    return index.ranked("vs", query, within=within, most=50)


@given(_files, _query)
def test_packed_words_rank_as_bm25_does(files: _Files, query: list[str]) -> None:
    assert _grown(files).best(query, most=50) == _plainly(files, query, None)


@given(_files, _query, st.sets(st.integers(1, 6)))
def test_some_files_alone_can_be_asked_for(files: _Files, query: list[str], some: set[int]) -> None:
    among = np.array(sorted(some), dtype=np.int64)
    plainly = _plainly(files, query, {f"file-{number}" for number in some})
    assert _grown(files).best(query, most=50, among=among) == plainly


@given(_files, _query)
def test_words_merged_at_once_are_words_that_grew(files: _Files, query: list[str]) -> None:
    parts = [
        unpacked(pack(passages), number << PLACE_BITS)
        for number, passages in enumerate(_joined(files), start=1)
    ]
    at_once = Words((merged(parts),))
    assert at_once.best(query, most=50) == _grown(files).best(query, most=50)


@given(_files, _query, st.sets(st.integers(1, 6)))
def test_files_that_are_gone_leave_nothing(files: _Files, query: list[str], kept: set[int]) -> None:
    left = _grown(files).only(np.array(sorted(kept), dtype=np.int64))
    emptied = [passages if number in kept else [] for number, passages in enumerate(files, start=1)]
    assert left.best(query, most=50) == _plainly(emptied, query, None)


def test_no_more_than_asked_for_and_the_earlier_of_equals() -> None:
    words = _grown([[["tea"]] * 20])
    assert words.best(["tea"], most=3) == [(1 << PLACE_BITS) + place for place in range(3)]


def test_a_term_said_very_often_is_no_overflow() -> None:
    words = _grown([[["tea"] * 1_000, ["tea"] * 2, ["milk"]]])
    assert words.best(["tea"], most=1) == [1 << PLACE_BITS]


def test_many_files_are_few_parts() -> None:
    words = _grown([[["tea", f"word{number}"]] for number in range(300)])
    assert len(words.parts) < 12
    assert len(words.best(["tea"], most=1_000)) == 300


def test_no_words_find_nothing() -> None:
    assert Words().best(["tea"], most=5) == []
    assert _grown([[["tea"]]]).best([], most=5) == []
