"""What servers give with the calls of an answer and want to see again with their results."""

import asyncio
import re
from typing import Any

import pytest
from msgspec.structs import replace
from tests.kit.fake_model import FakeModel, Reply, refuses, streams
from tests.kit.insisting_model import (
    ALL_THOUGHTS,
    MISSES_SIGNATURE,
    MISSES_THOUGHTS,
    SIGNED,
    SUNNY,
    calls,
    insists,
)
from tests.llm.turns import Turn, after, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.kept import Given, Kept
from locum.llm.protocol import Assistant, Call, CalledFunction, Request, ToolResult, User

UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}


def _turns(*requests: Request | None, replies: tuple[Reply, ...]) -> tuple[list[Turn], list[Any]]:
    """Ask for one turn after the other; None is the one that answers the calls of the last."""

    async def scene() -> tuple[list[Turn], list[Any]]:
        turns: list[Turn] = []
        async with FakeModel(*replies) as server:
            chat = ChatCompletions(server.url, retries=0)
            last = asking("Hi")
            for request in requests:
                last = request or after(last, turns[-1], ["21 °C"] * len(turns[-1].ids))
                turns.append(fold(await collect(chat, last)))
            return turns, server.bodies

    return asyncio.run(scene())


def _remembered(*cities: str) -> Request:
    """What follows calls of which nothing is kept: another process has made them."""
    calls = tuple(
        Call(f"call_{place}", CalledFunction("get_weather", f'{{"city":"{city}"}}'))
        for place, city in enumerate(cities)
    )
    answers = tuple(ToolResult(call.id, "21 °C") for call in calls)
    return Request(model="any", messages=(User("Hi"), Assistant(None, calls), *answers))


def _signatures(body: Any, place: int = 1) -> list[Any]:
    return [call.get("extra_content") for call in body["messages"][place]["tool_calls"]]


# Signatures --------------------------------------------------------------------------------


def test_a_signature_goes_back_with_its_call() -> None:
    replies = (
        calls("Paris", "Rome", first={"extra_content": SIGNED}),
        insists("extra_content", MISSES_SIGNATURE),
    )
    turns, bodies = _turns(asking("Hi"), None, replies=replies)
    assert turns[1].text == "Sunny."
    assert len(bodies) == 2
    assert _signatures(bodies[1]) == [SIGNED, None]


def test_a_signature_may_come_after_its_call() -> None:
    called = {"id": "call_0", "function": {"name": "get_weather", "arguments": "{}"}}
    reply = streams(
        *(
            {"choices": [{"delta": {"tool_calls": [piece]}}]}
            for piece in (called, {"extra_content": SIGNED})
        ),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    )
    replies = (reply, insists("extra_content", MISSES_SIGNATURE))
    _, bodies = _turns(asking("Hi"), None, replies=replies)
    assert _signatures(bodies[1]) == [SIGNED]


def test_a_lost_signature_is_no_reason_to_fail() -> None:
    again = _remembered("Paris", "Rome")
    replies = (insists("extra_content", MISSES_SIGNATURE),)
    turns, bodies = _turns(again, again, replies=replies)
    assert [turn.text for turn in turns] == ["Sunny.", "Sunny."]
    assert [_signatures(body) for body in bodies] == [[None, None], *[[UNSIGNED, None]] * 2]


def test_who_signs_nothing_is_given_nothing() -> None:
    replies = (calls("Paris", reasoning_content="Where?"), SUNNY)
    _, bodies = _turns(asking("Hi"), None, replies=replies)
    assert bodies[1]["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert _signatures(bodies[1]) == [None]


def test_details_go_back_as_a_whole() -> None:
    signed = {"type": "reasoning.encrypted", "data": "c2ln", "id": "call_0", "index": 0}
    pieces = [
        {"type": "reasoning.text", "text": "Where", "index": 0, "format": None},
        {"type": "reasoning.text", "text": " is it?", "index": 0, "format": "google-gemini-v1"},
        {"type": "reasoning.text", "text": "There.", "index": 1},
        signed,
        signed | {"id": "call_1"},
        None,
    ]
    replies = (calls("Paris", "Rome", reasoning_details=pieces), SUNNY)
    _, bodies = _turns(asking("Hi"), None, replies=replies)
    assert bodies[1]["messages"][1]["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "Where is it?",
            "index": 0,
            "format": "google-gemini-v1",
        },
        {"type": "reasoning.text", "text": "There.", "index": 1},
        signed,
        signed | {"id": "call_1"},
    ]


