"""What a provider does by itself, seen as run steps through the official client."""

import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
from openai import OpenAI
from openai.types.beta.threads import Run
from openai.types.beta.threads.runs import RunStep
from tests.contract.requirements import covers
from tests.kit.fake_model import Hanging, model_server, sends
from tests.kit.fake_responses import (
    browses,
    calls,
    codes,
    events,
    fails,
    finds,
    reaches,
    responds,
    says,
)
from tests.kit.http import Frame
from tests.kit.server import Server
from tests.kit.talk import Talk, folded, last, outline

from locum.settings import BackendSettings

_HOSTED = (
    {"type": "web_search"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "file_search", "vector_store_ids": ["vs_there"]},
)
_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
_TOOLS: Any = [
    {"type": "code_interpreter"},
    {"type": "file_search"},
    {"type": "function", "function": {"name": "get_weather"}},
]


def _backend(url: str, *hosted: dict[str, Any]) -> dict[str, Any]:
    openai = BackendSettings(url=url, api="responses", hosted_tools=hosted or _HOSTED)
    return {"model": "auto", "backends": {"openai": openai}}


def _run(client: OpenAI, text: str) -> Run:
    assistant = client.beta.assistants.create(model="gpt-5", tools=_TOOLS)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": text}])
    return client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=10
    )


def _steps(client: OpenAI, run: Run, **query: Any) -> list[RunStep]:
    listed = client.beta.threads.runs.steps.list(
        run.id, thread_id=run.thread_id, order="asc", **query
    )
    return list(listed)


@covers("backends:provider_calls")
def test_each_of_a_provider_s_calls_is_a_step_in_its_place(
    make_server: Callable[..., Server],
) -> None:
    answer = responds(
        says("I look."),
        browses("rent day", "https://a.example/rent"),
        finds(("lease.txt", "Rent is due on the 3rd.", 0.91)),
        codes("print(3)", logs="3\n"),
        reaches("notes", "read", '{"n": 1}', output="Rent."),
        says("On the 3rd."),
        usage=(100, 60, 10, 5),
    )
    with model_server(answer) as provider:
        client = make_server(**_backend(provider.url)).sdk()
        run = _run(client, "When is rent due?")
        assert run.status == "completed", run.last_error
        steps = _steps(
            client, run, include=["step_details.tool_calls[*].file_search.results[*].content"]
        )
        messages = list(client.beta.threads.messages.list(run.thread_id, order="asc"))
    assert [step.type for step in steps] == [
        "message_creation",
        "tool_calls",
        "tool_calls",
        "tool_calls",
        "tool_calls",
        "message_creation",
    ]
    assert all(step.status == "completed" for step in steps)
    made: list[Any] = [step.step_details for step in steps[1:5]]
    web, files, code, notes = (details.tool_calls[0] for details in made)
    assert (web.type, web.function.name) == ("function", "web_search")
    assert json.loads(web.function.arguments) == {"type": "search", "query": "rent day"}
    assert "https://a.example/rent" in web.function.output
    assert (files.type, files.file_search.results[0].score) == ("file_search", 0.91)
    assert files.file_search.results[0].content[0].text == "Rent is due on the 3rd."
    assert (code.type, code.code_interpreter.input) == ("code_interpreter", "print(3)")
    assert code.code_interpreter.outputs[0].logs == "3\n"
    assert (notes.function.name, notes.function.output) == ("notes__read", "Rent.")
    texts = [message.content[0].text.value for message in messages]  # type: ignore[union-attr]
    assert texts == ["When is rent due?", "I look.", "On the 3rd."]
    assert run.usage is not None
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (100, 60)
    for field in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert sum(getattr(step.usage, field) for step in steps) == getattr(run.usage, field)


