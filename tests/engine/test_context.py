"""What a model is told of a thread that does not fit, and of calls that nobody answered."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.listening import Listening
from tests.kit.server import Server
from tests.kit.talk import ENDED, Talk, function

from locum import limits
from locum.app import Parts
from locum.llm import tokens
from locum.llm.protocol import Assistant, Request

# As models write it that degenerate: Python's own decoder goes deeper with every version of it.
_DEEP = '{"a":' + "[" * limits.NESTING + "]" * limits.NESTING + "}"
_LEAST = 256  # Tokens: no run may have fewer for its prompts.


@pytest.fixture
def model() -> Listening:
    return Listening()


@pytest.fixture
def talk(make_server: Callable[..., Server], model: Listening) -> Talk:
    return Talk(make_server(Parts(backend=model)).http())


@covers("runs:auto")
def test_what_does_not_fit_is_dropped_in_the_middle_of_the_thread(
    talk: Talk, model: Listening
) -> None:
    middle = [_long(number) for number in range(1, 10)]
    run = _run(talk, ["My name is Ada.", *middle, "Who am I?"], max_prompt_tokens=_LEAST)
    assert run["status"] == "completed"
    first, *kept, question = _heard(model.requests[-1])
    assert (first, question) == ("My name is Ada.", "Who am I?")
    assert 0 < len(kept) < len(middle)
    assert kept == middle[-len(kept) :]


@covers("runs:auto")
def test_a_very_long_thread_is_cut_as_well(
    talk: Talk, model: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of most of it only the beginnings are counted."""
    counted: list[int] = []
    count = tokens.count

    def counting(text: str) -> int:
        counted.append(len(text))
        return count(text)

    said = ["My name is Ada.", *("word " * 20_000 for _ in range(20)), "Who am I?"]
    monkeypatch.setattr(tokens, "count", counting)
    run = _run(talk, said, max_prompt_tokens=300_000)
    assert run["status"] == "completed"
    assert _heard(model.requests[-1]) == [said[0], *said[-15:]]
    # By the cut, and by the model that was asked.
    assert sum(counted) < 2 * (600 << 10)


@covers("runs:auto")
def test_a_first_message_that_never_fits_keeps_nothing_else_out(
    talk: Talk, model: Listening
) -> None:
    said = [_long(0, words=_LEAST), "One.", "Two."]
    _run(talk, said, max_prompt_tokens=_LEAST)
    assert _heard(model.requests[-1]) == ["One.", "Two."]


@covers("runs:auto")
def test_a_run_that_does_much_still_knows_what_it_was_asked(talk: Talk, model: Listening) -> None:
    """What it was answered first gives way, and so does the thread, but not its question."""
    question = "!usage 1 1\n!call f\n!then\n!usage 1 1\n!call f\n!then\n!say Done."
    run = _run(talk, ["Before.", question], max_prompt_tokens=_LEAST)
    for words in (150, 100):
        assert run["status"] == "requires_action"
        talk.submit(run, [_long(words, words=words)])
        run = talk.until(run, *ENDED, "requires_action")
    heard = _heard(model.requests[-1])
    assert heard == [question, None, _long(100, words=100)]


@covers("runs:auto")
def test_a_run_whose_question_does_not_fit_is_incomplete(talk: Talk) -> None:
    run = _run(talk, [_long(1, words=_LEAST)], max_prompt_tokens=_LEAST)
    assert run["status"] == "incomplete"
    assert run["incomplete_details"] == {"reason": "max_prompt_tokens"}


@covers("runs:auto")
def test_a_thread_in_which_nobody_has_asked_is_cut_in_the_middle_as_well(
    talk: Talk, model: Listening
) -> None:
    said = [_long(number) for number in range(9)]
    messages = [{"role": "assistant", "content": text} for text in said]
    thread = talk.http.post("/v1/threads", {"messages": messages}).json
    asked = {
        "assistant_id": talk.assistant(instructions="Go on."),
        "max_prompt_tokens": _LEAST,
    }
    run = talk.http.post(f"/v1/threads/{thread['id']}/runs", asked).json
    assert talk.until(run, *ENDED)["status"] == "completed"
    assert _heard(model.requests[-1]) == ["Go on.", said[0], *said[-4:]]


@covers("runs:token_limit")
def test_a_call_that_was_cut_off_is_not_told_to_later_runs(talk: Talk, model: Listening) -> None:
    """Nobody answered it, and half of its arguments is nothing that a server could read."""
    cut = '!say I look.\n!call f {"city": "Paris", "days": [1, 2, 3, 4, 5, 6, 7]}'
    run = _run(talk, [cut], max_completion_tokens=12)
    assert run["status"] == "incomplete"
    _, step = talk.steps(run)
    (call,) = step["step_details"]["tool_calls"]
    assert (step["status"], call["function"]["output"]) == ("completed", None)
    talk.message(run["thread_id"], "Once more?")
    again = {"assistant_id": run["assistant_id"]}
    run = talk.http.post(f"/v1/threads/{run['thread_id']}/runs", again).json
    assert talk.until(run, *ENDED)["status"] == "completed"
    assert _heard(model.requests[-1]) == [cut, "I look.", "Once more?"]
    assert model.requests[-1].messages[1] == Assistant("I look.")


