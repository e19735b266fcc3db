"""The dialects of Chat Completions, each as some server speaks it."""

import json
from typing import Any

import pytest
from tests.kit.fake_model import sends, streams
from tests.llm.asking_chat import ask
from tests.llm.hearing import PARIS, ROME, calls, ends, hear, piece, says
from tests.llm.turns import asking

from locum.llm import tokens
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    ModelError,
    Request,
    ToolResult,
    Usage,
    User,
)

# Framing -----------------------------------------------------------------------------------

ONE = json.dumps(says("One "))
TWO = json.dumps(says("two", finish_reason="stop"))


@pytest.mark.parametrize(
    "pieces",
    [
        (f"data: {ONE}\n\n", f"data: {TWO}\n\ndata: [DONE]\n\n"),
        (f"data: {ONE}\r\n\r", f"\ndata: {TWO}\r\n\r\ndata: [DONE]\r\n\r\n"),
        (f"data:{ONE}\n\ndata:{TWO}\n\ndata:[DONE]\n\n",),
        (f": waiting\n\n: still\ndata: {ONE}\n\n:\n\n", f"data: {TWO}\n\n"),
        (f"event: chunk\nid: 7\nretry: 10\ndata: {ONE}\n\n", f"data: {TWO}"),
        (f"data: {ONE}\ndata: {TWO}\ndata: [DONE]\n",),
        tuple(f"data: {ONE}\n\ndata: {TWO}\n\n"),
        (f"\ufeffdata: {ONE}\n\n", "data\n\n", "data: \n\n", f"data: {TWO}\n\n"),
        ('data: {"choices":\ndata:  [{"delta": {"content": "One two"}}]}\n\ndata: [DONE]',),
        (f"data: {ONE}\n\ndata: {TWO}\n\ndata: [DONE]\n\n", "data: never read"),
    ],
    ids=[
        "plain",
        "CRLF",
        "no space",
        "comments, no DONE",
        "other fields, no end",
        "no blank lines",
        "byte by byte",
        "BOM and empty events",
        "data in lines",
        "after DONE",
    ],
)
def test_events_are_read_however_they_are_framed(pieces: tuple[str, ...]) -> None:
    turn = hear(sends(*pieces))
    assert (turn.text, turn.finished.reason) == ("One two", "stop")


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_a_whole_answer_to_a_request_for_a_stream(content_type: str) -> None:
    document = {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "tool_calls": [
                        piece("get_weather", '{"city":"Paris"}', id="call_a"),
                        piece("get_weather", '{"city":"Rome"}', id="call_b"),
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }
    body = json.dumps(document, indent=1)
    turn = hear(sends(body[:40], body[40:], content_type=content_type))
    assert turn.text == "Let me see."
    assert (turn.calls, turn.ids) == ([PARIS, ROME], ["call_a", "call_b"])
    assert turn.finished.reason == "calls"
    assert turn.finished.usage == Usage(prompt_tokens=9, completion_tokens=5)


# Text --------------------------------------------------------------------------------------


def test_content_may_be_a_list_of_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "Hi"},
        {"type": "refusal", "refusal": "but no"},
    ]
    turn = hear(streams(says(parts)))
    assert (turn.text, turn.refusal) == ("Hi", "but no")


def test_refusals_come_in_deltas() -> None:
    chunks = [{"choices": [{"delta": {"refusal": text}}]} for text in ("I ", "will not.")]
    assert hear(streams(*chunks, ends("stop"))).refusal == "I will not."


def test_chunks_with_nothing_to_say_are_passed_over() -> None:
    silent = [{"choices": []}, {}, says(None), says(""), {"choices": None, "usage": None}]
    azure = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    assert hear(streams(azure, *silent, says("Hi"), *silent)).text == "Hi"


def test_only_the_first_of_several_answers_is_heard() -> None:
    chunk = {"choices": [{"delta": {"content": "A"}}, {"delta": {"content": "B"}}]}
    assert hear(streams(chunk)).text == "A"


