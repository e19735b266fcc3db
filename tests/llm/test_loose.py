"""What servers send that is not quite Chat Completions, and what is understood of it."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from aiohttp import web
from tests.kit.fake_model import FakeModel, refuses, sends, streams
from tests.llm.asking_chat import ask, failure_of
from tests.llm.hearing import PARIS, ROME, calls, ends, hear, piece, says
from tests.llm.turns import WEATHER, Turn, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.protocol import CalledFunction, Usage
from locum.llm.sse import EventData


def test_ids_and_numbers_of_calls_come_in_other_types() -> None:
    turn = hear(
        streams(
            calls(piece("get_weather", '{"city":', index=0.0, id=7)),
            calls(piece(None, '"Paris"}', index=0.0)),
            calls(piece("get_weather", '{"city":"Rome"}', index="1", id=8)),
            ends("tool_calls"),
        )
    )
    assert (turn.calls, turn.ids) == ([PARIS, ROME], ["7", "8"])


def test_arguments_that_are_no_object_are_told_as_they_are() -> None:
    turn = hear(streams(calls(piece("f", [1, 2], index=0)), ends("tool_calls")))
    assert turn.calls == [CalledFunction("f", "[1,2]")]


@pytest.mark.parametrize(
    ("usage", "heard"),
    [
        ({"prompt_tokens": 3.0, "completion_tokens": 2.25}, Usage(3, 2)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": [],
                "completion_tokens_details": {"reasoning_tokens": "none"},
            },
            Usage(3, 2),
        ),
        ({"prompt_tokens": 3, "completion_tokens": -1}, Usage(3, 0)),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1.0}}, Usage(3, 0, 1)),
    ],
    ids=["floats", "details that are none", "less than nothing", "floats in details"],
)
def test_usage_in_other_numbers_is_understood(usage: dict[str, Any], heard: Usage) -> None:
    finished = hear(streams(says("Hi"), ends("stop"), {"choices": [], "usage": usage})).finished
    assert (finished.usage, finished.counted_by_backend) == (heard, True)


@pytest.mark.parametrize(
    "usage",
    [
        "none",
        [],
        {"prompt_tokens": "3"},
        {"prompt_tokens": True},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": 3, "completion_tokens": 1e300},
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1 << 31}},
    ],
)
def test_usage_that_is_none_is_counted_here(usage: Any) -> None:
    finished = hear(streams(says("Hi"), ends("stop"), {"choices": [], "usage": usage})).finished
    assert not finished.counted_by_backend


def test_usage_within_a_choice_is_heard() -> None:
    """As Moonshot tells it."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    finished = hear(streams(says("Hi"), says("", finish_reason="stop", usage=usage))).finished
    assert finished.usage == Usage(3, 2)


def test_thoughts_that_are_counted_apart_are_part_of_the_answer() -> None:
    """As xAI counts; whoever counts them within the answer has another total."""
    apart = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    told = hear(streams(says("Hi"), ends("stop"), {"usage": apart})).finished.usage
    assert told == Usage(32, 103, reasoning_tokens=94)
    within = apart | {"completion_tokens": 103}
    assert hear(streams(says("Hi"), ends("stop"), {"usage": within})).finished.usage == told


def test_thoughts_that_the_total_alone_tells_of_are_part_of_the_answer() -> None:
    """As Gemini counts."""
    usage = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}
    told = hear(streams(says("Hi"), ends("stop"), {"usage": usage})).finished.usage
    assert told == Usage(32, 103, reasoning_tokens=94)


@pytest.mark.parametrize(
    ("content", "text"),
    [(6, "6"), (0.5, "0.5"), (True, "true"), ({"city": "Rome"}, '{"city":"Rome"}')],
)
def test_content_that_has_become_another_type_is_text(content: Any, text: str) -> None:
    """Workers AI reads each piece as JSON, if it is some."""
    assert hear(streams(says("="), says(content), ends("stop"))).text == f"={text}"


