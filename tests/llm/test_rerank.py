"""The client of a reranker: what it sends, and which answers it takes."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.kit.fake_model import FakeModel, Hanging, Reply, refuses, sends
from tests.kit.fake_reranker import answers, ranks
from tests.llm.turns import BOUND_S

from locum.llm.protocol import ModelError
from locum.llm.rerank import HttpReranker


def _scores(
    *replies: Reply, texts: Sequence[str] = ("a", "bbb", "cc"), timeout_s: float = BOUND_S
) -> tuple[list[float], FakeModel]:
    server = FakeModel(*replies)

    async def scene() -> list[float]:
        async with server, asyncio.timeout(BOUND_S):
            reranker = HttpReranker(server.url, model="tiny", key="sk-mine", timeout_s=timeout_s)
            try:
                return await reranker.scores("which?", texts)
            finally:
                await reranker.close()

    return asyncio.run(scene()), server


def test_scores_come_in_the_order_of_the_texts() -> None:
    scores, server = _scores(ranks(lambda _, text: len(text)))
    assert scores == [1, 3, 2]
    assert server.received[0].path == "/v1/rerank"
    assert server.received[0].headers["Authorization"] == "Bearer sk-mine"
    assert server.bodies == [
        {"model": "tiny", "query": "which?", "documents": ["a", "bbb", "cc"], "top_n": 3}
    ]


def test_any_text_can_be_sent() -> None:
    _, server = _scores(ranks(lambda _, text: len(text)), texts=["", "\ud83d", "\x00"])
    assert server.bodies[0]["documents"] == [" ", "?", "\x00"]


@pytest.mark.parametrize(
    "reply",
    [
        answers((0, 0.5), (1, 0.4)),
        answers((0, 0.5), (1, 0.4), (1, 0.3)),
        answers((0, 0.5), (1, 0.4), (3, 0.3)),
        answers((0, 0.5), (1, 0.4), (-1, 0.3)),
        answers((0, 0.5), (1, 0.4), (2, float("nan"))),
        answers((0, 0.5), (1, 0.4), (2, float("inf"))),
        answers((0, 0.5), (1, 0.4), (2, None)),
        answers((0, 0.5), (1, 0.4), (2, "0.3")),
        answers(),
        sends("[]"),
        sends("no JSON"),
        sends('{"a":' + "[" * 100_000),
        refuses(503, {"error": {"message": "busy"}}),
        refuses(404, "nothing here"),
    ],
)
def test_what_is_no_ranking_is_refused_and_not_asked_for_again(reply: Reply) -> None:
    server = FakeModel(reply)

    async def scene() -> None:
        async with server, asyncio.timeout(BOUND_S):
            reranker = HttpReranker(server.url, timeout_s=BOUND_S)
            try:
                with pytest.raises(ModelError):
                    await reranker.scores("which?", ["a", "bbb", "cc"])
            finally:
                await reranker.close()

    asyncio.run(scene())
    assert len(server.received) == 1


@pytest.mark.parametrize("sends_headers", [True, False])
def test_a_server_that_hangs_is_given_up(sends_headers: bool) -> None:
    with pytest.raises(ModelError, match=r"no answer within|in the middle"):
        _scores(Hanging(sends_headers=sends_headers), timeout_s=0.05)
