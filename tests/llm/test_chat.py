"""What the adapter asks of a server, and what it learns not to ask."""

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web
from tests.kit.fake_model import (
    FakeModel,
    refuses,
    speaks,
    streams,
)
from tests.llm.asking_chat import KEY, Naps, ask, failure_of
from tests.llm.turns import PYTHON, WEATHER, asking, collect, fold

from locum import logs
from locum.llm.chat import ChatCompletions
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Function,
    Image,
    ImageURL,
    ModelError,
    Named,
    Offer,
    Request,
    System,
    Text,
    ToolResult,
    User,
)

# What is sent ------------------------------------------------------------------------------


def test_a_request_is_written_as_chat_completions_has_it() -> None:
    picture = Image(ImageURL("data:image/png;base64,AA==", detail="low"))
    call = Call("call_1", CalledFunction("get_weather", "{}"))
    messages = (
        System("Be kind."),
        User((Text("What is this?"), picture)),
        Assistant(None, (call,)),
        ToolResult("call_1", "mild"),
        Assistant("Mild."),
        User("!say Thanks"),
    )
    strict = Offer(Function("noop", None, {}, strict=True))
    request = Request(
        model="qwen3",
        messages=messages,
        offers=(WEATHER, strict),
        choice=Named("noop"),
        parallel=False,
        response_format={"type": "json_object"},
        temperature=0.0,
        top_p=0.5,
        reasoning_effort="low",
        max_tokens=300,
    )
    _, server = ask(speaks(), request=request)
    assert server.bodies == [
        {
            "model": "qwen3",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "mild"},
                {"role": "assistant", "content": "Mild."},
                {"role": "user", "content": "!say Thanks"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.0,
            "top_p": 0.5,
            "reasoning_effort": "low",
            "response_format": {"type": "json_object"},
            "max_tokens": 300,
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "get_weather",
                        "description": "The weather of a city.",
                        "parameters": WEATHER.function.parameters,
                    },
                },
                {
                    "type": "function",
                    "function": {
                        "name": "noop",
                        "parameters": {"type": "object", "properties": {}},
                        "strict": True,
                    },
                },
            ],
            "tool_choice": {"type": "function", "function": {"name": "noop"}},
            "parallel_tool_calls": False,
        }
    ]


def test_what_is_not_asked_for_is_not_sent() -> None:
    _, server = ask(speaks())
    assert set(server.bodies[0]) == {"model", "messages", "stream", "stream_options"}


def test_the_key_and_further_headers_are_sent() -> None:
    _, server = ask(speaks(), key=KEY, headers={"X-Project": "p1"})
    headers = server.received[0].headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["X-Project"] == "p1"


def test_a_base_url_of_azure_keeps_its_version_and_has_its_own_key_header() -> None:
    async def scene() -> None:
        async with FakeModel() as server:
            base = server.url.replace("/v1", "/openai/deployments/gpt-4o?api-version=2024-10-21")
            await collect(ChatCompletions(base, key=KEY), asking("Hi"))
            received = server.received[0]
            assert received.path == "/openai/deployments/gpt-4o/chat/completions"
            assert received.query == {"api-version": "2024-10-21"}
            assert received.headers["api-key"] == KEY
            assert "Authorization" not in received.headers

    asyncio.run(scene())


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://a/v1", "http://"])
def test_a_base_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ModelError, match="base URL looks like"):
        ChatCompletions(url)


# What a server refuses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("stream_options", "Extra inputs are not permitted: ('body', 'stream_options')"),
        ("parallel_tool_calls", "Unsupported parameter: 'parallel_tool_calls'"),
        ("temperature", "Unsupported value: 'temperature' does not support 0.7 with this model"),
        ("top_p", "`top_p` isn't supported with this model"),
        ("temperature", "`temperature` is deprecated for this model."),
        ("reasoning_effort", "Unknown parameter: 'reasoning_effort'."),
    ],
)
def test_a_refused_parameter_is_left_out_from_then_on(parameter: str, words: str) -> None:
    async def scene() -> None:
        refusal = refuses(400, {"error": {"message": words}})
        async with FakeModel(refusal, speaks()) as server:
            chat = ChatCompletions(server.url)
            request = asking(
                "Hi",
                offers=(WEATHER,),
                parallel=False,
                temperature=0.7,
                top_p=0.9,
                reasoning_effort="low",
            )
            for _ in range(2):
                fold(await collect(chat, request))
            assert [parameter in body for body in server.bodies] == [True, False, False]
            assert len(server.bodies[0]) == len(server.bodies[1]) + 1
            other_model = Request(model="other", messages=request.messages, temperature=0.1)
            await collect(chat, other_model)
            if parameter != "parallel_tool_calls":
                assert "stream_options" in server.bodies[3]

    asyncio.run(scene())


def test_a_model_that_takes_temperature_or_top_p_is_told_the_temperature() -> None:
    # As Claude does since Opus 4.1; a run always has both.
    words = (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    )
    request = asking("Hi", temperature=1.0, top_p=1.0)
    _, server = ask(refuses(400, {"error": {"message": words}}), speaks(), request=request)
    assert ("temperature" in server.bodies[1], "top_p" in server.bodies[1]) == (True, False)