@pytest.mark.parametrize(
    "delta",
    [
        {"function_call": {}},
        {"function_call": {"name": "", "arguments": ""}},
        {"tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": ""}}]},
        {"tool_calls": [{}]},
    ],
)
def test_a_call_of_nothing_is_none(delta: dict[str, Any]) -> None:
    turn = hear(streams(says("Hi"), {"choices": [{"delta": delta}]}, ends("stop")))
    assert (turn.text, turn.calls, turn.finished.reason) == ("Hi", [], "stop")


@pytest.mark.parametrize("name", [None, "get_weather"])
def test_arguments_that_are_told_again_as_a_whole_are_told_once(name: str | None) -> None:
    """As LiteLLM sums up what it has streamed."""
    pieces = [
        calls(piece("get_weather", '{"city":', index=0, id="a")),
        calls(piece(None, '"Paris"}', index=0, id="a")),
        calls(piece(name, '{"city":"Paris"}', index=0, id="a")),
    ]
    assert hear(streams(*pieces, ends("tool_calls"))).calls == [PARIS]


def test_a_message_that_sums_up_what_was_streamed_is_heard_once() -> None:
    whole = {"choices": [{"message": {"content": "Hi there"}, "finish_reason": "stop"}]}
    assert hear(streams(says("Hi "), says("there"), whole)).text == "Hi there"


@pytest.mark.parametrize("ending", ["stop", None])
def test_a_name_may_come_in_pieces(ending: str | None) -> None:
    request = asking("Hi", offers=(WEATHER,))
    pieces = [
        calls(piece("get_", "", index=0, id="a")),
        calls(piece("weather", "", index=0)),
        calls(piece(None, '{"city":"Paris"}', index=0)),
    ]
    turn = hear(streams(*pieces, ends(ending)), request)
    assert (turn.calls, turn.ids) == ([PARIS], ["a"])


def test_a_name_that_stays_half_is_told_as_it_came() -> None:
    turn = hear(
        streams(calls(piece("get_", "{}", index=0)), ends("stop")), asking("Hi", offers=(WEATHER,))
    )
    assert turn.calls == [CalledFunction("get_", "{}")]


# Framing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        ("data: null\n\n", f"data: {json.dumps(says('Hi'))}\n\ndata: [DONE]\n\n"),
        (f"data: {json.dumps(says('Hi'))}\n\n", "data: [DONE] \n\n"),
    ],
    ids=["null", "blank after DONE"],
)
def test_what_says_nothing_is_passed_over(pieces: tuple[str, ...]) -> None:
    assert hear(sends(*pieces)).text == "Hi"