@pytest.mark.parametrize(
    ("reason", "heard"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        (None, "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"),
        ("content_filter: RECITATION", "content_filter"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
    ],
)
def test_reasons_to_finish_are_told_in_our_words(reason: str | None, heard: str) -> None:
    assert hear(streams(says("Hi"), ends(reason))).finished.reason == heard


@pytest.mark.parametrize(
    ("reason", "heard"),
    [
        ("tool_calls", "calls"),
        ("function_call", "calls"),
        ("stop", "calls"),
        (None, "calls"),
        ("length", "length"),
    ],
)
def test_calls_are_a_reason_to_finish_whatever_it_is_called(reason: str | None, heard: str) -> None:
    called = calls(piece("f", "{}", index=0, id="call_a"))
    assert hear(streams(called, ends(reason))).finished.reason == heard


@pytest.mark.parametrize(
    "reason",
    ["abort", "insufficient_system_resource", "function_call_filter: MALFORMED_FUNCTION_CALL"],
)
def test_an_answer_that_broke_off_is_none_whatever_that_is_called(reason: str) -> None:
    with pytest.raises(ModelError, match=f"broke off its answer: {reason.partition(':')[0]}"):
        hear(streams(says("Half"), ends(reason)))


def test_an_empty_answer_that_says_so_is_one() -> None:
    turn = hear(streams(ends("stop")))
    assert (turn.text, turn.calls, turn.finished.reason) == ("", [], "stop")


def test_calls_that_are_told_of_and_do_not_come_are_asked_for_again() -> None:
    with pytest.raises(ModelError, match="stopped to call functions and called none"):
        hear(streams(says(""), ends("tool_calls")))
    turn, server = ask(streams(ends("tool_calls")), streams(says("Hi"), ends("stop")))
    assert (turn.text, len(server.bodies)) == ("Hi", 2)


# Usage -------------------------------------------------------------------------------------


def test_usage_in_a_last_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    finished = hear(streams(says("Hi"), ends("stop"), {"choices": [], "usage": usage})).finished
    assert finished.counted_by_backend
    assert finished.usage == Usage(30, 20, cached_tokens=10, reasoning_tokens=5)


def test_usage_with_every_chunk_is_not_added_up() -> None:
    reports = [
        says(word, usage=None) | {"usage": {"prompt_tokens": 4, "completion_tokens": number}}
        for number, word in enumerate(("a", "b", "c"), start=1)
    ]
    assert hear(streams(*reports)).finished.usage == Usage(4, 3)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens_details": None}])
def test_missing_usage_is_counted_here(usage: dict[str, Any] | None) -> None:
    request = asking("How are you?")
    finished = hear(streams(says("Hi there"), {"choices": [], "usage": usage}), request).finished
    assert not finished.counted_by_backend
    assert finished.usage == Usage(
        tokens.count_messages(request.messages), tokens.count("Hi there")
    )


def test_missing_usage_of_calls_is_counted_here() -> None:
    finished = hear(streams(calls(piece("get_weather", '{"city":"Paris"}')))).finished
    assert finished.usage.completion_tokens == tokens.count("get_weather") + tokens.count(
        '{"city":"Paris"}'
    )


def test_thoughts_told_by_both_names_are_counted_once() -> None:
    thought = {"reasoning_content": "Let me think", "reasoning": "Let me think"}
    turn = hear(streams({"choices": [{"delta": thought}]}, says("Hi"), ends("stop")))
    assert turn.finished.usage.reasoning_tokens == tokens.count("Let me think")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_no_text_but_are_counted(name: str) -> None:
    thought = {"choices": [{"delta": {name: "Let me think"}}]}
    turn = hear(streams(thought, says("Hi")))
    assert turn.text == "Hi"
    assert turn.finished.usage.reasoning_tokens == tokens.count("Let me think")
    assert turn.finished.usage.completion_tokens == tokens.count("Let me think") + tokens.count(
        "Hi"
    )


# Calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        [
            calls(piece("get_weather", "", index=0, id="call_a")),
            calls(piece(None, '{"city":', index=0)),
            calls(piece(None, '"Paris"}', index=0)),
            calls(piece("get_weather", "", index=1, id="call_b")),
            calls(piece(None, '{"city":"Rome"}', index=1)),
        ],
        [
            calls(
                piece("get_weather", '{"city":"Paris"}', index=0),
                piece("get_weather", '{"city":"Rome"}', index=1),
            )
        ],
        [
            calls(piece("get_weather", {"city": "Paris"}, id="a")),
            calls(piece("get_weather", {"city": "Rome"}, id="b")),
        ],
        [
            calls(piece("get_weather", '{"city":"Paris"}', index=0, id="call_a")),
            calls(piece("get_weather", '{"city":"Rome"}', index=0, id="call_b")),
        ],
        [
            calls(piece("get_weather", '{"city":"Paris"}', index=0, id="")),
            calls(piece("get_weather", '{"city":"Rome"}', index=0, id="")),
        ],
        [
            calls(piece("get_weather", '{"city":"Paris"}')),
            calls(piece("get_weather", '{"city":"Rome"}')),
        ],
        [
            calls(piece("get_weather", '{"city":', index=0, id="call_a")),
            calls(piece("get_weather", '"Paris"}', index=0, id="call_a")),
            calls(piece("get_weather", "", index=0, id="call_a")),
            calls(piece("get_weather", '{"city":', index=1, id="call_b")),
            calls(piece("get_weather", '"Rome"}', index=1, id="call_b")),
        ],
        [
            calls(piece("get_weather", '{"city":', index=0)),
            calls(piece("get_weather", '"Paris"}', index=0)),
            calls(piece("get_weather", "", index=0)),
            calls(piece("get_weather", '{"city":"Rome"}', index=0)),
        ],
        [
            calls(piece("get_weather", '{"city":"Paris"}', index=0, id="same")),
            calls(piece("get_weather", '{"city":"Rome"}', index=1, id="same")),
        ],
        [
            calls(
                piece("get_weather", '{"city":', index=0, id="call_a"),
                piece("get_weather", '{"city":', index=1, id="call_b"),
            ),
            calls(piece(None, '"Paris"}', index=0), piece(None, '"Rome"}', index=1)),
        ],
        [
            calls(piece(None, '{"city":', index=0, id="call_a")),
            calls(piece("get_weather", '"Paris"}', index=0)),
            calls(piece("get_weather", '{"city":"Rome"}', index=5, id="call_b")),
        ],
        [
            calls(piece("get_weather", '{"city":"Paris"}', index=0)),
            calls({"index": 0, "id": "call_late"}),
            calls(piece("get_weather", '{"city":"Rome"}', index=1)),
        ],
        [
            calls(piece("get_weather", "", index=0, id="call_a")),
            calls(piece(None, '{"city":', index=0, id="call_b")),
            calls(piece(None, '"Paris"}', index=0, id="call_c")),
            calls(piece("get_weather", "", index=1, id="call_d")),
            calls(piece(None, '{"city":"Rome"}', index=1, id="call_e")),
        ],
    ],
    ids=[
        "as OpenAI does",
        "in one piece without ids",
        "arguments as objects without indexes",
        "all indexes zero",
        "all indexes zero with empty ids",
        "neither ids nor indexes",
        "name and id in every piece",
        "name in every piece without ids",
        "one id for all",
        "interleaved",
        "name after arguments, gaps in indexes",
        "id after the name",
        "another id in every piece",
    ],
)
def test_calls_are_told_apart(chunks: list[dict[str, Any]]) -> None:
    turn = hear(streams(*chunks, ends("tool_calls")))
    assert turn.calls == [PARIS, ROME]
    assert len(set(turn.ids)) == 2
    assert all(turn.ids)