@covers("backends:provider_streams")
def test_a_stream_of_a_provider_s_calls_adds_up_to_their_steps(
    make_server: Callable[..., Server],
) -> None:
    answer = responds(
        says("I look."),
        codes("print(3) or 4", logs="3\n"),
        reaches("notes", "read", '{"n": 1}', output="Rent."),
        says("On the 3rd."),
    )
    with model_server(answer) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        frames = talk.frames("When?", tools=_TOOLS)
        run = last(frames, "thread.run.completed")
        steps = talk.steps(run)
    assert outline(frames) == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        *_message(),
        *_calls(),
        *_calls(),
        *_message(),
        "thread.run.completed",
        "done",
    ]
    sums = folded(frames, "thread.run.step.delta")
    for step in steps[1:3]:
        told = sums[step["id"]]["step_details"]
        assert told == step["step_details"]


@covers("backends:provider_streams")
@pytest.mark.parametrize("asked", ["get_weather", "code_interpreter"])
def test_a_provider_s_calls_come_before_those_that_wait_for_an_answer(
    make_server: Callable[..., Server], asked: str
) -> None:
    """Whichever the model began first: no step begins while another is open."""
    code = '{"code": "print(1)"}'
    answer = responds(
        calls(asked, code, call_id="call_1"),
        browses("rain"),
        says("It rains."),
        calls(asked, code, call_id="call_2"),
    )
    with model_server(answer, responds(says("So."))) as provider:
        talk = Talk(make_server(**_backend(provider.url, *_HOSTED[:1])).http())
        kind = "function" if asked == "get_weather" else asked
        (tool,) = (tool for tool in _TOOLS if tool["type"] == kind)
        frames = talk.frames("Rain?", tools=[tool])
        run = talk.read(frames[0].data)
        steps = talk.steps(run)
    begun = outline(frames)[3:]
    assert begun[: len(_calls() + _message())] == [*_calls(), *_message()]
    assert _open_at_once(frames) == 1
    named = [call["id"] for step in steps for call in step["step_details"].get("tool_calls", ())]
    assert named[1:] == ["call_1", "call_2"]


def _open_at_once(frames: list[Frame]) -> int:
    """How many steps were open at most."""
    states = [frame.event.removeprefix("thread.run.step.") for frame in frames]
    ended = ("completed", "failed")
    changes = [(state == "created") - (state in ended) for state in states]
    return max(accumulate(changes))


def _message() -> list[str]:
    step = "thread.run.step"
    message = "thread.message"
    return [
        f"{step}.created",
        f"{step}.in_progress",
        f"{message}.created",
        f"{message}.in_progress",
        f"{message}.delta ×n",
        f"{message}.completed",
        f"{step}.completed",
    ]


def _calls() -> list[str]:
    states = ("created", "in_progress", "delta ×n", "completed")
    return [f"thread.run.step.{state}" for state in states]


def test_a_function_of_the_client_s_is_answered_and_the_model_remembers_what_was_done(
    make_server: Callable[..., Server],
) -> None:
    asking = responds(codes("print(3)", logs="3\n"), calls("get_weather", '{"city": "Paris"}'))
    with model_server(asking, responds(says("Mild."))) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        run = talk.run("And the weather?", tools=_TOOLS)
        assert run["status"] == "requires_action"
        assert talk.submit(run, ["mild"]).status == 200
        run = talk.until(run, "completed", "failed")
        assert run["status"] == "completed"
        kinds = [step["step_details"]["type"] for step in talk.steps(run)]
        second = provider.bodies[1]["input"]
    assert kinds == ["tool_calls", "tool_calls", "message_creation"]
    told = [(item.get("type"), item.get("name"), item.get("output")) for item in second[1:]]
    assert told == [
        ("function_call", "code_interpreter", None),
        ("function_call_output", None, "3\n"),
        ("function_call", "get_weather", None),
        ("function_call_output", None, "mild"),
    ]


def test_what_a_provider_could_not_do_is_a_failed_step_of_a_run_that_goes_on(
    make_server: Callable[..., Server],
) -> None:
    answer = responds(reaches("notes", "read", "{}", error="Bad gateway"), says("Sorry."))
    with model_server(answer) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        run = talk.run("Read", tools=_TOOLS)
        failed, said = talk.steps(run)
    assert run["status"] == "completed"
    assert failed["status"] == "failed"
    assert failed["last_error"] == {"code": "server_error", "message": "Bad gateway"}
    assert said["status"] == "completed"


