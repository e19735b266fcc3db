"""What servers send that is not quite the Responses API, and what is understood of it."""

import asyncio
import json
from typing import Any

import pytest
from tests.kit.fake_model import FakeModel, sends
from tests.kit.fake_responses import calls, codes, events, says, whole
from tests.llm.turns import asking, collect, fold

from locum.llm.protocol import (
    CalledFunction,
    Event,
    ModelError,
    ProviderCallDone,
    Usage,
)
from locum.llm.responses import Responses
from locum.wire.steps import CodeInterpreterCall, FileSearchCall, FunctionCall

PARIS = CalledFunction("get_weather", '{"city":"Paris"}')


def hear(*documents: Any) -> list[Event]:
    async def scene() -> list[Event]:
        async with FakeModel(sends(*map(_framed, documents))) as server:
            return await collect(Responses(server.url, retries=0), asking("Hi"))

    return asyncio.run(scene())


def _framed(document: Any) -> str:
    return f"data: {json.dumps(document)}\n\n"


def _ended(**fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": whole() | fields}


@pytest.mark.parametrize("refusal", [False, True])
def test_a_delta_of_nothing_says_nothing(refusal: bool) -> None:
    told = events(says("Well.", refusal=refusal))
    told.insert(3, told[3] | {"delta": None})
    turn = fold(hear(*told))
    assert turn.text + turn.refusal == "Well."


@pytest.mark.parametrize(
    ("pieces", "heard"),
    [
        ([r"\ud83d", r"\ude00 yes"], "\N{GRINNING FACE} yes"),
        ([r"a\ude00b"], "a\ufffdb"),
        ([r"a\ud83db"], "a\ufffdb"),
    ],
)
def test_a_character_that_was_cut_in_two_fails_no_run(pieces: list[str], heard: str) -> None:
    told = [f'{{"type": "response.output_text.delta", "delta": "{piece}"}}' for piece in pieces]
    ended = json.dumps({"type": "response.completed", "response": {}})
    body = sends(*(f"data: {document}\n\n" for document in [*told, ended]))

    async def scene() -> list[Event]:
        async with FakeModel(body) as server:
            return await collect(Responses(server.url, retries=0), asking("Hi"))

    assert fold(asyncio.run(scene())).text == heard


def test_what_nobody_carries_out_is_named_no_longer_than_can_be_read() -> None:
    with pytest.raises(ModelError, match=r"asks for a 'x+'") as refused:
        hear({"type": "response.output_item.added", "item": {"type": "x" * 100_000 + "_call"}})
    assert len(refused.value.message) < 200


def test_a_score_that_no_number_can_hold_is_none() -> None:
    results = [{"file_id": "file-1", "filename": "a", "score": 10**400, "text": "A"}]
    item = {"type": "file_search_call", "id": "fs_1", "status": "completed", "results": results}
    told = hear({"type": "response.output_item.done", "output_index": 0, "item": item}, _ended())
    [done] = [event for event in told if isinstance(event, ProviderCallDone)]
    assert isinstance(done.call, FileSearchCall)
    assert [one.score for one in done.call.file_search.results or ()] == [0.0]


def test_arguments_of_nothing_add_nothing() -> None:
    told = events(calls("get_weather", '{"city":"Paris"}'))
    at = next(at for at, event in enumerate(told) if event["type"].endswith("arguments.delta"))
    told.insert(at, told[at] | {"delta": None})
    assert fold(hear(*told)).calls == [PARIS]


@pytest.mark.parametrize("streams", [True, False])
def test_arguments_may_be_an_object(streams: bool) -> None:
    item: dict[str, Any] = {"type": "function_call", "call_id": "a", "name": "get_weather"}
    item |= {"arguments": {"city": "Paris"}}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    told = [done, _ended()] if streams else [_ended(output=[item])]
    assert fold(hear(*told)).calls == [PARIS]


def test_what_is_no_item_and_no_part_is_passed_over() -> None:
    message = {"type": "message", "content": [None, "?", {"type": "output_text", "text": "Hi"}]}
    empty: list[Any] = [
        {"type": "response.output_item.added", "output_index": 0, "item": None},
        {"type": "response.output_item.done", "output_index": 0, "item": "?"},
        None,
    ]
    turn = fold(hear(*empty, _ended(output=[None, "?", message, {"type": "message"}])))
    assert (turn.text, turn.calls, turn.finished.reason) == ("Hi", [], "stop")
    assert fold(hear(_ended(output="?", incomplete_details="?"))).text == ""


@pytest.mark.parametrize("response", [None, "?", []])
def test_an_end_without_a_response_is_one(response: Any) -> None:
    told = events(says("Well."))[:-1]
    assert fold(hear(*told, {"type": "response.completed", "response": response})).text == "Well."


@pytest.mark.parametrize(
    ("usage", "heard"),
    [
        ({"input_tokens": 7.0, "output_tokens": 5.0, "input_tokens_details": []}, Usage(7, 5)),
        (
            {
                "input_tokens": 7,
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 4},
                "total_tokens": 16,
            },
            Usage(7, 9, reasoning_tokens=4),
        ),
        ([], None),
        ({"input_tokens": None}, None),
        ({"input_tokens": 10**30, "output_tokens": 5}, None),
    ],
)
def test_usage_is_heard_or_counted_here(usage: Any, heard: Usage | None) -> None:
    finished = fold(hear(*events(says("Well."))[:-1], _ended(usage=usage))).finished
    assert finished.counted_by_backend is (heard is not None)
    assert heard in (None, finished.usage)
    assert finished.usage.completion_tokens > 0


def test_an_answer_in_place_of_a_stream_need_not_say_that_it_is_complete() -> None:
    document = whole(says("Well."))
    del document["status"]
    assert fold(hear(document)).text == "Well."


def test_a_call_without_a_name_fails_the_turn() -> None:
    with pytest.raises(ModelError, match="without saying which"):
        hear(_ended(output=[{"type": "function_call", "call_id": "a", "arguments": "{}"}]))


ODD: list[Any] = [None, "?", 1, {"type": 1}]


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"type": "code_interpreter_call", "code": None, "outputs": ODD}, CodeInterpreterCall),
        ({"type": "code_interpreter_call", "code": 1, "outputs": "?"}, CodeInterpreterCall),
        (
            {"type": "file_search_call", "queries": "?", "results": [*ODD, {"score": "high"}]},
            FileSearchCall,
        ),
        (
            {
                "type": "file_search_call",
                "results": [{"file_id": 1, "attributes": [], "text": None}],
            },
            FileSearchCall,
        ),
        ({"type": "web_search_call", "action": "?"}, FunctionCall),
        ({"type": "mcp_call", "arguments": {"n": 1}, "output": [1], "error": []}, FunctionCall),
        ({"type": "image_generation_call", "result": 1}, FunctionCall),
    ],
)
def test_calls_of_the_provider_are_told_whatever_is_in_them(item: Any, kind: type[Any]) -> None:
    heard = hear(_ended(output=[item]))
    (done,) = [event for event in heard if isinstance(event, ProviderCallDone)]
    assert isinstance(done.call, kind)


def test_code_of_nothing_is_not_told() -> None:
    told = events(codes("1", logs="1"))
    at = next(at for at, event in enumerate(told) if event["type"].endswith("code.delta"))
    told.insert(at, told[at] | {"delta": None})
    (done,) = [event for event in hear(*told) if isinstance(event, ProviderCallDone)]
    assert isinstance(done.call, CodeInterpreterCall)
    assert done.call.code_interpreter.input == "1"
