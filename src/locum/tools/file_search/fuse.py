"""Two opinions on the same passages, meaning and words, become one score.

The score of a passage is evidence, not a place in a list, so that a threshold means the same in
every store: `meaning` is the cosine of query and best window, `words` the share of the query's
weight found in the passage, and

    score = meaning + (1 - meaning) · trust · words

that is: words take away part of the doubt that meaning leaves. 1 is a passage that says the query.
"""

import math
from collections.abc import Mapping, Sequence

# How far words alone convince. Tuned on one half of benchmarks/retrieval, measured on the other.
TRUST = 0.7
# A word said once is worth 1 / (1 + this), said often nearly 1.
_SATURATION = 0.4
_RANK_CONSTANT = 60
# So many terms are found faster one by one than by looking at each word of a passage.
_FEW_TERMS = 16


def fuse(meaning: float, words: float, *, trust: float = TRUST) -> float:
    meaning = min(1.0, max(0.0, meaning))
    return min(1.0, meaning + (1.0 - meaning) * trust * min(1.0, max(0.0, words)))


def word_evidence(query: Sequence[str], passages: Mapping[int, str]) -> dict[int, float]:
    """For each passage, the share of the query's weight that it holds, in 0..1.

    Passages come as their terms, joined by spaces. A term weighs as much as it is rare among
    these candidates; one that none of them holds weighs most, because nothing here answers it.
    """
    held_of = _held if len(query) <= _FEW_TERMS else _held_of_many
    counts = {one: held_of(query, terms) for one, terms in passages.items()}
    total = len(counts)
    weights = {}
    for term in query:
        holders = sum(1 for held in counts.values() if term in held)
        weights[term] = math.log(1 + (total - holders + 0.5) / (holders + 0.5))
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(passages, 0.0)
    return {
        one: sum(weights[term] * times / (times + _SATURATION) for term, times in held.items())
        / whole
        for one, held in counts.items()
    }


def _held(query: Sequence[str], terms: str) -> dict[str, int]:
    terms = f" {terms} "
    counts = {term: terms.count(f" {term} ") for term in query}
    return {term: count for term, count in counts.items() if count}


def _held_of_many(query: Sequence[str], terms: str) -> dict[str, int]:
    """The same in one pass; a term right after itself shares its space, and is not counted."""
    counts = dict.fromkeys(query, 0)
    before = ""
    for term in terms.split(" "):
        if term == before:
            before = ""
        elif term in counts:
            counts[term] += 1
            before = term
        else:
            before = ""
    return {term: count for term, count in counts.items() if count}


def candidates(rankings: Sequence[Sequence[int]], *, most: int) -> list[int]:
    """Reciprocal rank fusion: those that stand high in any ranking, highest in several first."""
    points: dict[int, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking):
            points[one] = points.get(one, 0.0) + 1.0 / (_RANK_CONSTANT + rank)
    return sorted(points, key=lambda one: (-points[one], one))[:most]
