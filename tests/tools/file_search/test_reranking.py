"""Search with a second opinion: whose order and scores count, and what happens without it."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.kit.embedders import HashEmbedder
from tests.kit.fake_reranker import FakeReranker
from tests.kit.memory_index import MemoryIndex

from locum.tools.file_search.index import NewPassage, NewWindow
from locum.tools.file_search.reranking import in_unit
from locum.tools.file_search.search import Found, Searcher
from locum.tools.file_search.terms import joined

_TEXTS = [f"ferry ticket number {number}" for number in range(80)]
_QUERY = "ferry ticket"


def _number(text: str) -> float:
    return float(text.rsplit(" ", 1)[1])


def _found(
    reranker: FakeReranker | None, *queries: str, rerank_s: float = 5.0, **options: Any
) -> list[Found]:
    async def scene() -> list[Found]:
        embedder = HashEmbedder()
        index = MemoryIndex(dimensions=embedder.dimensions)
        index.enter("vs_1", "file-1", "tickets.txt", {})
        vectors = await embedder.embed(_TEXTS, kind="passage")
        await index.add(
            "vs_1",
            "file-1",
            passages=[NewPassage(text, joined(text)) for text in _TEXTS],
            windows=[NewWindow(one.tobytes(), at, at) for at, one in enumerate(vectors)],
        )
        searcher = Searcher(index, embedder, reranker=reranker, rerank_s=rerank_s)
        return await searcher.search(
            ["vs_1"], queries or (_QUERY,), most=options.pop("most", 50), **options
        )

    return asyncio.run(scene())


def test_the_reranker_orders_the_best_fifty_and_its_scores_are_shown() -> None:
    fused = _found(None)
    reranker = FakeReranker(lambda text: _number(text) / 100)
    found = _found(reranker)
    assert reranker.asked == [(_QUERY, 50)]
    assert {one.passage_id for one in found} == {one.passage_id for one in fused}
    assert [one.score for one in found] == sorted(
        (_number(one.text) / 100 for one in fused), reverse=True
    )
    assert [one.passage_id for one in found] != [one.passage_id for one in fused]


def test_the_threshold_and_the_number_of_results_look_at_the_new_scores() -> None:
    reranker = FakeReranker(lambda text: 0.9 if text.endswith("7") else 0.2)
    found = _found(reranker, threshold=0.5)
    assert found
    assert all(one.text.endswith("7") for one in found)
    assert [one.passage_id for one in _found(reranker, most=2)] == [
        one.passage_id for one in found[:2]
    ]


def test_logits_become_probabilities_in_the_same_order() -> None:
    found = _found(FakeReranker(lambda text: _number(text) - 40), threshold=0.5)
    numbers = [_number(one.text) for one in found]
    assert numbers == sorted(numbers, reverse=True)
    assert min(numbers) >= 40
    assert all(0.5 <= one.score <= 1.0 for one in found)


def test_whoever_wants_no_ranker_gets_none() -> None:
    reranker = FakeReranker(_number)
    assert _found(reranker, rerank=False) == _found(None)
    assert reranker.asked == []


def test_a_reranker_that_fails_for_one_query_counts_for_none() -> None:
    reranker = FakeReranker(_number, fails_at="number 7")
    assert _found(reranker, _QUERY, "number 7") == _found(None, _QUERY, "number 7")
    assert [query for query, _ in reranker.asked] == [_QUERY, "number 7"]


def test_a_reranker_that_hangs_is_not_waited_for() -> None:
    assert _found(FakeReranker(_number, hangs=True), rerank_s=0.05) == _found(None)


def test_where_nothing_was_found_nobody_is_asked() -> None:
    reranker = FakeReranker(_number)
    assert _found(reranker, "  ") == []
    assert reranker.asked == []


@given(
    st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-5, 5), max_size=5),
        max_size=3,
    )
)
def test_scores_lie_in_the_unit_and_keep_their_order(raw: list[list[float]]) -> None:
    before = [score for scores in raw for score in scores]
    after = [score for scores in in_unit(raw) for score in scores]
    assert all(0.0 <= score <= 1.0 for score in after)
    pairs = sorted(zip(before, after, strict=True))
    assert [score for _, score in pairs] == sorted(after)


def test_probabilities_stay_as_they_are() -> None:
    assert in_unit([[0.25, 1.0], [0.0]]) == [[0.25, 1.0], [0.0]]
    assert in_unit([[1.0004, -0.0002]]) == [[1.0, 0.0]]
