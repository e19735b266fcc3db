"""The policy of the demo model, over a scripted one: what it says stands for the model's words."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest
from tests.llm.turns import PYTHON, SEARCH, WEATHER, after, asking, take

from locum.llm import tokens
from locum.llm.demo import DemoTools
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Event,
    Image,
    ImageURL,
    Named,
    Request,
    System,
    Text,
    ToolResult,
    Usage,
    User,
)
from locum.llm.scripted import Scripted

FOUND = "【4:0†places.txt】\nLisbon is sunny.\n\n【4:1†rain.txt】\nBergen is not."
NOTHING_SPENT = Usage(0, 0)


class Overheard(Scripted):
    """A scripted model that remembers what it was asked, and may have words put in its mouth."""

    name: ClassVar[str] = "overheard"

    def __init__(self, says: str | None = None) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self._says = says

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        if self._says is not None:
            request = asking(f"!say {self._says}", max_tokens=request.max_tokens)
        async for event in super().stream(request):
            yield event


def test_small_talk_is_the_models_own_and_offers_it_no_tools() -> None:
    model = Overheard()
    request = asking("Hello", offers=(WEATHER, PYTHON))
    turn = take(DemoTools(model), request)
    assert turn.text == "You said: Hello"
    assert turn.finished.usage.prompt_tokens == tokens.count_messages(request.messages)
    assert (model.asked[0].offers, model.asked[0].choice) == ((), "none")


def test_files_are_always_searched_with_the_users_own_words() -> None:
    model = Overheard()
    turn = take(DemoTools(model), asking("Where is it sunny?", offers=(WEATHER, SEARCH)))
    assert turn.calls == [CalledFunction("file_search", '{"queries":["Where is it sunny?"]}')]
    assert (turn.finished.reason, turn.finished.usage) == ("calls", NOTHING_SPENT)
    assert model.asked == []


def test_what_was_found_is_quoted_and_cited() -> None:
    demo = DemoTools(Overheard())
    request = asking("Where is it sunny?", offers=(SEARCH,))
    answer = take(demo, after(request, take(demo, request), [FOUND]))
    assert answer.text == "The files say: “Lisbon is sunny.” 【4:0†places.txt】"
    assert (answer.finished.reason, answer.finished.usage) == ("stop", NOTHING_SPENT)


def test_a_quotation_keeps_to_the_limit_of_tokens() -> None:
    messages = (User("Hi"), ToolResult("call_1", "one two three four five six seven"))
    turn = take(DemoTools(Overheard()), Request(model="m", messages=messages, max_tokens=6))
    assert turn.finished.reason == "length"
    assert tokens.count(turn.text) == 6


def test_no_file_is_searched_when_no_tool_may_be_used() -> None:
    turn = take(DemoTools(Overheard()), asking("Hello", offers=(SEARCH,), choice="none"))
    assert turn.text == "You said: Hello"


def test_the_arguments_of_a_named_tool_are_written_by_the_model_within_their_schema() -> None:
    model = Overheard('{ "city": "Paris",\n "unit": "C" }')
    request = asking("Is it warm in Paris?", offers=(SEARCH, WEATHER), choice=Named("get_weather"))
    turn = take(DemoTools(model), request)
    assert turn.calls == [CalledFunction("get_weather", '{"city":"Paris","unit":"C"}')]
    assert turn.finished.reason == "calls"
    assert turn.finished.usage.completion_tokens > 0
    wanted = model.asked[0].response_format
    assert wanted is not None
    assert wanted["json_schema"]["schema"] == WEATHER.function.parameters
    assert "Is it warm in Paris?" in str(model.asked[0].messages)


@pytest.mark.parametrize("written", ['{"city": "' + "word " * 500, '{"city": ' + "[" * 3_000])
def test_arguments_that_have_no_end_become_the_least_there_can_be(written: str) -> None:
    model = Overheard(written)
    turn = take(DemoTools(model), asking("Go", offers=(WEATHER,), choice="required"))
    assert turn.calls == [CalledFunction("get_weather", '{"city":"city","unit":"C"}')]
    assert turn.finished.reason == "calls"


def test_a_required_tool_is_the_search_if_there_is_one() -> None:
    demo = DemoTools(Overheard("{}"))
    both = asking("Go", offers=(WEATHER, SEARCH), choice="required")
    assert [call.name for call in take(demo, both).calls] == ["file_search"]
    one = asking("Go", offers=(PYTHON, WEATHER), choice="required")
    assert [call.name for call in take(demo, one).calls] == ["python"]


def test_a_named_tool_that_is_not_offered_is_not_called() -> None:
    turn = take(DemoTools(Overheard()), asking("Go", offers=(WEATHER,), choice=Named("other")))
    assert turn.text == "You said: Go"


def test_a_schema_is_answered_by_the_model_with_the_results_as_notes() -> None:
    model = Overheard()
    wanted = {"type": "json_object"}
    messages = (
        System("Be kind."),
        User((Text("Where is it sunny?"), Image(ImageURL("https://example.org/a.png")))),
        Assistant(None, (Call("call_1", CalledFunction("file_search", "{}")),)),
        ToolResult("call_1", FOUND),
    )
    turn = take(DemoTools(model), Request(model="m", messages=messages, response_format=wanted))
    assert turn.text.startswith('{"answer":')
    system, user, notes = model.asked[0].messages
    assert system == System("Be kind.")
    assert user == User("Where is it sunny?")
    assert isinstance(notes, User)
    assert "Lisbon is sunny." in notes.content
    assert "【" not in notes.content


def test_a_long_conversation_loses_its_beginning_but_not_its_instructions() -> None:
    model = Overheard("Fine.")
    messages = (
        System("Be kind."),
        User("word " * 1000),
        Assistant("Yes."),
        User("word " * 3500),
        Assistant("No."),
        User("Well?"),
    )
    take(DemoTools(model), Request(model="m", messages=messages))
    heard = model.asked[0].messages
    assert heard[0] == System("Be kind.")
    assert heard[-1] == User("Well?")
    assert len(heard) < len(messages)


def test_a_limit_that_nobody_asked_for_is_no_reason_to_be_incomplete() -> None:
    rambling = DemoTools(Overheard("word " * 2000))
    turn = take(rambling, asking("Go"))
    assert turn.finished.reason == "stop"
    assert turn.finished.usage.completion_tokens == 512
    assert take(rambling, asking("Go", max_tokens=9)).finished.reason == "length"


def test_it_answers_for_its_model() -> None:
    demo = DemoTools(Scripted(), ids=None)
    assert asyncio.run(demo.models()) == ["scripted"]
    assert asyncio.run(demo.check()) == asyncio.run(Scripted().check())


def test_a_model_that_refuses_to_write_arguments_has_the_least_written_for_it() -> None:
    model = Overheard("\n!refuse I will not.")
    turn = take(DemoTools(model), asking("Go", offers=(WEATHER,), choice="required"))
    assert turn.refusal == ""
    assert turn.calls == [CalledFunction("get_weather", '{"city":"city","unit":"C"}')]
