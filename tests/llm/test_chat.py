"""How the adapter asks, fails, tries again, and stops."""

import asyncio
import logging
from typing import Any

import pytest
from tests.kit.fake_model import (
    FakeModel,
    Hanging,
    Reply,
    breaks_off,
    refuses,
    sends,
    speaks,
    streams,
)
from tests.llm.turns import BOUND_S, PYTHON, WEATHER, Turn, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.endpoint import Timeouts
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Event,
    Function,
    Image,
    ImageURL,
    ModelError,
    Named,
    Offer,
    Request,
    System,
    Text,
    TextDelta,
    ToolResult,
    User,
)

KEY = "sk-secret-0123456789"
HALF = 'data: {"choices": [{"delta": {"content": "Half"}}]}\n\n'


class Naps:
    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def ask(
    *replies: Reply, request: Request | None = None, naps: Naps | None = None, **options: Any
) -> tuple[Turn, FakeModel]:
    server = FakeModel(*replies)

    async def scene() -> Turn:
        async with server:
            chat = ChatCompletions(server.url, sleep=naps or Naps(), **options)
            return fold(await collect(chat, request or asking("!say Hello")))

    return asyncio.run(scene()), server


def failure_of(*replies: Reply, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as failure:
        ask(*replies, **options)
    return failure.value


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


# Failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "document", "message", "code"),
    [
        (400, {"error": {"message": "Bad image."}}, "Bad image.", "invalid_prompt"),
        (413, {"message": "Too long."}, "Too long.", "invalid_prompt"),
        (422, {"detail": [{"loc": ["body"]}]}, '[{"loc":["body"]}]', "invalid_prompt"),
        (404, {"error": "model 'x' not found"}, "model 'x' not found", "server_error"),
        (401, [{"error": {"message": "No."}}], "No.", "server_error"),
        (429, {"error": {"message": "Slow down."}}, "Slow down.", "rate_limit_exceeded"),
        (500, "<html>", "The model's server answered 500 Internal Server Error.", "server_error"),
        (503, {}, "The model's server answered 503 Service Unavailable.", "server_error"),
        (403, {"error": {"code": "content_filter", "message": "Ugh."}}, "Ugh.", "invalid_prompt"),
        (
            403,
            {"error": {"message": "Ugh.", "innererror": {"code": "content_filter"}}},
            "Ugh.",
            "invalid_prompt",
        ),
    ],
)
def test_a_failure_is_told_in_the_servers_words(
    status: int, document: Any, message: str, code: str
) -> None:
    error = failure_of(refuses(status, document))
    assert (error.message, error.code) == (message, code)


def test_the_key_is_never_told() -> None:
    words = f"Incorrect API key provided: {KEY}, with token hush-hush."
    error = failure_of(
        refuses(401, {"error": {"message": words}}), key=KEY, headers={"X-Token": "hush-hush"}
    )
    assert error.message == "Incorrect API key provided: ***, with token ***."


def test_a_very_long_message_is_cut() -> None:
    assert len(failure_of(refuses(400, {"error": "x" * 5000})).message) == 1001


def test_a_server_that_points_elsewhere_is_not_followed() -> None:
    error = failure_of(refuses(307, "", headers={"Location": "http://127.0.0.1:1/"}))
    assert "its base URL has moved" in error.message


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        ('{"error": {"message": "Out of memory", "code": 500}}', "Out of memory", "server_error"),
        ('{"error": {"message": "Slow", "code": 429}}', "Slow", "rate_limit_exceeded"),
        ('{"error": "Gone"}', "Gone", "server_error"),
        (
            '{"error": {"message": "No", "type": "invalid_request_error"}}',
            "No",
            "invalid_prompt",
        ),
        ('{"object": "error", "message": "Too long", "code": 400}', "Too long", "invalid_prompt"),
        ('{"choices": [{"finish_reason": "error"}]}', "The model stopped with an error.", None),
    ],
)
def test_an_error_inside_the_stream_fails_the_turn(
    document: str, message: str, code: str | None
) -> None:
    error = failure_of(sends(HALF, f"data: {document}\n\n"))
    assert (error.message, error.code) == (message, code or "server_error")


@pytest.mark.parametrize("broken", ["data: nonsense\n\n", 'data: {"choices": 5}\n\n', "{"])
def test_what_is_no_answer_fails_the_turn(broken: str) -> None:
    assert "sent what is no part of an answer" in failure_of(sends(broken)).message


def test_an_event_that_never_ends_fails_the_turn() -> None:
    endless = "data: " + "x" * (1 << 20)
    error = failure_of(sends(*[endless] * 10))
    assert error.message == "The model's server sent an event that does not end."


def test_nobody_listening_is_told() -> None:
    async def scene() -> None:
        async with FakeModel() as server:
            url = server.url
        with pytest.raises(
            ModelError, match=r"^No answer from the model's server: Connection refused\.$"
        ):
            await collect(ChatCompletions(url, sleep=Naps()), asking("Hi"))

    asyncio.run(scene())


