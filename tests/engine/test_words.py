"""What a model says before and after its calls: told once, in its place, and never lost."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, ClassVar, Literal

import pytest
from tests.contract.requirements import covers
from tests.kit.server import Server
from tests.kit.talk import ENDED, Talk, function

from locum.app import Parts
from locum.llm.protocol import (
    CallBegun,
    CallDelta,
    Event,
    Finished,
    ModelError,
    RefusalDelta,
    Request,
    TextDelta,
    ToolResult,
    Usage,
)
from locum.llm.scripted import Scripted

_F = [function("f")]


class _Forgetful(Scripted):
    """Takes calls with their results in short prompts alone; in none when it is hopeless."""

    def __init__(self, *, hopeless: bool) -> None:
        super().__init__()
        self._most = 0 if hopeless else 6
        self.refused = 0

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        answered = any(isinstance(message, ToolResult) for message in request.messages)
        if answered and len(request.messages) > self._most:
            self.refused += 1
            raise ModelError("This exceeds the context window.", code="invalid_prompt")
        async for event in super().stream(request):
            yield event


@covers("streams:late_words", "runs:auto")
@pytest.mark.parametrize(
    ("hopeless", "status", "said"),
    [(False, "completed", "Wait.\n\nDone."), (True, "failed", "Wait.")],
)
def test_words_that_are_owed_do_not_keep_a_prompt_from_being_shortened(
    make_server: Callable[..., Server], *, hopeless: bool, status: str, said: str
) -> None:
    model = _Forgetful(hopeless=hopeless)
    talk = Talk(make_server(Parts(backend=model)).http())
    question = "!call f\n!say Wait.\n!then\n!say Done."
    thread_id = talk.thread(*(f"{at} " * 200 for at in range(20)), question)
    body = {"assistant_id": talk.assistant(tools=_F)}
    run = talk.http.post(f"/v1/threads/{thread_id}/runs", body).json
    run = talk.until(run, "requires_action")
    assert talk.submit(run, ["ok"]).status == 200
    assert talk.until(run, "completed", "failed")["status"] == status
    assert model.refused
    newest = talk.messages(thread_id, "order=desc")[0]
    assert newest["content"][0]["text"]["value"] == said


class _Airy(Scripted):
    """Begins every answer with lines left empty, as small models do."""

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        yield TextDelta("\n")
        yield TextDelta("\n")
        async for event in super().stream(request):
            yield event


@covers("streams:late_words")
def test_empty_lines_before_a_call_are_no_message(make_server: Callable[..., Server]) -> None:
    talk = Talk(make_server(Parts(backend=_Airy())).http())
    run = talk.run("!call f\n!then\n!say Done.", tools=_F)
    assert [step["type"] for step in talk.steps(run)] == ["tool_calls"]
    talk.submit(run, ["ok"])
    run = talk.until(run, "completed")
    assert talk.messages(run["thread_id"])[-1]["content"][0]["text"]["value"] == "\n\nDone."


@covers("streams:late_words")
@pytest.mark.parametrize("lines", [64, 65])
def test_only_so_many_empty_lines_are_held_back(
    make_server: Callable[..., Server], *, lines: int
) -> None:
    blank = " " * 1_023 + "\n"
    model = _Speaker([*[TextDelta(blank)] * lines, *_CALL_F])
    talk = Talk(make_server(Parts(backend=model)).http())
    run = talk.run("Go.", tools=_F)
    assert _said(talk, run) == ([] if lines == 64 else [blank * lines])


class _Piece(str):
    """Knows how long the texts were that it was put behind."""

    __slots__ = ()
    copied: ClassVar[int] = 0

    def __radd__(self, other: str) -> str:
        _Piece.copied += len(other)
        return f"{other}{self}"


@covers("streams:late_words")
def test_words_that_are_held_back_are_not_copied_with_every_piece(
    make_server: Callable[..., Server],
) -> None:
    _Piece.copied = 0
    blank, more = _Piece("\n"), _Piece("more ")
    late: list[Event] = [*_CALL_F, *[TextDelta(more)] * 500, *[RefusalDelta(more)] * 500]
    model = _Speaker([*[TextDelta(blank)] * 500, TextDelta("Wait."), *late])
    talk = Talk(make_server(Parts(backend=model)).http())
    run = talk.run("Go.", tools=_F)
    assert talk.cancel(run).status == 200
    run = talk.until(run, "cancelled")
    assert _said(talk, run) == ["\n" * 500 + "Wait.", "more " * 500, "more " * 500]
    assert _Piece.copied <= 1_000


@covers("runs:unknown_function")
def test_a_function_that_nobody_has_is_answered_where_the_client_has_none(
    make_server: Callable[..., Server],
) -> None:
    talk = Talk(make_server().http())
    run = talk.run("!call gone\n!then\n!say {result}", tools=[{"type": "file_search"}])
    assert run["status"] == "completed"
    call, said = talk.steps(run)
    assert call["status"] == "failed"
    assert call["last_error"]["message"] == "There is no function 'gone' in this run."
    (told,) = call["step_details"]["tool_calls"]
    assert told["function"] == {"name": "gone", "arguments": "{}", "output": None}
    assert said["status"] == "completed"


@covers("streams:late_words")
@pytest.mark.parametrize("said", ["!say Wait.", "!refuse Wait.", "!say Wait.\n!refuse No."])
def test_words_that_are_owed_are_told_though_nobody_answers_the_function(
    make_server: Callable[..., Server], said: str
) -> None:
    talk = Talk(make_server().http())
    run = talk.run(f"!call f\n{said}", tools=_F)
    assert talk.cancel(run).status == 200
    run = talk.until(run, "cancelled")
    call, spoken = talk.steps(run)
    assert (call["type"], call["status"]) == ("tool_calls", "cancelled")
    assert (spoken["type"], spoken["status"]) == ("message_creation", "cancelled")
    message = talk.messages(run["thread_id"])[-1]
    assert message["id"] == spoken["step_details"]["message_creation"]["message_id"]
    assert message["incomplete_details"] == {"reason": "run_cancelled"}
    told = [part.get("refusal") or part["text"]["value"] for part in message["content"]]
    assert told == [line.split(" ", 1)[1] for line in said.splitlines()]


class _Speaker(Scripted):
    """Gives the answers it was made with, event by event, and costs five tokens."""

    def __init__(self, *answers: list[Event]) -> None:
        super().__init__()
        self._answers = list(answers)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        assert request.messages
        answer = self._answers.pop(0)
        for event in answer:
            yield event
        if not isinstance(answer[-1], Finished):
            yield Finished("stop", Usage(5, 5))


class _Failing(_Speaker):
    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        if not self._answers:
            raise ModelError("The model is gone.")
        async for event in super().stream(request):
            yield event


_CALL_F: list[Event] = [CallBegun(0, "call_2", "f"), CallDelta(0, "{}")]


@covers("streams:late_words")
@pytest.mark.parametrize("open_end", ["【", "See 【4:0†menu"])
@pytest.mark.parametrize(
    ("tools", "name", "reason", "status"),
    [
        ("both", "file_search", "stop", "completed"),
        ("both", "file_search", "length", "incomplete"),
        ("both", "f", "stop", "requires_action"),
        ("one", "f", "stop", "requires_action"),
    ],
)
def test_an_opening_bracket_at_the_end_of_late_words_is_told(
    make_server: Callable[..., Server],
    *,
    open_end: str,
    tools: str,
    name: str,
    reason: Literal["stop", "length"],
    status: str,
) -> None:
    first: list[Event] = [
        CallBegun(0, "call_1", name),
        CallDelta(0, '{"query":"sunny"}'),
        TextDelta(open_end),
        Finished(reason, Usage(5, 5)),
    ]
    talk = Talk(make_server(Parts(backend=_Speaker(first, [TextDelta("End.")]))).http())
    run = talk.run("Go.", tools=[*_F, {"type": "file_search"}] if tools == "both" else _F)
    assert run["status"] == status
    if status == "requires_action":
        assert talk.submit(run, ["ok"]).status == 200
        assert talk.until(run, *ENDED)["status"] == "completed"
    assert any(said.startswith(open_end) for said in _said(talk, run))


@covers("streams:late_words")
def test_an_opening_bracket_before_a_call_is_told(make_server: Callable[..., Server]) -> None:
    model = _Speaker([TextDelta("【"), *_CALL_F], [TextDelta("End.")])
    talk = Talk(make_server(Parts(backend=model)).http())
    run = talk.run("Go.", tools=_F)
    assert _said(talk, run) == ["【"]


@covers("streams:late_words")
def test_late_words_are_told_though_the_model_fails_afterwards(
    make_server: Callable[..., Server],
) -> None:
    model = _Failing([*_CALL_F, TextDelta("【")])
    talk = Talk(make_server(Parts(backend=model)).http())
    run = talk.run("Go.", tools=_F)
    assert talk.submit(run, ["ok"]).status == 200
    run = talk.until(run, *ENDED)
    assert run["last_error"]["message"] == "The model is gone."
    assert _said(talk, run) == ["【"]


def _said(talk: Talk, run: Any) -> list[str]:
    """What the assistant's messages say, part by part."""
    return [
        part.get("refusal") or part["text"]["value"]
        for message in talk.messages(run["thread_id"])[1:]
        for part in message["content"]
    ]