@covers("threads.runs.submit:answer")
@pytest.mark.parametrize("said", [None, "Once more?"])
def test_calls_of_a_run_that_said_nothing_are_told_to_later_runs(
    make_server: Callable[..., Server], model: Listening, said: str | None
) -> None:
    """What was done is done, although the run failed before its first word."""
    server = make_server(Parts(backend=model))
    talk = Talk(server.http())
    script = "!call f\n!then\n!call f\n!then\n!error server_error"
    run = _answered(talk, _run(talk, [script]), "first", "second")
    assert (run["status"], len(talk.messages(run["thread_id"]))) == ("failed", 1)
    server.clock.advance(1)
    if said is not None:
        talk.message(run["thread_id"], said)
    again = {"assistant_id": run["assistant_id"]}
    run = talk.http.post(f"/v1/threads/{run['thread_id']}/runs", again).json
    talk.until(run, *ENDED)
    told = [script, None, "first", None, "second", *filter(None, [said])]
    assert _heard(model.requests[-1]) == told


@covers("threads.runs.submit:answer")
def test_runs_that_said_nothing_and_those_that_spoke_are_told_in_their_order(
    make_server: Callable[..., Server], model: Listening
) -> None:
    server = make_server(Parts(backend=model))
    talk = Talk(server.http())
    silent = "!call f\n!then\n!error server_error"
    asked = {"assistant_id": talk.assistant(tools=[function("f")])}
    thread_id = talk.thread(silent)
    for said, output in (
        (None, "first"),
        ("!call f\n!then\n!say Yes.", "second"),
        (silent, "third"),
    ):
        if said is not None:
            server.clock.advance(1)
            talk.message(thread_id, said)
        run = talk.http.post(f"/v1/threads/{thread_id}/runs", asked).json
        _answered(talk, talk.until(run, *ENDED, "requires_action"), output)
    server.clock.advance(1)
    talk.message(thread_id, "So?")
    talk.until(talk.http.post(f"/v1/threads/{thread_id}/runs", asked).json, *ENDED)
    heard = [text for text in _heard(model.requests[-1]) if text and not text.startswith("!")]
    assert heard == ["first", "second", "Yes.", "third", "So?"]


@covers("threads.runs.submit:answer")
@pytest.mark.parametrize(
    "given",
    ["Paris", '"Paris"', '{"city": "Paris"', _DEEP],
    ids=["bare", "a string", "cut", "nested"],
)
def test_arguments_that_no_server_could_read_are_told_as_text(
    talk: Talk, model: Listening, given: str
) -> None:
    """The step shows them as they were written, and the client may well answer."""
    run = _run(talk, [f"!call f {given}\n!then\n!say Done."])
    (required,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert required["function"]["arguments"] == given
    talk.submit(run, ["What city?"])
    assert talk.until(run, *ENDED)["status"] == "completed"
    (call,) = model.requests[-1].messages[1].tool_calls  # type: ignore[union-attr, misc]
    assert json.loads(call.function.arguments) == {"unreadable": given}


@covers("runs:unknown_function")
def test_arguments_nested_without_end_do_not_end_their_thread(talk: Talk, model: Listening) -> None:
    said = f"!say I look.\n!call gone {_DEEP}\n!then\n!say Done."
    thread_id = talk.thread(said)
    for text in ("", "Once more?"):
        if text:
            talk.message(thread_id, text)
        asked = {"assistant_id": talk.assistant(tools=[{"type": "file_search"}])}
        run = talk.http.post(f"/v1/threads/{thread_id}/runs", asked).json
        assert talk.until(run, *ENDED)["status"] == "completed"
    (call,) = model.requests[-1].messages[1].tool_calls  # type: ignore[union-attr, misc]
    assert json.loads(call.function.arguments) == {"unreadable": _DEEP}


def _run(talk: Talk, said: list[str], **body: Any) -> Any:
    path = f"/v1/threads/{talk.thread(*said)}/runs"
    asked = {"assistant_id": talk.assistant(tools=[function("f")]), **body}
    return talk.until(talk.http.post(path, asked).json, *ENDED, "requires_action")


def _answered(talk: Talk, run: Any, *outputs: str) -> Any:
    """The run when its calls have been answered, one after the other."""
    for output in outputs:
        assert talk.submit(run, [output]).status == 200
        run = talk.until(run, *ENDED, "requires_action")
    return run


def _long(number: int, *, words: int = 40) -> str:
    return " ".join([f"m{number}", *["word"] * words])


def _heard(request: Request) -> list[Any]:
    return [message.content for message in request.messages]