# Thoughts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [MISSES_THOUGHTS, ALL_THOUGHTS])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_go_back_to_who_asks_for_them(name: str, words: str) -> None:
    thought: dict[str, Any] = {name: "Where?"}
    replies = (calls("Paris", **thought), insists("reasoning_content", words))
    turns, bodies = _turns(asking("Hi"), None, replies=replies)
    assert turns[1].text == "Sunny."
    told = [body["messages"][1].get("reasoning_content") for body in bodies[1:]]
    assert told == [None, "Where?"]


def test_lost_thoughts_are_no_reason_to_fail() -> None:
    asked = _remembered("Paris")
    asked = replace(asked, messages=(Assistant("Welcome."), *asked.messages))
    replies = (insists("reasoning_content", ALL_THOUGHTS),)
    turns, bodies = _turns(asked, asked, replies=replies)
    assert [turn.text for turn in turns] == ["Sunny.", "Sunny."]
    assert len(bodies) == 3
    told = [one.get("reasoning_content") for one in bodies[2]["messages"]]
    assert told == [".", None, ".", None]


def test_nobody_reads_what_was_thought_about_anothers_question() -> None:
    replies = (
        calls("Paris", reasoning_content="His secret is 7."),
        insists("reasoning_content", MISSES_THOUGHTS),
    )
    # Calls of both have the same names, arguments and ids.
    _, bodies = _turns(asking("My secret is 7."), _remembered("Paris"), replies=replies)
    assert bodies[2]["messages"][1]["reasoning_content"] == "."
    _, bodies = _turns(asking("My secret is 7."), None, replies=replies)
    assert bodies[2]["messages"][1]["reasoning_content"] == "His secret is 7."


# Ids ---------------------------------------------------------------------------------------


def test_calls_of_another_model_get_ids_that_mistral_takes() -> None:
    words = "Tool call id was call_0 but must be a-z, A-Z, 0-9, with a length of 9."
    refusal = {"object": "error", "message": words, "type": "invalid_function_call", "code": "3280"}
    own = Call("a1B2c3D4e", CalledFunction("get_weather", "{}"))
    asked = _remembered("Paris", "Rome")
    asked = replace(
        asked,
        messages=(*asked.messages, Assistant(None, (own,)), ToolResult(own.id, "19 °C")),
    )
    turns, bodies = _turns(asked, asked, replies=(refuses(400, refusal), SUNNY))
    assert [turn.text for turn in turns] == ["Sunny.", "Sunny."]
    assert bodies[1] == bodies[2]
    messages = bodies[2]["messages"]
    made = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert [one["tool_call_id"] for one in messages if one["role"] == "tool"] == made
    assert all(re.fullmatch("[A-Za-z0-9]{9}", one) for one in made)
    assert len(set(made)) == 3
    assert made[2] == own.id


# What is kept ------------------------------------------------------------------------------


def test_the_newest_is_kept() -> None:
    kept = Kept(most_bytes=150)
    requests = [
        Request(
            model="any",
            messages=(User(f"{number}"), Assistant(None, (Call("a", CalledFunction("f", "")),))),
        )
        for number in range(5)
    ]
    for request in requests:
        kept.keep(replace(request, messages=request.messages[:1]), ["a"], Given(thoughts="t" * 20))
    assert [bool(kept.of(request)) for request in requests] == [False, False, False, True, True]


def test_what_is_too_large_is_not_kept() -> None:
    kept = Kept(most_bytes=150)
    kept.keep(asking("Hi"), ["a"], Given(thoughts="t" * 200))
    assert not kept.of(_remembered("Paris"))
    kept.keep(asking("Hi"), ["call_0"], Given(thoughts="t"))
    kept.keep(asking("Hi"), ["call_0"], Given(thoughts="u"))
    assert kept.of(_remembered("Paris")) == {1: Given(thoughts="u")}