def test_a_provider_that_fails_in_a_call_fails_the_run_and_leaves_nothing_open(
    make_server: Callable[..., Server],
) -> None:
    broken = [*events(codes("print(3)", logs="3\n"))[:5]]
    half = "".join(f"data: {json.dumps(event)}\n\n" for event in broken)
    error = {"type": "error", "code": "server_error", "message": "Sorry", "param": None}
    end = f"data: {json.dumps(error | {'sequence_number': 9})}\n\n"
    with model_server(sends(half, end), fails("rate_limit_exceeded", "Slow down")) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        run = talk.run("Compute", tools=_TOOLS)
        (step,) = talk.steps(run)
        limited = talk.run("Again", tools=_TOOLS)
    assert run["last_error"] == {"code": "server_error", "message": "Sorry"}
    assert step["status"] == "failed"
    (call,) = step["step_details"]["tool_calls"]
    assert call["code_interpreter"] == {"input": "print(3)", "outputs": []}
    assert limited["last_error"] == {"code": "rate_limit_exceeded", "message": "Slow down"}


def test_cancelling_a_run_hangs_up_on_the_provider(make_server: Callable[..., Server]) -> None:
    broken = events(codes("print(3)", logs="3\n"))[:5]
    hanging = Hanging("".join(f"data: {json.dumps(event)}\n\n" for event in broken))
    with model_server(hanging) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        stream = talk.open("Compute", tools=_TOOLS)
        run = stream.until("thread.run.step.delta")[0].data
        talk.cancel(run)
        stream.close()
        run = talk.until(run, "cancelled")
        (step,) = talk.steps(run)
    assert step["status"] == "cancelled"
    assert hanging.left.is_set()


@covers("field:usage")
@pytest.mark.parametrize("last", ["thread.run.step.delta", "thread.run.step.completed"])
def test_a_run_that_is_cancelled_has_cost_what_its_steps_have(
    make_server: Callable[..., Server], last: str
) -> None:
    """In the middle of a call, or when it is over and nothing is open."""
    told = events(says("I look."), codes("print(3)", logs="3\n"))[:-1]
    if last == "thread.run.step.delta":
        del told[-1]
    hanging = Hanging(_written(told))
    with model_server(hanging) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        stream = talk.open("Compute", tools=_TOOLS)
        run = stream.until("thread.run.created")[-1].data
        stream.until("thread.run.step.completed")
        stream.until(last)
        talk.cancel(run)
        stream.close()
        run = talk.until(run, "cancelled")
        _adds_up(run, talk.steps(run))


@covers("field:usage")
@pytest.mark.parametrize(("words", "status"), [(1, "failed"), (600, "completed")])
def test_a_run_whose_model_fails_has_cost_what_its_steps_have(
    make_server: Callable[..., Server], words: int, status: str
) -> None:
    """The prompt was too long; where half of it is worth a try, the run goes on."""
    told = events(says("I look."), codes("print(3)", logs="3\n"))[:-1]
    words_of_it = "Your input exceeds the context window of this model."
    error = {"type": "error", "code": "invalid_prompt", "message": words_of_it, "param": None}
    told.append(error | {"sequence_number": len(told)})
    with model_server(sends(_written(told)), responds(says("Three."))) as provider:
        talk = Talk(make_server(**_backend(provider.url)).http())
        thread = talk.thread("word " * words, "Compute")
        body = {"assistant_id": talk.assistant(tools=_TOOLS)}
        run = talk.http.post(f"/v1/threads/{thread}/runs", body).json
        run = talk.until(run, "completed", "failed")
        assert run["status"] == status
        _adds_up(run, talk.steps(run))


def _written(told: list[dict[str, Any]]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in told)


def _adds_up(run: Any, steps: list[Any]) -> None:
    for field in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert run["usage"][field] == sum(step["usage"][field] for step in steps)
    assert run["usage"]["completion_tokens"] > 0
