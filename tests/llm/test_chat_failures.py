"""How the adapter fails, tries again, and stops."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from tests.kit.fake_model import (
    FakeModel,
    Hanging,
    Reply,
    breaks_off,
    refuses,
    sends,
    speaks,
)
from tests.llm.asking_chat import HALF, KEY, Naps, ask, failure_of
from tests.llm.turns import BOUND_S, asking, collect

from locum.llm import endpoint
from locum.llm.chat import ChatCompletions
from locum.llm.endpoint import Timeouts
from locum.llm.faults import TOO_LONG
from locum.llm.protocol import (
    Event,
    ModelError,
    TextDelta,
)

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


def test_what_a_provider_said_is_told_beside_what_a_gateway_says_of_it() -> None:
    raw = '{"error":{"message":"This model takes one picture at most."}}'
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}
    told = failure_of(refuses(400, {"error": error}))
    assert told.message == f"Provider returned error: {raw}"
    assert failure_of(sends(f"data: {json.dumps({'error': error})}\n\n")).message == told.message


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
        ('{"error": {"message": "Slow", "code": "429"}}', "Slow", "rate_limit_exceeded"),
        ('{"error": {"message": "No", "code": "400"}}', "No", "invalid_prompt"),
        ('{"error": {"message": "Odd", "code": "3051"}}', "Odd", "server_error"),
        ('{"error": {"message": "context deadline exceeded"}}', "context deadline exceeded", None),
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


@pytest.mark.parametrize(
    "broken",
    [
        "data: nonsense\n\n",
        'data: {"choices": 5}\n\n',
        "{",
        b'data: {"object": "\xff"}\n\n',
        f'data: {{"x": {"[" * 5_000}\n\n',
        f'data: {{"x":\ndata: {"[" * 5_000}\n\n',
    ],
)
def test_what_is_no_answer_fails_the_turn(broken: str | bytes) -> None:
    assert "sent what is no part of an answer" in failure_of(sends(broken)).message


@pytest.mark.parametrize(
    "begun",
    [
        {"content": "Half"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a'}}]},
    ],
)
def test_an_answer_that_ends_with_neither_a_reason_nor_done_was_cut(begun: dict[str, Any]) -> None:
    chunk = json.dumps({"choices": [{"delta": begun}]})
    error = failure_of(sends(f"data: {chunk}\n\n"))
    assert error.message == "The model's server ended its answer before it was whole."


@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream"])
def test_a_page_in_place_of_an_answer_is_told_at_once(content_type: str) -> None:
    page = sends("\n<!doctype html>\n<script>\n{ a: 1 }\n</script>\n", content_type=content_type)
    naps = Naps()
    message = "The model's server answered with a page for browsers; check its base URL."
    with pytest.raises(ModelError, match=message):
        ask(page, naps=naps)
    assert naps.taken == []


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


def test_a_waiting_time_that_is_no_number_is_passed_over() -> None:
    naps = Naps()
    ask(refuses(429, {}, headers={"Retry-After": "nan"}), speaks(), naps=naps)
    assert 0 < naps.taken[0] < 1


def test_a_waiting_time_that_no_clock_can_hold_is_passed_over() -> None:
    naps = Naps()
    far = "Wed, 21 Oct 99999999999 07:28:09 GMT"
    headers = {"Retry-After": far, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    ask(refuses(429, {}, headers=headers), speaks(), naps=naps)
    assert len(naps.taken) == 1


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


@pytest.mark.parametrize(
    "error",
    [{"type": "overloaded_error"}, {"type": "server_error", "code": None}, {"code": "503"}],
)
def test_a_stream_that_begins_with_a_passing_error_is_asked_for_again(error: Any) -> None:
    early = sends(f"data: {json.dumps({'error': error | {'message': 'Busy'}})}\n\n")
    assert ask(early, speaks())[0].text == "Hello"


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4097 tokens.",
        "Trying to keep the first 6547 tokens when context the overflows.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).",
        "Please reduce the length of the messages or completion.",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 4500",
        "Range of input length should be [1, 30720]",
        "Your input exceeds the token limit of this model.",
    ],
    ids=[
        *("OpenAI", "LM Studio", "Anthropic", "Gemini", "Groq", "TGI", "older TGI"),
        *("DashScope", "Others"),
    ],
)
def test_a_prompt_that_is_too_long_is_known_whoever_says_so_and_where(words: str) -> None:
    within = sends(f"data: {json.dumps({'error': words})}\n\n")
    for reply in (within, refuses(400, {"error": {"message": words}})):
        error = failure_of(reply)
        assert error.code == "invalid_prompt"
        assert TOO_LONG.search(error.message)


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


@pytest.mark.parametrize("ended", [breaks_off, Hanging])
def test_an_answer_whose_end_was_told_lacks_no_farewell(ended: Callable[[str], Reply]) -> None:
    told = {"choices": [{"delta": {"content": "All."}, "finish_reason": "stop"}]}
    reply = ended(f"data: {json.dumps(told)}\n\n")
    turn, server = ask(reply, timeouts=Timeouts(idle_s=0.05))
    assert (turn.text, turn.finished.reason, len(server.bodies)) == ("All.", "stop", 1)


# Time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hanging", "timeouts", "words"),
    [
        (Hanging(sends_headers=False), Timeouts(first_token_s=0.3), "gave no answer within"),
        (Hanging(": awake\n\n"), Timeouts(first_token_s=0.3), "said nothing within"),
        (Hanging(HALF), Timeouts(idle_s=0.05), "in mid-answer"),
        (Hanging(HALF), Timeouts(total_s=0.3), "for one answer"),
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


# Bounds and broken connections ---------------------------------------------------------------


def test_an_answer_larger_than_any_fails_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.llm.server._MOST_ANSWER_BYTES", 200)
    assert "more than an answer may hold" in failure_of(sends(*[HALF] * 10)).message


def test_an_error_larger_than_any_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.llm.endpoint._MOST_ERROR_BYTES", 10)
    error = failure_of(refuses(400, {"error": "x" * 100}))
    assert error.message == "The model's server answered 400 Bad Request."


def test_a_server_that_accepts_no_connection_is_told() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        chat = ChatCompletions(
            f"http://127.0.0.1:{full.getsockname()[1]}/v1",
            timeouts=Timeouts(connect_s=0.05),
            sleep=Naps(),
        )
        with pytest.raises(ModelError, match="did not accept a connection in time"):
            asyncio.run(collect(chat, asking("Hi")))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorCertificateError, "certificate cannot be trusted"),
        (aiohttp.ClientConnectorDNSError, "host name is not known"),
        (aiohttp.ClientConnectorError, "does not accept connections"),
        (aiohttp.ServerDisconnectedError, "closed the connection"),
        (aiohttp.ClientOSError, "connection broke"),
    ],
)
def test_a_connection_that_fails_says_why(error: type[aiohttp.ClientError], words: str) -> None:
    # Reaches inside: no server on the loopback fails in all of these ways.
    made = error.__new__(error)
    made._os_error = OSError("Multiple exceptions")  # type: ignore[attr-defined]
    assert words in endpoint._reason(made)
