import asyncio
import math
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from tests.kit.fake_model import FakeModel, Hanging, Reply, breaks_off, refuses
from tests.llm.turns import BOUND_S

from locum.llm.embeddings import OpenAIEmbeddings, Vector
from locum.llm.endpoint import Timeouts
from locum.llm.protocol import ModelError


async def _no_sleep(_: float) -> None:
    return


async def by_length(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Embed each text as its length and 1, last text first."""
    data = [
        {"object": "embedding", "index": index, "embedding": [len(text), 1]}
        for index, text in enumerate(body["input"])
    ]
    return web.json_response({"object": "list", "data": data[::-1]})


def embed(
    *replies: Reply, texts: Sequence[str] = ("abc",), dimensions: int = 2, **options: Any
) -> tuple[list[Vector], FakeModel]:
    server = FakeModel(*replies)

    async def scene() -> list[Vector]:
        async with server, asyncio.timeout(BOUND_S):
            embedder = OpenAIEmbeddings(
                server.url, model="tiny", dimensions=dimensions, sleep=_no_sleep, **options
            )
            assert embedder.dimensions == dimensions
            try:
                return await embedder.embed(texts, kind="passage")
            finally:
                await embedder.close()

    return asyncio.run(scene()), server


def test_vectors_have_length_one_and_the_order_of_their_texts() -> None:
    vectors, server = embed(by_length, texts=["abc", "", "a" * 7])
    assert [round(vector[0] / vector[1]) for vector in vectors] == [3, 1, 7]
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-6) for vector in vectors)
    assert server.bodies == [{"model": "tiny", "input": ["abc", " ", "a" * 7]}]


def test_many_texts_are_sent_in_batches() -> None:
    vectors, server = embed(by_length, texts=["x"] * 150)
    assert len(vectors) == 150
    assert [len(body["input"]) for body in server.bodies] == [64, 64, 22]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_server_that_takes_few_texts_is_sent_as_many_as_it_takes(status: int) -> None:
    async def at_most_ten(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if len(body["input"]) > 10:
            words = "batch size is invalid, it should not be larger than 10."
            return await refuses(status, {"error": {"message": words}})(request, body)
        return await by_length(request, body)

    texts = ["x" * (1 + number) for number in range(80)]
    vectors, server = embed(*[at_most_ten] * 40, texts=texts)
    assert [round(vector[0] / vector[1]) for vector in vectors] == [len(text) for text in texts]
    sizes = [len(body["input"]) for body in server.bodies]
    assert sizes[:4] == [64, 32, 16, 8]
    assert sizes[-2:] == [8, 8]


def test_a_text_that_is_refused_by_itself_fails_in_its_own_words() -> None:
    async def no_long_ones(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if max(map(len, body["input"])) > 5:
            return await refuses(400, {"error": {"message": "Too long."}})(request, body)
        return await by_length(request, body)

    with pytest.raises(ModelError, match="Too long"):
        embed(*[no_long_ones] * 9, texts=["x", "x", "x" * 9])


def test_no_texts_are_no_request() -> None:
    vectors, server = embed(by_length, texts=[])
    assert (vectors, server.received) == ([], [])


def test_fewer_dimensions_are_asked_for_only_when_wanted() -> None:
    _, server = embed(by_length, shorten=True)
    assert server.bodies[0]["dimensions"] == 2


def test_the_name_tells_vectors_apart() -> None:
    assert OpenAIEmbeddings("http://a/v1", model="tiny", dimensions=2).name == "tiny/2"


def test_a_passing_fault_is_tried_again() -> None:
    vectors, _ = embed(refuses(503, {}), by_length)
    assert len(vectors) == 1


def test_a_failure_is_told_in_the_servers_words() -> None:
    with pytest.raises(ModelError, match=r"^No such model\.$"):
        embed(refuses(404, {"error": {"message": "No such model."}}))


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(ModelError, match="vectors of 2 dimensions, where 384 were configured"):
        embed(by_length, dimensions=384)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"data": []}, "gave 0 vectors for 1 texts"),
        ({"data": [{"index": 4, "embedding": [1, 2]}]}, "gave 1 vectors for 1 texts"),
        ({"data": "none"}, "is not what it should be"),
        ("no JSON", "is not what it should be"),
    ],
)
def test_what_are_no_embeddings_is_refused(document: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        embed(refuses(200, document))


def test_a_vector_without_a_number_stands_in_its_place() -> None:
    """As Gemini has them, which leaves out a zero."""
    document = {"data": [{"embedding": [1, 0]}, {"index": 1, "embedding": [0, 1]}]}
    vectors, _ = embed(refuses(200, document), texts=["a", "b"])
    assert vectors == [array("f", [1, 0]), array("f", [0, 1])]


def test_a_vector_of_nothing_stays_nothing() -> None:
    document = {"data": [{"index": 0, "embedding": [0, 0]}]}
    assert embed(refuses(200, document))[0] == [array("f", [0, 0])]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Hanging('{"data": '), "stopped in the middle"),
        (Hanging(sends_headers=False), "gave no answer within"),
        (breaks_off('{"data": '), "closed the connection"),
    ],
)
def test_an_answer_that_does_not_end_is_told(reply: Reply, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        embed(reply, timeouts=Timeouts(first_token_s=0.3))


def test_an_answer_larger_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.llm.endpoint._MOST_DOCUMENT_BYTES", 10)
    with pytest.raises(ModelError, match="sent more than 10 bytes"):
        embed(by_length)
