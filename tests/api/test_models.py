"""Models: what the backend and the operator name, and no more."""

from collections.abc import Callable

import openai
import pytest
from tests.kit.http import Http
from tests.kit.server import Server

from locum.app import Parts
from locum.llm.protocol import ModelError
from locum.llm.scripted import Scripted


class _Unreachable(Scripted):
    async def models(self) -> list[str]:
        raise ModelError("nobody answers")


def test_models_are_listed_without_pages(http: Http) -> None:
    answer = http.get("/v1/models").json
    assert list(answer) == ["object", "data"]
    assert answer["data"][0] == {
        "id": "scripted",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "locum",
    }
    assert http.get("/v1/models/scripted").json == answer["data"][0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_model_is_refused_in_the_words_of_the_original(http: Http, method: str) -> None:
    answer = http.send(method, "/v1/models/fake_id")
    assert answer.status == 404
    assert answer.error == {
        "message": "The model 'fake_id' does not exist",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_a_model_cannot_be_deleted(server: Server) -> None:
    with server.sdk() as sdk, pytest.raises(openai.PermissionDeniedError, match="scripted"):
        sdk.models.delete("scripted")


def test_configured_models_are_listed_when_the_backend_is_silent(
    make_server: Callable[..., Server],
) -> None:
    models = {"org/gpt-4o": "qwen3@vllm", "*": "@vllm"}
    server = make_server(Parts(backend=_Unreachable()), models=models)
    with server.sdk() as sdk:
        assert [model.id for model in sdk.models.list()] == ["org/gpt-4o"]
        assert sdk.models.retrieve("org/gpt-4o").id == "org/gpt-4o"