def test_a_refusal_may_name_the_parameter_apart_from_its_words() -> None:
    error = {"message": "Unsupported parameter.", "param": "stream_options"}
    _, server = ask(refuses(422, {"error": error}), speaks())
    assert "stream_options" not in server.bodies[1]


def test_the_limit_of_tokens_is_called_what_the_server_calls_it() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. "
    words += "Use 'max_completion_tokens' instead."
    turn, server = ask(
        refuses(400, {"error": {"message": words, "param": "max_tokens"}}),
        speaks(),
        request=asking("!words 50", max_tokens=8),
    )
    assert server.bodies[1]["max_completion_tokens"] == 8
    assert "max_tokens" not in server.bodies[1]
    assert turn.finished.reason == "length"


def test_strict_is_left_out_of_functions() -> None:
    strict = Offer(Function("noop", None, {}, strict=True))
    refusal = refuses(400, {"error": {"message": "Unknown field: strict"}})
    _, server = ask(refusal, speaks(), request=asking("Hi", offers=(strict,)))
    assert server.bodies[1]["tools"][0]["function"] == {
        "name": "noop",
        "parameters": {"type": "object", "properties": {}},
    }


def test_a_parameter_that_is_only_mentioned_is_no_refusal() -> None:
    words = "max_tokens is too large: 9000. This model supports at most 4096."
    error = failure_of(
        refuses(400, {"error": {"message": words}}), request=asking("Hi", max_tokens=9000)
    )
    assert (error.message, error.code) == (words, "invalid_prompt")


def test_a_server_that_refuses_everything_is_left_in_the_end() -> None:
    words = "Unsupported: stream_options max_tokens max_completion_tokens temperature"
    request = asking("Hi", max_tokens=5, temperature=0.1)
    server = FakeModel(refuses(400, {"error": {"message": words}}))

    async def scene() -> None:
        async with server:
            with pytest.raises(ModelError):
                await collect(ChatCompletions(server.url), request)

    asyncio.run(scene())
    assert len(server.bodies) == 5


# Models ------------------------------------------------------------------------------------


def test_models_are_listed_and_counted() -> None:
    async def scene() -> None:
        async with FakeModel(models=("qwen3", "llama3")) as server:
            chat = ChatCompletions(server.url)
            assert await chat.models() == ["qwen3", "llama3"]
            assert await chat.check() == f"{server.url} answers, with 2 models."
            await chat.close()

    asyncio.run(scene())


class _Listing(FakeModel):
    def __init__(self, document: Any) -> None:
        super().__init__()
        self._document = document

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(self._document)


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"object": "list", "data": None}, []),
        ([{"id": "qwen3", "object": "model"}, {"id": "llama3"}], ["qwen3", "llama3"]),
    ],
    ids=["Ollama without models", "Together"],
)
def test_models_are_listed_in_other_forms_too(document: Any, names: list[str]) -> None:
    async def scene() -> None:
        async with _Listing(document) as server:
            chat = ChatCompletions(server.url, retries=0)
            assert await chat.models() == names
            await chat.close()

    asyncio.run(scene())


def test_a_server_that_does_not_list_its_models_is_not_waited_for_any_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locum.llm.server._LISTED_WITHIN_S", 0)

    async def scene() -> None:
        async with FakeModel() as server:
            chat = ChatCompletions(server.url)
            with pytest.raises(ModelError, match="did not list its models in time"):
                await chat.models()
            await chat.close()

    asyncio.run(scene())


def test_a_check_of_nobody_says_what_to_look_at() -> None:
    async def scene() -> None:
        async with FakeModel() as server:
            url = server.url
        chat = ChatCompletions(f"{url}?secret=1", sleep=Naps())
        with pytest.raises(ModelError, match="Check that it runs") as failure:
            await chat.check()
        assert url in failure.value.message
        assert "secret" not in failure.value.message
        await chat.close()

    asyncio.run(scene())


def test_what_is_learnt_is_logged_without_content(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command keeps its lines to itself, and the import linter silences whom it finds.
    monkeypatch.setattr(logs._logger, "propagate", True)
    monkeypatch.setattr(logs._logger, "disabled", False)
    refusal = refuses(400, {"error": {"message": "Unknown parameter: stream_options"}})
    with caplog.at_level(logging.WARNING):
        ask(refusal, speaks(), request=asking("my secret", offers=(PYTHON,)), key=KEY)
    told = [vars(record)["fields"] for record in caplog.records]
    assert [fields["without"] for fields in told] == ["stream_options"]
    assert "my secret" not in str(told)
    assert KEY not in str(told)


def test_a_chunk_may_come_with_events_of_both_kinds() -> None:
    chunk = {"choices": [{"delta": {"content": "Hi", "refusal": "No"}, "finish_reason": "stop"}]}
    turn, _ = ask(streams(chunk))
    assert (turn.text, turn.refusal) == ("Hi", "No")


def test_only_so_many_models_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.llm.server._MOST_MODELS_REMEMBERED", 1)
    refusal = refuses(400, {"error": {"message": "Unknown parameter: stream_options"}})

    async def scene() -> None:
        async with FakeModel(refusal, speaks(), refusal, speaks()) as server:
            chat = ChatCompletions(server.url)
            for model in ("first", "second", "first"):
                await collect(chat, Request(model=model, messages=asking("Hi").messages))
            refused = ["stream_options" in body for body in server.bodies]
            assert refused == [True, False, True, False, True]

    asyncio.run(scene())