# Trying again ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    naps = Naps()
    turn, server = ask(refuses(status, {}), refuses(status, {}), speaks(), naps=naps)
    assert turn.text == "Hello"
    assert len(server.received) == 3
    assert 0.3 < naps.taken[0] < 0.7
    assert 0.7 < naps.taken[1] < 1.3


def test_trying_again_ends() -> None:
    naps = Naps()
    failure_of(refuses(503, {}), naps=naps)
    assert len(naps.taken) == 2


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After-Ms": "1500"}, 1.5),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            9.0,
        ),
    ],
)
def test_the_servers_own_waiting_time_is_kept(headers: dict[str, str], wait_s: float) -> None:
    naps = Naps()
    ask(refuses(429, {}, headers=headers), speaks(), naps=naps)
    assert naps.taken == [wait_s]


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        ({}, {"Retry-After": "3600"}),
        ({"error": {"message": "Pay.", "code": "insufficient_quota"}}, {}),
    ],
)
def test_a_limit_that_will_not_pass_is_told_at_once(
    document: dict[str, Any], headers: dict[str, str]
) -> None:
    naps = Naps()
    error = failure_of(refuses(429, document, headers=headers), naps=naps)
    assert (error.code, naps.taken) == ("rate_limit_exceeded", [])


@pytest.mark.parametrize("reply", [breaks_off(), sends(), sends("data: [DONE]\n\n")])
def test_an_answer_that_ends_before_it_began_is_tried_again(reply: Reply) -> None:
    assert ask(reply, speaks())[0].text == "Hello"


def test_nothing_is_tried_again_once_the_model_has_spoken() -> None:
    heard: list[Event] = []

    async def scene() -> None:
        async with FakeModel(breaks_off(HALF), speaks()) as server:
            chat = ChatCompletions(server.url, sleep=Naps())
            async with asyncio.timeout(BOUND_S):
                events = chat.stream(asking("Hi"))
                heard.append(await anext(events))
                with pytest.raises(ModelError, match="closed the connection in mid-answer"):
                    await anext(events)
            await chat.close()

    asyncio.run(scene())
    assert heard == [TextDelta("Half")]


# Time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hanging", "timeouts", "words"),
    [
        (Hanging(sends_headers=False), Timeouts(first_token_s=0.05), "gave no answer within"),
        (Hanging(": awake\n\n"), Timeouts(first_token_s=0.05), "said nothing within"),
        (Hanging(HALF), Timeouts(idle_s=0.05), "in mid-answer"),
        (Hanging(HALF), Timeouts(total_s=0.05), "for one answer"),
    ],
)
def test_each_kind_of_silence_has_its_limit(
    hanging: Hanging, timeouts: Timeouts, words: str
) -> None:
    assert words in failure_of(hanging, timeouts=timeouts).message


@pytest.mark.parametrize("close", [True, False], ids=["closing", "cancelling"])
def test_the_server_is_left_at_once(close: bool) -> None:
    async def scene() -> None:
        hanging = Hanging(HALF)
        async with FakeModel(hanging) as server, asyncio.timeout(BOUND_S):
            chat = ChatCompletions(server.url)
            events = chat.stream(asking("Hi"))
            await anext(events)
            if close:
                await events.aclose()
            else:
                task = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await hanging.left.wait()
            await chat.close()

    asyncio.run(scene())


def test_a_request_is_left_before_its_answer_begins() -> None:
    async def scene() -> None:
        hanging = Hanging(sends_headers=False)
        async with FakeModel(hanging) as server, asyncio.timeout(BOUND_S):
            chat = ChatCompletions(server.url)
            task = asyncio.create_task(collect(chat, asking("Hi")))
            await hanging.asked.wait()
            task.cancel()
            await hanging.left.wait()

    asyncio.run(scene())


# Models ------------------------------------------------------------------------------------


def test_models_are_listed_and_counted() -> None:
    async def scene() -> None:
        async with FakeModel(models=("qwen3", "llama3")) as server:
            chat = ChatCompletions(server.url)
            assert await chat.models() == ["qwen3", "llama3"]
            assert await chat.check() == f"{server.url} answers, with 2 models."
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


def test_what_is_learnt_is_logged_without_content(caplog: pytest.LogCaptureFixture) -> None:
    refusal = refuses(400, {"error": {"message": "Unknown parameter: stream_options"}})
    with caplog.at_level(logging.WARNING):
        ask(refusal, speaks(), request=asking("my secret", offers=(PYTHON,)), key=KEY)
    assert "without=stream_options" in caplog.text
    assert "my secret" not in caplog.text
    assert KEY not in caplog.text


def test_a_chunk_may_come_with_events_of_both_kinds() -> None:
    chunk = {"choices": [{"delta": {"content": "Hi", "refusal": "No"}, "finish_reason": "stop"}]}
    turn, _ = ask(streams(chunk))
    assert (turn.text, turn.refusal) == ("Hi", "No")