def test_calls_to_different_functions_are_told_apart_by_name() -> None:
    turn = hear(streams(calls(piece("a", "{", index=0), piece("b", "{}", index=0))))
    assert [call.name for call in turn.calls] == ["a", "b"]


def test_a_call_without_an_id_gets_one_of_ours() -> None:
    assert hear(streams(calls(piece("f", "{}", index=0)))).ids == ["call_new1"]


def test_an_id_that_was_used_in_an_earlier_turn_is_replaced() -> None:
    request = Request(
        model="m",
        messages=(
            User("Go"),
            Assistant(None, (Call("call_0", CalledFunction("f", "{}")),)),
            ToolResult("call_0", "done"),
        ),
    )
    chunks = [calls(piece("f", "{", index=0, id="call_0")), calls(piece(None, "}", id="call_0"))]
    turn = hear(streams(*chunks), request)
    assert (turn.ids, turn.calls) == (["call_new1"], [CalledFunction("f", "{}")])


def test_missing_arguments_are_none() -> None:
    turn = hear(streams(calls({"index": 0, "id": "call_a", "function": {"name": "f"}})))
    assert turn.calls == [CalledFunction("f", "{}")]


def test_a_call_in_the_older_form() -> None:
    deltas = [{"name": "get_weather", "arguments": ""}, {"arguments": '{"city":"Paris"}'}]
    chunks = [{"choices": [{"delta": {"function_call": delta}}]} for delta in deltas]
    turn = hear(streams(*chunks, ends("function_call")))
    assert (turn.calls, turn.finished.reason) == ([PARIS], "calls")


@pytest.mark.parametrize("chunk", [calls(piece(None, "{}", index=0)), calls({"id": "call_a"})])
def test_a_call_without_a_name_fails_the_turn(chunk: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="without saying which"):
        hear(streams(chunk))


def test_calls_without_end_fail_the_turn() -> None:
    with pytest.raises(ModelError, match="more than 128 calls"):
        hear(streams(calls(*[piece("f", "{}", index=n) for n in range(200)])))
