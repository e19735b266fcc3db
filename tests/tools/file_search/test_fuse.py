"""The evidence of words: the same however many a query has."""

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.tools.file_search.fuse import word_evidence

_WORDS = [a + b for a in "abcde" for b in "xyz"]


def _plainly(query: Sequence[str], passages: Mapping[int, str]) -> dict[int, float]:
    """Every term looked for in every passage."""
    held = {
        one: {term: f" {terms} ".count(f" {term} ") for term in query}
        for one, terms in passages.items()
    }
    weights = {}
    for term in query:
        holders = sum(1 for counts in held.values() if counts[term])
        weights[term] = math.log(1 + (len(held) - holders + 0.5) / (holders + 0.5))
    whole = sum(weights.values()) or 1.0
    return {
        one: sum(weights[term] * times / (times + 0.4) for term, times in counts.items() if times)
        / whole
        for one, counts in held.items()
    }


@given(
    st.lists(st.sampled_from(_WORDS), unique=True),
    st.integers(0, 20),
    st.lists(st.lists(st.sampled_from([*_WORDS, ""])).map(" ".join)),
)
def test_a_long_query_is_weighed_as_a_short_one_is(
    query: list[str], more: int, texts: list[str]
) -> None:
    asked = [*query, *(f"nowhere{number}" for number in range(more))]
    passages = dict(enumerate(texts))
    plainly = _plainly(asked, passages)
    assert word_evidence(asked, passages) == pytest.approx(plainly, rel=1e-12)


def test_a_passage_is_looked_through_once_for_a_long_query() -> None:
    """Reaches inside: once for each word shows nowhere else but on a clock."""

    class Terms(str):
        __slots__ = ()
        looks = 0

        def split(self, *rest: object) -> list[str]:
            Terms.looks += 1
            return str(self).split(" ")

    evidence = word_evidence([f"word{number}" for number in range(256)], {1: Terms("word7")})
    assert evidence[1] > 0
    assert Terms.looks == 1
