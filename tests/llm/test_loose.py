"""What servers send that is not quite Chat Completions, and what is understood of it."""

from typing import Any

import pytest
from tests.kit.fake_model import streams
from tests.llm.hearing import PARIS, ROME, calls, ends, hear, piece, says
from tests.llm.turns import WEATHER, asking

from locum.llm.protocol import CalledFunction, Usage


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


@pytest.mark.parametrize("usage", ["none", [], {"prompt_tokens": "3"}, {"prompt_tokens": True}])
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
