"""Tools by schema, over a scripted model that is told what to decide and what to write."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest
from tests.llm.turns import PYTHON, WEATHER, asking, take

from locum.llm.by_schema import ToolsBySchema
from locum.llm.protocol import (
    Assistant,
    Call,
    CalledFunction,
    Event,
    Finished,
    Image,
    ImageURL,
    Message,
    ModelError,
    Named,
    Request,
    System,
    Text,
    ToolResult,
    Usage,
    User,
)
from locum.llm.scripted import Scripted
from locum.llm.tool_modes import ToolMode, with_tool_mode

BOTH = (WEATHER, PYTHON)
PARIS = '{"city":"Paris","unit":"C"}'


class Told(Scripted):
    """A model that takes the turns it is told to, and remembers what it was asked."""

    name: ClassVar[str] = "told"

    def __init__(self, *turns: str) -> None:
        super().__init__()
        self._turns = list(turns)
        self.asked: list[Request] = []

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        told = asking(self._turns.pop(0), max_tokens=request.max_tokens)
        async for event in super().stream(told):
            yield event


def enumerated(request: Request) -> list[str]:
    assert request.response_format
    schema = request.response_format["json_schema"]["schema"]
    names: list[str] = schema["properties"]["next"]["enum"]
    return names


def test_the_model_decides_and_then_fills() -> None:
    model = Told('!usage 10 5 1\n!say {"next": "get_weather"}', f"!usage 20 7 0 2\n!say {PARIS}")
    turn = take(ToolsBySchema(model), asking("Paris?", offers=BOTH, max_tokens=90))
    assert turn.calls == [CalledFunction("get_weather", PARIS)]
    assert turn.ids[0].startswith("call_")
    assert turn.finished.reason == "calls"
    assert turn.finished.usage == Usage(30, 12, cached_tokens=1, reasoning_tokens=2)
    decide, fill = model.asked
    assert enumerated(decide) == ["reply", "get_weather", "python"]
    assert "get_weather: The weather of a city." in str(decide.messages[-1])
    assert fill.response_format
    assert fill.response_format["json_schema"]["schema"] == WEATHER.function.parameters
    assert (fill.offers, decide.max_tokens, fill.max_tokens) == ((), 90, 85)


def test_a_model_that_thinks_before_it_decides_has_what_the_run_has() -> None:
    model = Told('!say {"next": "get_weather"}', f"!say {PARIS}")
    take(ToolsBySchema(model), asking("Paris?", offers=BOTH))
    assert [request.max_tokens for request in model.asked] == [None, None]


def test_a_decision_that_is_cut_ends_the_turn_as_it_was_cut() -> None:
    model = Told('!say {"next": "get_weather"}')
    turn = take(ToolsBySchema(model), asking("Paris?", offers=BOTH, max_tokens=1))
    assert (turn.text, turn.calls, turn.finished.reason) == ("", [], "length")


@pytest.mark.parametrize("next_", ["get_weather", "reply"])
def test_a_decision_that_takes_all_tokens_leaves_none_for_what_was_decided(next_: str) -> None:
    model = Told(f'!usage 10 90\n!say {{"next": "{next_}"}}')
    turn = take(ToolsBySchema(model), asking("Paris?", offers=BOTH, max_tokens=90))
    assert (turn.text, turn.calls) == ("", [])
    assert turn.finished == Finished("length", Usage(10, 90))


def test_the_model_may_decide_to_reply() -> None:
    model = Told('!say {"next": "reply"}', "!say It is mild.")
    wanted = {"type": "json_object"}
    request = asking("Paris?", offers=BOTH, temperature=0.7, response_format=wanted)
    turn = take(ToolsBySchema(model), request)
    assert (turn.text, turn.finished.reason) == ("It is mild.", "stop")
    reply = model.asked[1]
    assert (reply.temperature, reply.response_format) == (0.7, wanted)
    assert (reply.messages, reply.offers) == (request.messages, ())


def test_a_required_call_leaves_no_reply() -> None:
    model = Told('!say {"next": "python"}', '!say {"code": "1"}')
    turn = take(ToolsBySchema(model), asking("Go", offers=BOTH, choice="required"))
    assert enumerated(model.asked[0]) == ["get_weather", "python"]
    assert [call.name for call in turn.calls] == ["python"]


def test_nothing_is_decided_where_there_is_no_choice() -> None:
    for request in (
        asking("Go", offers=(WEATHER,), choice="required"),
        asking("Go", offers=BOTH, choice=Named("get_weather")),
    ):
        model = Told(f"!say {PARIS}")
        assert take(ToolsBySchema(model), request).calls == [CalledFunction("get_weather", PARIS)]
    for request in (asking("Go"), asking("Go", offers=BOTH, choice="none")):
        assert take(ToolsBySchema(Told("!say Hi")), request).text == "Hi"


def test_arguments_that_are_cut_end_the_turn_for_want_of_tokens() -> None:
    model = Told(f"!say {PARIS}")
    request = asking("Go", offers=(WEATHER,), choice="required", max_tokens=3)
    assert take(ToolsBySchema(model), request).finished.reason == "length"


def test_calls_and_their_answers_become_words() -> None:
    model = Told("!say Fine.")
    messages = (
        System("Be kind."),
        User("Paris?"),
        Assistant("Let me see.", (Call("call_1", CalledFunction("get_weather", PARIS)),)),
        ToolResult("call_1", "mild"),
        Assistant(None, (Call("call_2", CalledFunction("noop", "{}")),)),
        ToolResult("call_2", "done"),
        ToolResult("call_9", "odd"),
        Assistant("Mild."),
    )
    take(ToolsBySchema(model), Request(model="m", messages=messages))
    assert model.asked[0].messages == (
        System("Be kind."),
        User("Paris?"),
        Assistant(f"Let me see.\n[called get_weather with {PARIS}]"),
        User("[get_weather answered]\nmild"),
        Assistant("[called noop with {}]"),
        User("[noop answered]\ndone\n\n[The tool answered]\nodd"),
        Assistant("Mild."),
    )


NOTE = "Write the arguments of this tool, as JSON:\n- python: no description"
PARTS = (Text("Where is this?"), Image(ImageURL("https://example.org/a.png")))


@pytest.mark.parametrize(
    ("last", "put"),
    [
        (User("Paris?"), User(f"Paris?\n\n{NOTE}")),
        (User(PARTS), User((*PARTS, Text(NOTE)))),
        (Assistant("Hm."), User(NOTE)),
    ],
)
def test_the_question_is_put_to_the_end_of_what_the_user_said(last: Message, put: User) -> None:
    model = Told("!say {}")
    take(
        ToolsBySchema(model),
        Request(model="m", messages=(last,), offers=(PYTHON,), choice="required"),
    )
    assert model.asked[0].messages[-1] == put


@pytest.mark.parametrize("said", ["!say I think\n!refuse that", '!say {"a":' + "[" * 3_000])
def test_a_server_that_does_not_hold_to_a_schema_is_told_of(said: str) -> None:
    with pytest.raises(ModelError, match="does not hold its model to a schema"):
        take(ToolsBySchema(Told(said)), asking("Go", offers=BOTH))


def test_a_model_that_refuses_to_fill_says_nothing() -> None:
    model = Told("!refuse I will not.\n!say {}")
    turn = take(ToolsBySchema(model), asking("Go", offers=(PYTHON,), choice="required"))
    assert (turn.refusal, turn.calls) == ("", [CalledFunction("python", "{}")])


@pytest.mark.parametrize(
    "words",
    [
        "registry.ollama.ai/library/gemma:latest does not support tools",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "tools param requires --jinja flag",
        "Tool calling is not supported with this model",
        "Unsupported parameter: 'tools'",
        "No endpoints found that support tool use. To learn more about provider routing, visit …",
        "`tool calling` is not supported with this model",
        "This model doesn't support tool use in streaming mode.",
    ],
)
def test_a_server_without_tools_is_found_out_and_remembered(words: str) -> None:
    refusal, decision, reply = f"!error invalid_prompt {words}", '!say {"next": "reply"}', "!say Hi"
    model = Told(refusal, decision, reply, decision, reply)
    backend = with_tool_mode(model, "auto")
    for _ in range(2):
        assert take(backend, asking("Go", offers=BOTH)).text == "Hi"
    assert [len(request.offers) for request in model.asked] == [2, 0, 0, 0, 0]


def test_a_model_with_tools_keeps_them() -> None:
    model = Told("!call get_weather {}")
    assert take(with_tool_mode(model, "auto"), asking("Go", offers=BOTH)).calls


@pytest.mark.parametrize(
    ("turn", "offers"),
    [
        ("!error invalid_prompt Bad image", BOTH),
        ("!error invalid_prompt It does not support tools", ()),
        ("!say Half\n!error invalid_prompt It does not support tools", BOTH),
    ],
)
def test_other_failures_are_told(turn: str, offers: tuple[()]) -> None:
    with pytest.raises(ModelError):
        take(with_tool_mode(Told(turn), "auto"), asking("Go", offers=offers))


def test_only_so_many_models_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locum.llm.tool_modes._MOST_MODELS_REMEMBERED", 1)
    refusal, reply = "!error invalid_prompt It does not support tools", "!say Hi"
    model = Told(refusal, '!say {"next": "reply"}', reply, refusal, '!say {"next": "reply"}', reply)
    backend = with_tool_mode(model, "auto")
    for name in ("first", "second"):
        request = Request(model=name, messages=asking("Go").messages, offers=BOTH)
        assert take(backend, request).text == "Hi"


def test_a_mode_may_be_told() -> None:
    model = Told()
    assert with_tool_mode(model, "native") is model
    assert isinstance(with_tool_mode(model, "schema"), ToolsBySchema)
    plain = Told("!say Hi")
    assert take(with_tool_mode(plain, "none"), asking("Go", offers=BOTH)).text == "Hi"
    assert plain.asked[0].offers == ()


@pytest.mark.parametrize("mode", ["auto", "native", "schema", "none"])
def test_every_mode_answers_for_its_model(mode: ToolMode) -> None:
    backend = with_tool_mode(Scripted(), mode)
    assert asyncio.run(backend.models()) == ["scripted"]
    assert asyncio.run(backend.check()) == asyncio.run(Scripted().check())
    asyncio.run(backend.close())


def test_a_model_that_talks_where_it_must_call_is_found_out() -> None:
    model = Told("!say The weather is fine.", f"!say {PARIS}", f"!say {PARIS}")
    found_out = with_tool_mode(model, "auto")
    for _ in range(2):
        turn = take(found_out, asking("?", offers=BOTH, choice=Named("get_weather")))
        assert turn.text == ""
        assert turn.calls == [CalledFunction("get_weather", PARIS)]
    assert model.asked[0].offers == BOTH
    assert [request.offers for request in model.asked[1:]] == [(), ()]


def test_what_is_said_before_a_call_that_must_be_made_is_not_lost() -> None:
    model = Told(f"!say Let me look.\n!call get_weather {PARIS}")
    turn = take(with_tool_mode(model, "auto"), asking("?", offers=BOTH, choice="required"))
    assert (turn.text, len(turn.calls)) == ("Let me look.", 1)


def test_a_model_that_talks_until_it_is_cut_is_found_out() -> None:
    model = Told("!say " + "The weather is fine. " * 30, f"!say {PARIS}")
    request = asking("?", offers=BOTH, choice=Named("get_weather"), max_tokens=110)
    turn = take(with_tool_mode(model, "auto"), request)
    assert (turn.text, turn.calls) == ("", [CalledFunction("get_weather", PARIS)])


def test_a_model_that_was_cut_before_it_could_call_keeps_its_tools() -> None:
    model = Told("!say Let me look at the weather.", "!call get_weather {}")
    backend = with_tool_mode(model, "auto")
    cut = take(backend, asking("?", offers=BOTH, choice="required", max_tokens=2))
    assert cut.finished.reason == "length"
    assert take(backend, asking("?", offers=BOTH)).calls
    assert [request.offers for request in model.asked] == [BOTH, BOTH]
