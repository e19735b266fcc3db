import asyncio
import re
from pathlib import Path

import pytest
from tests.llm.turns import PYTHON, SEARCH, WEATHER, after, asking, events_of, take

from locum.llm import script, tokens
from locum.llm.protocol import (
    CallDelta,
    CalledFunction,
    Event,
    Image,
    ImageURL,
    ModelError,
    Named,
    Request,
    System,
    Text,
    TextDelta,
    Usage,
    User,
)
from locum.llm.script import Rule, load_rules
from locum.llm.scripted import Scripted

CALL_PARIS = '!call get_weather {"city":"Paris"}'


class Naps:
    """A sleep that only notes how long it was asked to be."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def test_text_without_directives_is_echoed_word_by_word() -> None:
    events = events_of(Scripted(), asking("How are you?"))
    assert events[:-1] == [
        TextDelta("You"),
        TextDelta(" said:"),
        TextDelta(" How"),
        TextDelta(" are"),
        TextDelta(" you?"),
    ]


def test_usage_is_counted_by_the_tables() -> None:
    request = asking("How are you?", offers=(WEATHER,))
    assert take(Scripted(), request).finished.usage == Usage(
        prompt_tokens=tokens.count_messages(request.messages, request.offers),
        completion_tokens=tokens.count("You said: How are you?"),
    )


def test_the_same_request_gives_the_same_events() -> None:
    request = asking(f"!say First.\n{CALL_PARIS}\n!call b {{}}")
    assert events_of(Scripted(), request) == events_of(Scripted(), request)


def test_text_parts_of_a_message_with_pictures_are_read() -> None:
    parts = (Text("Look:"), Image(ImageURL("https://example.org/cat.png")), Text("a cat"))
    turn = take(Scripted(), Request(model="m", messages=(User(parts),)))
    assert turn.text == "You said: Look:\na cat"


def test_nobody_having_spoken_is_no_error() -> None:
    assert take(Scripted(), Request(model="m", messages=(System("Be kind."),))).text == "You said: "


def test_spoken_text_keeps_its_lines_and_spaces() -> None:
    turn = take(Scripted(), asking("!say One  two\n\n  three\n!say four"))
    assert turn.text == "One  two\n\n  three\nfour"


def test_words_make_a_text_of_a_given_length() -> None:
    assert take(Scripted(), asking("!words 3")).text == "word1 word2 word3"


def test_a_refusal_is_not_text() -> None:
    turn = take(Scripted(), asking("!refuse I will not."))
    assert (turn.text, turn.refusal, turn.finished.reason) == ("", "I will not.", "stop")


def test_consecutive_calls_are_parallel_and_may_follow_text() -> None:
    turn = take(Scripted(), asking(f"!say Let me see.\n{CALL_PARIS}\n!call get_time"))
    assert turn.text == "Let me see."
    assert turn.calls == [
        CalledFunction("get_weather", '{"city":"Paris"}'),
        CalledFunction("get_time", "{}"),
    ]
    assert turn.finished.reason == "calls"
    assert len(set(turn.ids)) == 2
    assert all(id_.startswith("call_") and len(id_) == 29 for id_ in turn.ids)


def test_arguments_come_in_pieces() -> None:
    events = events_of(Scripted(), asking('!call f {"a": 1, "b": 2}'))
    pieces = [event.arguments for event in events if isinstance(event, CallDelta)]
    assert pieces == ['{"a":', " 1,", ' "b":', " 2}"]


def test_without_parallel_calls_they_come_one_a_turn() -> None:
    request = asking(f"{CALL_PARIS}\n!call second\n!then\n!say Done.", parallel=False)
    first = take(Scripted(), request)
    assert [call.name for call in first.calls] == ["get_weather"]
    second = take(Scripted(), after(request, first, ["sunny"]))
    assert [call.name for call in second.calls] == ["second"]


def test_turns_follow_one_another_as_calls_are_answered() -> None:
    request = asking(f"{CALL_PARIS}\n!call b\n!then\n!call c\n!then\n!say {{result:3}} at last")
    first = take(Scripted(), request)
    request = after(request, first, ["1", "2"])
    second = take(Scripted(), request)
    assert [call.name for call in second.calls] == ["c"]
    request = after(request, second, ["three"])
    assert take(Scripted(), request).text == "three at last"


def test_an_answer_full_of_beginnings_of_markers_is_quoted_at_once() -> None:
    """Looking from each for its end would take minutes, in which nobody is served."""
    request = asking("!call f\n!then\n!say None: {marker}")
    request = after(request, take(Scripted(), request), ["【" * 200_000])
    assert take(Scripted(), request).text == "None: "


def test_a_turn_can_be_taken_again_and_again() -> None:
    request = asking("!call poll\n!again")
    for _ in range(3):
        turn = take(Scripted(), request)
        assert [call.name for call in turn.calls] == ["poll"]
        request = after(request, turn, ["not yet"])


def test_after_the_script_the_answers_of_tools_are_quoted() -> None:
    request = asking(CALL_PARIS)
    turn = take(Scripted(), request)
    answer = take(Scripted(), after(request, turn, ["18 °C\nand sunny"]))
    assert answer.text == "The tool answered: “18 °C and sunny”"


def test_passages_are_quoted_with_their_marker() -> None:
    request = asking("!search sunny places", offers=(SEARCH,))
    turn = take(Scripted(), request)
    assert turn.calls == [CalledFunction("file_search", '{"queries":["sunny places"]}')]
    found = "【4:0†places.txt】\nLisbon is sunny.\n\n【4:1†rain.txt】\nBergen is not."
    answer = take(Scripted(), after(request, turn, [found]))
    assert answer.text == "The files say: “Lisbon is sunny.” 【4:0†places.txt】"


def test_a_script_can_place_markers_itself() -> None:
    request = asking("!search a\n!then\n!say Bergen {marker:2}{marker:9}.", offers=(SEARCH,))
    turn = take(Scripted(), request)
    found = "【4:0†a.txt】 A\n【4:1†b.txt】 B"
    assert take(Scripted(), after(request, turn, [found])).text == "Bergen 【4:1†b.txt】."


def test_code_may_have_many_lines() -> None:
    code = "!python for i in range(2):\n    print(i)\n!stop is code"
    turn = take(Scripted(), asking(code, offers=(PYTHON,)))
    assert turn.calls == [
        CalledFunction("python", r'{"code":"for i in range(2):\n    print(i)\n!stop is code"}')
    ]


def test_a_tool_that_was_not_offered_is_called_all_the_same() -> None:
    assert take(Scripted(), asking("!python 1")).calls == [
        CalledFunction("code_interpreter", '{"code":"1"}')
    ]


def test_placeholders_say_what_the_model_was_told() -> None:
    messages = (System("Be kind."), User("!say {model}: {instructions} {other}\n!refuse {user}"))
    turn = take(Scripted(), Request(model="gpt-4o", messages=messages))
    assert turn.text == "gpt-4o: Be kind. {other}"
    assert turn.refusal == messages[1].content


@pytest.mark.parametrize("said", ["f'{result}' and {model}", "x\n!then\n{user}"])
def test_an_echo_is_what_was_said_to_the_letter(said: str) -> None:
    assert take(Scripted(), asking(said)).text == f"You said: {said}"


def test_tokens_that_run_out_cut_the_text() -> None:
    turn = take(Scripted(), asking("!words 50\n!call never", max_tokens=10))
    assert turn.finished.reason == "length"
    assert turn.finished.usage.completion_tokens == 10
    assert tokens.count(turn.text) == 10
    assert turn.calls == []


def test_tokens_that_run_out_cut_arguments() -> None:
    turn = take(Scripted(), asking('!call f {"text": "one two three four five"}', max_tokens=6))
    assert turn.finished.reason == "length"
    assert '{"text": "one two three four five"}'.startswith(turn.calls[0].arguments)


def test_tokens_that_just_suffice_cut_nothing() -> None:
    exact = tokens.count("You said: Hi")
    assert take(Scripted(), asking("Hi", max_tokens=exact)).finished.reason == "stop"


@pytest.mark.parametrize(
    ("directive", "reason"), [("!filter", "content_filter"), ("!cut", "length")]
)
def test_an_answer_can_be_stopped(directive: str, reason: str) -> None:
    turn = take(Scripted(), asking(f"!say Half\n{directive}\n!say never"))
    assert (turn.text, turn.finished.reason) == ("Half", reason)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("rate_limit", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("server_error", "server_error"),
    ],
)
def test_a_failure_comes_where_the_script_has_it(word: str, code: str) -> None:
    heard: list[Event] = []

    async def listen() -> None:
        events = Scripted().stream(asking(f"!say Well\n!error {word} Slow down"))
        heard.append(await anext(events))
        await anext(events)

    with pytest.raises(ModelError, match=r"^Slow down$") as failure:
        asyncio.run(listen())
    assert failure.value.code == code
    assert heard == [TextDelta("Well")]


def test_usage_can_be_told() -> None:
    usage = take(Scripted(), asking("!usage 7 5 3 2\n!say Hi")).finished.usage
    assert usage == Usage(prompt_tokens=7, completion_tokens=5, cached_tokens=3, reasoning_tokens=2)


def test_thinking_and_pace_are_slept() -> None:
    naps = Naps()
    take(Scripted(sleep=naps), asking("!think 60\n!say one\n!pace 0.5\n!say two three"))
    assert naps.taken == [60, 0, 0.5, 0.5]


def test_thinking_ends_when_the_task_is_cancelled() -> None:
    async def scene() -> None:
        asked = asyncio.Event()

        async def think(seconds: float) -> None:
            asked.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(anext(Scripted(sleep=think).stream(asking("!think 3600"))))
        async with asyncio.timeout(30):
            await asked.wait()
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "directive", ["!think long", "!think -1", "!error odd", "!words many", "!usage 1", "!call"]
)
def test_a_directive_that_cannot_be_read_says_what_it_wants(directive: str) -> None:
    word = directive.split(maxsplit=1)[0]
    with pytest.raises(ModelError, match=f"cannot read '{word}': it wants") as failure:
        take(Scripted(), asking(directive))
    assert failure.value.code == "invalid_prompt"


def test_an_exclamation_that_is_no_directive_is_only_text() -> None:
    assert take(Scripted(), asking("!important\nread this")).text == (
        "You said: !important\nread this"
    )


def test_a_required_call_is_made_with_the_least_arguments() -> None:
    turn = take(Scripted(), asking("Hello", offers=(WEATHER,), choice="required"))
    assert turn.calls == [CalledFunction("get_weather", '{"city":"city","unit":"C"}')]


def test_a_named_search_uses_the_words_of_the_user() -> None:
    request = asking("Where is it sunny?", offers=(WEATHER, SEARCH), choice=Named("file_search"))
    assert take(Scripted(), request).calls == [
        CalledFunction("file_search", '{"queries":["Where is it sunny?"]}')
    ]


def test_named_code_prints_the_words_of_the_user() -> None:
    request = asking("It's me", offers=(PYTHON,), choice=Named("python"))
    assert take(Scripted(), request).calls == [
        CalledFunction("python", '{"code":"print(\\"It\'s me\\")"}')
    ]


def test_a_named_tool_that_is_not_offered_is_not_called() -> None:
    turn = take(Scripted(), asking("Hello", offers=(WEATHER,), choice=Named("other")))
    assert (turn.text, turn.calls) == ("You said: Hello", [])


def test_a_forced_call_follows_the_text_of_a_script_without_calls() -> None:
    turn = take(Scripted(), asking("!say Well.", offers=(WEATHER,), choice="required"))
    assert turn.text == "Well."
    assert [call.name for call in turn.calls] == ["get_weather"]


def test_no_call_is_made_when_none_may_be() -> None:
    turn = take(Scripted(), asking(CALL_PARIS, offers=(WEATHER,), choice="none"))
    assert (turn.calls, turn.finished.reason) == ([], "stop")
    assert turn.text == f"You said: {CALL_PARIS}"


def test_a_schema_is_answered_with_the_least_that_fits() -> None:
    schema = {"type": "object", "properties": {"n": {"minimum": 3, "type": "integer"}}}
    schema["required"] = ["n"]
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert take(Scripted(), asking("Go", response_format=wanted)).text == '{"n":3}'


def test_a_json_object_is_an_object() -> None:
    wanted = {"type": "json_object"}
    assert take(Scripted(), asking("Go", response_format=wanted)).text == (
        '{"answer":"You said: Go"}'
    )


def test_rules_answer_text_that_has_no_directives() -> None:
    model = Scripted([Rule("weather", CALL_PARIS), Rule("", "!say Anything else?")])
    assert take(model, asking("The WEATHER, please")).calls[0].name == "get_weather"
    assert take(model, asking("Bye")).text == "Anything else?"
    assert take(model, asking("!say Mine.")).text == "Mine."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules.toml", "[[rule]]\nwhen = 'hi'\nscript = '!say Hello!'\n"),
        ("rules.json", '{"rule": [{"when": "hi", "script": "!say Hello!"}]}'),
    ],
)
def test_rules_are_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert take(Scripted(load_rules(path)), asking("hi")).text == "Hello!"


@pytest.mark.parametrize(
    "text", ["[[rule]]\nwhen = '('\nscript = ''", "rule = 1", "[[rule]]\nfoo = 1", "=", None]
)
def test_rules_that_cannot_be_used_are_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rules.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match=r"rules\.toml' cannot be used: "):
        load_rules(path)


def test_it_says_what_it_is() -> None:
    assert asyncio.run(Scripted().models()) == ["scripted"]
    assert "scripted" in asyncio.run(Scripted().check())


# The reference ------------------------------------------------------------------------------

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "scripted-model.md"


def test_the_reference_shows_every_directive_and_no_other() -> None:
    shown = re.findall(r"^\| `!([a-z]+)", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(shown) == sorted([*script._READERS, "then"])


def test_the_example_of_the_reference_does_what_it_says() -> None:
    example = re.findall(r"```text\n(.*?)```", REFERENCE.read_text(), re.DOTALL)[0]
    request = asking(example, offers=(WEATHER,))
    turn = take(Scripted(), request)
    assert [call.arguments for call in turn.calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    answer = take(Scripted(), after(request, turn, ["rain", "sun"]))
    assert answer.text == "Paris has rain, Rome has sun."


def test_the_rules_of_the_reference_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(re.findall(r"```toml[^\n]*\n(.*?)```", REFERENCE.read_text(), re.DOTALL)[0])
    model = Scripted(load_rules(path))
    assert take(model, asking("The weather in Rome?")).calls
    assert take(model, asking("Hi")).text == "I only know the weather."