def test_a_whole_answer_may_come_after_blanks() -> None:
    """As OpenRouter keeps a connection awake; each packet is read before the next is sent."""

    async def waits(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for packet in (b" \n", b"\n", json.dumps(says("Hi")).encode()):
            await response.write(packet)
            for _turn in range(100):
                await asyncio.sleep(0)
        return response

    assert hear(waits).text == "Hi"


def test_others_have_their_turn_while_much_is_read_at_once() -> None:
    turns = 0

    async def packed(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        said = json.dumps(says("Hi", finish_reason="stop")).encode()
        body = (b":" * 1_023 + b"\n") * (8 << 10) + b"data: %b\n\n" % said
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        return web.Response(body=gzip.compress(body), headers=headers)

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def scene() -> Turn:
        async with FakeModel(packed) as server:
            others = asyncio.create_task(count())
            try:
                return fold(await collect(ChatCompletions(server.url), asking("Hi")))
            finally:
                others.cancel()

    assert asyncio.run(scene()).text == "Hi"
    assert turns > (8 << 20) / (64 << 10)


def test_an_event_in_very_many_packets_is_not_copied_with_each() -> None:
    """Reaches inside: how often bytes are copied shows nowhere else but on a clock."""

    class Packet(bytes):
        copied = 0

        def __radd__(self, before: bytes) -> bytes:
            Packet.copied += len(before)
            return before + bytes(self)

    data = EventData(most_bytes=1 << 20)
    packets = [Packet(b"data: "), *[Packet(b"12345678")] * 1_000, Packet(b"\n\n")]
    events = [event for packet in packets for event in data.feed(packet)]
    assert events == [b"12345678" * 1_000]
    assert Packet.copied < 10 * len(events[0])


@pytest.mark.parametrize(
    "line",
    [
        'error: {"code":500,"message":"Out of memory","type":"server_error"}\n\n',
        '{"error":{"message":"Out of memory","type":"api_error"}}\n',
    ],
    ids=["older llama.cpp", "Ollama"],
)
def test_an_error_beside_the_events_is_told(line: str) -> None:
    half = f"data: {json.dumps(says('Half'))}\n\n"
    assert failure_of(sends(half, line)).message == "Out of memory"


@pytest.mark.parametrize(
    "halves",
    [(r'"\ud83d"', r'"\ude00 yes"'), (r'"a \ud83d"', r'"\ude00"')],
)
def test_a_character_that_was_cut_in_two_is_whole_again(halves: tuple[str, str]) -> None:
    told = [f'data: {{"choices": [{{"delta": {{"content": {half}}}}}]}}\n\n' for half in halves]
    text = hear(sends(*told, "data: [DONE]\n\n")).text
    assert "\N{GRINNING FACE}" in text
    assert "\ufffd" not in text


@pytest.mark.parametrize("lone", [r"a\ude00b", r"a\ud83db"])
def test_half_a_character_fails_no_run(lone: str) -> None:
    told = f'data: {{"choices": [{{"delta": {{"content": "{lone}"}}}}]}}\n\n'
    assert hear(sends(told, "data: [DONE]\n\n")).text == "a\ufffdb"


# Errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        (
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            "login fail",
            "server_error",
        ),
        ({"message": "Internal server error"}, "Internal server error", "server_error"),
        ({"detail": "No such model"}, "No such model", "server_error"),
        (
            {"success": False, "errors": [{"code": 5006, "message": "Bad input"}], "result": {}},
            "Bad input",
            "server_error",
        ),
        (
            {
                "choices": [
                    {
                        "delta": {"content": ""},
                        "finish_reason": "error",
                        "error": {"code": 429, "message": "Slow down"},
                    }
                ]
            },
            "Slow down",
            "rate_limit_exceeded",
        ),
    ],
    ids=["MiniMax", "API Gateway", "FastAPI", "Workers AI", "OpenRouter"],
)
def test_an_error_is_one_whatever_its_shape(
    document: dict[str, Any], message: str, code: str
) -> None:
    error = failure_of(sends(json.dumps(document)), retries=0)
    assert (error.message, error.code) == (message, code)
    half = f"data: {json.dumps(says('Half'))}\n\n"
    error = failure_of(sends(half, f"data: {json.dumps(document)}\n\n"))
    assert (error.message, error.code) == (message, code)


def test_an_error_in_plain_text_is_told() -> None:
    """As TGI and others in Rust refuse what they cannot read."""
    words = "Failed to deserialize the JSON body into the target type: unknown variant `tool`"
    error = failure_of(refuses(422, f"{words}\n"))
    assert (error.message, error.code) == (words, "invalid_prompt")


def test_an_error_that_does_not_say_whether_it_passes_is_asked_about_again() -> None:
    vague = sends('data: {"message": "Internal server error"}\n\n')
    turn, server = ask(vague, streams(says("Hi"), ends("stop")))
    assert (turn.text, len(server.bodies)) == ("Hi", 2)


@pytest.mark.parametrize("errors", [{"model": ["?"]}, ["?"], [{"loc": "model"}]])
def test_words_that_stand_beside_details_are_told(errors: Any) -> None:
    error = failure_of(refuses(400, {"message": "Bad model.", "errors": errors}))
    assert error.message == "Bad model."


def test_an_answer_with_a_report_of_success_is_no_error() -> None:
    done = {"choices": None, "base_resp": {"status_code": 0, "status_msg": ""}}
    assert hear(streams(says("Hi"), done)).text == "Hi"


def test_a_call_that_groq_cannot_read_is_asked_for_again() -> None:
    error = {
        "message": "Failed to call a function. Please adjust your prompt.",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
    }
    turn, server = ask(
        sends(f"event: error\ndata: {json.dumps({'error': error})}\n\n"),
        streams(says("Hi"), ends("stop")),
    )
    assert (turn.text, len(server.bodies)) == ("Hi", 2)
    assert failure_of(streams({"error": error})).code == "server_error"
