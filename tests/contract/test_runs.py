"""Runs: created, polled, answered, cancelled, expired; locks, limits and refusals."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import Server
from tests.kit.talk import ENDED, Talk, function, path_of

MakeServer = Callable[..., Server]
_CALL = '!call f {"a":1}'


@covers("streams:run_form")
def test_a_run_does_not_show_what_its_assistant_holds(http: Http, talk: Talk) -> None:
    store_id = http.post("/v1/vector_stores", {}).json["id"]
    held = {"file_search": {"vector_store_ids": [store_id]}}
    tools = [{"type": "file_search"}, {"type": "code_interpreter"}]
    assistant_id = talk.assistant(tools=tools, tool_resources=held)
    asked = {"assistant_id": assistant_id, "stream": True}
    frames = http.frames(f"/v1/threads/{talk.thread('hello')}/runs", asked)
    told = [f.data for f in frames[:-1] if f.data["object"] == "thread.run"]
    assert [run["tool_resources"] for run in told] == [{"code_interpreter": {"file_ids": []}}] * 4
    assert talk.read(told[-1])["tool_resources"] == {}


@covers("threads.runs.create:defaults", "threads.runs.get:lifecycle", "polling:header")
def test_a_run_goes_from_queued_to_completed(http: Http, talk: Talk) -> None:
    assistant_id, thread_id = talk.assistant(), talk.thread("hello")
    answer = http.post(f"/v1/threads/{thread_id}/runs", {"assistant_id": assistant_id})
    run = answer.json
    assert answer.headers["openai-poll-after-ms"] == "500"
    assert run == {
        "id": run["id"],
        "object": "thread.run",
        "created_at": 1_761_861_537,
        "assistant_id": assistant_id,
        "thread_id": thread_id,
        "status": "queued",
        "started_at": None,
        "expires_at": 1_761_862_137,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": "scripted",
        "instructions": None,
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    done = talk.until(run, *ENDED)
    changed = {"status", "started_at", "expires_at", "completed_at", "usage"}
    assert {key for key in run if run[key] != done[key]} == changed
    assert (done["status"], done["expires_at"]) == ("completed", None)
    assert done["usage"] == talk.steps(done)[0]["usage"]
    assert list(done["usage"]) == [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_token_details",
        "completion_tokens_details",
    ]
    assert "openai-poll-after-ms" not in http.get(path_of(run)).headers


@covers("threads.runs.create:last_messages")
def test_a_run_never_forgets_what_it_was_asked(http: Http, talk: Talk) -> None:
    """`last_messages` counts those that were there before the run."""
    assistant_id = talk.assistant(tools=[function("f")])
    script = "!say Let me see.\n!call f {}\n!then\n!say Done."
    thread_id = talk.thread(script)
    path = f"/v1/threads/{thread_id}/runs"
    truncation = {"type": "last_messages", "last_messages": 1}
    asked = {"assistant_id": assistant_id, "truncation_strategy": truncation}
    run = talk.until(http.post(path, asked).json, "requires_action")
    [call] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "42"}]}
    submitted = http.post(f"{path}/{run['id']}/submit_tool_outputs", outputs).json
    talk.until(submitted, "completed")
    said = [one["content"][0]["text"]["value"] for one in talk.messages(thread_id)]
    assert sorted(said) == sorted([script, "Let me see.", "Done."])


@covers("threads.runs.create_with_thread:resources")
def test_resources_of_the_request_and_of_its_thread_are_both_kept(
    http: Http, sdk: OpenAI, talk: Talk
) -> None:
    store = sdk.vector_stores.create()
    file = sdk.files.create(file=("a.txt", b"hello"), purpose="assistants")
    searched = {"file_search": {"vector_store_ids": [store.id]}}
    computed = {"code_interpreter": {"file_ids": [file.id]}}
    asked = {
        "assistant_id": talk.assistant(),
        "thread": {
            "messages": [{"role": "user", "content": "!say hi"}],
            "tool_resources": searched,
        },
        "tool_resources": computed,
    }
    run = talk.until(http.post("/v1/threads/runs", asked).json, *ENDED)
    thread = http.get(f"/v1/threads/{run['thread_id']}").json
    assert thread["tool_resources"] == searched | computed


@covers("threads.runs.create:overrides", "threads.runs.create:additional")
def test_what_a_run_is_told_goes_before_what_its_assistant_says(http: Http, talk: Talk) -> None:
    assistant_id = talk.assistant(instructions="Be brief.", temperature=0.5, tools=[function("f")])
    path = f"/v1/threads/{talk.thread()}/runs"
    asked = {
        "assistant_id": assistant_id,
        "model": "other",
        "additional_instructions": "And kind.",
        "additional_messages": [{"role": "user", "content": "!say {model}: {instructions}"}],
        "tools": [],
        "temperature": 0.25,
        "metadata": {"k": "v"},
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "max_completion_tokens": 500,
        "max_prompt_tokens": 1000,
        "parallel_tool_calls": False,
        "response_format": {"type": "text"},
        "tool_choice": "none",
    }
    run = talk.until(http.post(path, asked).json, *ENDED)
    echoed = {k: v for k, v in asked.items() if not k.startswith("additional")}
    assert {key: run[key] for key in echoed} == echoed
    assert run["instructions"] == "Be brief.\nAnd kind."
    said = talk.messages(run["thread_id"])
    assert len(said) == 2
    assert said[1]["content"][0]["text"]["value"] == "other: Be brief.\nAnd kind."
    assert http.get(f"/v1/assistants/{assistant_id}").json["model"] == "scripted"


@covers("threads.runs.create:invalid_thread")
def test_a_run_needs_something_to_go_on(http: Http, talk: Talk) -> None:
    path = f"/v1/threads/{talk.thread()}/runs"
    answer = http.post(path, {"assistant_id": talk.assistant(), "stream": True})
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.error == {
        "message": "Run creation requires a Thread with a user message or an assistant with"
        " instructions.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_thread",
    }
    instructed = talk.assistant(instructions="Say hello.")
    assert http.post(path, {"assistant_id": instructed}).status == 200


@covers("threads.runs.create:assistant", "threads.runs.create:tool_choice")
def test_a_run_refuses_what_it_cannot_have(http: Http, talk: Talk) -> None:
    path = f"/v1/threads/{talk.thread('hello')}/runs"
    answer = http.post(path, {"assistant_id": "x"})
    assert answer.error["message"] == (
        "Invalid 'assistant_id': 'x'. Expected an ID that begins with 'asst'."
    )
    answer = http.post(path, {"assistant_id": "asst_none"})
    assert (answer.status, answer.error["message"]) == (
        404,
        "No assistant found with id 'asst_none'.",
    )
    choice = {"type": "function", "function": {"name": "absent"}}
    answer = http.post(path, {"assistant_id": talk.assistant(), "tool_choice": choice})
    assert (answer.status, answer.error["param"]) == (400, "tool_choice")


@covers("threads.runs.create:tool_choice")
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_forced_choice_forces_the_first_turn_only(talk: Talk, choice: Any) -> None:
    run = talk.run("hello", tools=[function("f")], tool_choice=choice)
    assert run["status"] == "requires_action"
    assert run["tool_choice"] == choice
    assert talk.until(talk.submit(run, ["ok"]).json, *ENDED)["status"] == "completed"


@covers("threads.runs.create:locked", "threads.messages.create:locked", "locks:released")
def test_a_thread_takes_one_run_at_a_time(http: Http, talk: Talk) -> None:
    run = talk.begin("!think 60")
    thread_id = run["thread_id"]
    body = {"assistant_id": run["assistant_id"], "additional_messages": [_user("no")]}
    answer = http.post(f"/v1/threads/{thread_id}/runs", body)
    assert answer.status == 400
    assert answer.error == {
        "message": f"Thread {thread_id} already has an active run {run['id']}.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    answer = http.post(f"/v1/threads/{thread_id}/messages", _user("no"))
    assert answer.status == 400
    assert answer.error["message"] == (
        f"Can't add messages to {thread_id} while a run {run['id']} is active."
    )
    talk.cancel(run)
    talk.until(run, "cancelled")
    assert len(talk.messages(thread_id)) == 1
    talk.message(thread_id, "yes")


@covers("locks:released")
def test_the_lock_is_gone_when_the_last_event_is_read(http: Http, talk: Talk) -> None:
    stream = talk.open("hello")
    run = stream.until("thread.run.completed")[-1].data
    talk.message(run["thread_id"], "again")
    stream.close()


@covers("threads.runs.create_with_thread:run", "threads.runs.create_with_thread:empty")
def test_a_thread_and_its_run_in_one_request(http: Http, talk: Talk) -> None:
    asked = {"assistant_id": talk.assistant(), "thread": {"messages": [_user("hello")]}}
    run = talk.until(http.post("/v1/threads/runs", asked).json, *ENDED)
    assert run["status"] == "completed"
    assert len(talk.messages(run["thread_id"])) == 2
    bare = {"assistant_id": talk.assistant(instructions="Hello.")}
    assert http.post("/v1/threads/runs", bare).status == 200
    refused = http.post("/v1/threads/runs", {"assistant_id": talk.assistant()})
    assert refused.error["code"] == "invalid_thread"


@covers(
    "threads.runs.submit:requires_action",
    "threads.runs.submit:answer",
    "threads.runs.steps.get:same",
)
def test_a_function_call_waits_for_its_output(http: Http, talk: Talk) -> None:
    run = talk.run(_CALL, tools=[function("f")])
    assert (run["status"], run["usage"]) == ("requires_action", None)
    [call] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert run["required_action"] == {
        "type": "submit_tool_outputs",
        "submit_tool_outputs": {
            "tool_calls": [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a":1}'},
                }
            ]
        },
    }
    [step] = talk.steps(run)
    assert (step["status"], step["usage"], step["expires_at"]) == (
        "in_progress",
        None,
        run["expires_at"],
    )
    assert step["step_details"]["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": '{"a":1}',
        "output": None,
    }
    queued = talk.submit(run, ["42"]).json
    assert (queued["status"], queued["required_action"]) == ("queued", None)
    assert queued["started_at"] == run["started_at"]
    done = talk.until(run, *ENDED)
    steps = talk.steps(done)
    assert steps[0]["step_details"]["tool_calls"][0]["function"]["output"] == "42"
    assert [s["expires_at"] for s in steps] == [None, None]
    one = http.get(f"{path_of(run)}/steps/{steps[0]['id']}").json
    assert one == steps[0]
    for key in done["usage"]:
        if key.endswith("_tokens"):
            assert done["usage"][key] == sum(s["usage"][key] for s in steps)


@covers("threads.runs.submit:refusals")
def test_outputs_must_be_exactly_what_was_asked_for(http: Http, talk: Talk) -> None:
    run = talk.run(f"{_CALL}\n{_CALL}", tools=[function("f")])
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    a, b = (call["id"] for call in calls)
    path = f"{path_of(run)}/submit_tool_outputs"
    answer = http.post(path, {"tool_outputs": [{"tool_call_id": a, "output": "x"}]})
    assert answer.status == 400
    assert answer.error == {
        "message": f"Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}']",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    outputs = [{"tool_call_id": one, "output": ""} for one in (b, a)]
    assert http.post(path, {"tool_outputs": outputs}).status == 200
    done = talk.until(run, *ENDED)
    answer = http.post(path, {"tool_outputs": outputs})
    assert (answer.status, answer.error["message"]) == (
        400,
        f'Runs in status "{done["status"]}" do not accept tool outputs.',
    )
    assert http.post(path, {}).error["param"] == "tool_outputs"


@covers("threads.runs.cancel:states")
@pytest.mark.parametrize("text", ["!think 60", "!say a\n!think 60", _CALL])
def test_a_run_is_cancelled_wherever_it_stands(talk: Talk, text: str) -> None:
    run = talk.begin(text, tools=[function("f")])
    if text == _CALL:
        run = talk.until(run, "requires_action")
    answer = talk.cancel(run)
    assert answer.status == 200
    assert (answer.json["status"], answer.json["cancelled_at"]) == ("cancelling", None)
    assert answer.json["expires_at"] == run["expires_at"]
    done = talk.until(run, *ENDED)
    assert (done["status"], done["expires_at"], done["required_action"]) == (
        "cancelled",
        None,
        None,
    )
    assert done["cancelled_at"] == 1_761_861_537
    for step in talk.steps(done):
        assert (step["status"], step["cancelled_at"]) == ("cancelled", 1_761_861_537)
        assert step["completed_at"] is None


@covers("threads.runs.cancel:refusals")
def test_what_has_ended_cannot_be_cancelled(talk: Talk) -> None:
    run = talk.run("hello")
    answer = talk.cancel(run)
    assert answer.status == 400
    assert answer.error == {
        "message": "Cannot cancel run with status 'completed'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@covers("threads.runs.modify:active", "threads.runs.modify:metadata")
def test_a_run_is_modified_only_when_it_has_ended(http: Http, talk: Talk) -> None:
    run = talk.until(talk.begin("!think 60"), "in_progress")
    answer = http.post(path_of(run), {"metadata": {"k": "v"}})
    assert (answer.status, answer.error["message"]) == (
        400,
        "Cannot update run with status 'in_progress'.",
    )
    talk.cancel(run)
    ended = talk.until(run, "cancelled")
    assert http.post(path_of(run), {"metadata": {"k": "v"}}).json == ended | {
        "metadata": {"k": "v"}
    }


@covers("runs:failure")
@pytest.mark.parametrize(
    ("word", "code", "step_code"),
    [
        ("rate_limit", "rate_limit_exceeded", "rate_limit_exceeded"),
        ("server_error", "server_error", "server_error"),
        ("invalid_prompt", "invalid_prompt", "server_error"),
    ],
)
def test_a_model_that_fails_fails_the_run_in_its_own_words(
    talk: Talk, word: str, code: str, step_code: str
) -> None:
    run = talk.run(f"!say half\n!error {word} Too much.")
    assert (run["status"], run["failed_at"], run["expires_at"]) == ("failed", 1_761_861_537, None)
    assert run["last_error"] == {"code": code, "message": "Too much."}
    [step] = talk.steps(run)
    assert (step["status"], step["completed_at"]) == ("failed", None)
    assert step["last_error"] == {"code": step_code, "message": "Too much."}
    assert run["usage"] == step["usage"]
    message = talk.messages(run["thread_id"])[1]
    assert (message["status"], message["incomplete_details"]) == (
        "incomplete",
        {"reason": "run_failed"},
    )


@covers("runs:token_limit")
def test_a_run_out_of_tokens_is_incomplete(talk: Talk) -> None:
    run = talk.run("!words 100", max_completion_tokens=16)
    assert (run["status"], run["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_completion_tokens"},
    )
    assert (run["completed_at"], run["expires_at"]) == (1_761_861_537, None)
    assert run["usage"]["completion_tokens"] == 16
    [step] = talk.steps(run)
    assert step["status"] == "completed"
    message = talk.messages(run["thread_id"])[1]
    assert (message["status"], message["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_tokens"},
    )
    assert message["completed_at"] is None


@covers("runs:expiry", "threads.runs.submit:refusals")
@pytest.mark.parametrize("text", ["!think 600", _CALL])
def test_a_run_expires_after_ten_minutes(make_server: MakeServer, text: str) -> None:
    server = make_server()
    talk = Talk(server.http())
    run = talk.begin(text, tools=[function("f")])
    run = talk.until(run, "in_progress" if "think" in text else "requires_action")
    server.clock.advance(599)
    assert talk.read(run)["status"] == run["status"]
    server.clock.advance(1)
    expired = talk.read(run)
    assert (expired["status"], expired["expires_at"]) == ("expired", None)
    for step in talk.steps(run):
        assert (step["status"], step["expired_at"]) == ("expired", server.clock.now())
    answer = talk.http.post(f"{path_of(run)}/submit_tool_outputs", {"tool_outputs": []})
    assert answer.error["message"] == 'Runs in status "expired" do not accept tool outputs.'


@covers("runs:expiry", "threads.runs.create:locked", "threads.messages.create:locked")
@pytest.mark.parametrize("text", ["!think 600", _CALL])
@pytest.mark.parametrize("asked", ["messages", "runs"])
def test_a_run_whose_time_is_up_locks_its_thread_no_longer(
    make_server: MakeServer, text: str, asked: str
) -> None:
    server = make_server()
    talk = Talk(server.http())
    run = talk.begin(text, tools=[function("f")])
    talk.until(run, "in_progress" if "think" in text else "requires_action")
    path = f"/v1/threads/{run['thread_id']}/{asked}"
    body = _user("on") if asked == "messages" else {"assistant_id": run["assistant_id"]}
    server.clock.advance(599)
    assert talk.http.post(path, body).status == 400
    server.clock.advance(1)
    assert talk.http.post(path, body).status == 200
    assert talk.read(run)["status"] == "expired"


@covers("polling:monotonic")
def test_a_hundred_pollers_never_see_a_run_go_back(server: Server) -> None:
    talk = Talk(server.http())
    run = talk.begin("!pace 0.01\n!words 20")
    ranks = {"queued": 0, "in_progress": 1, "completed": 2}
    seen: list[list[int]] = []

    def poll() -> None:
        mine = [ranks[talk.read(run)["status"]]]
        pause = threading.Event()
        while mine[-1] < 2 and len(mine) < 200:
            pause.wait(0.05)
            mine.append(ranks[talk.read(run)["status"]])
        seen.append(mine)

    pollers = [threading.Thread(target=poll) for _ in range(100)]
    for poller in pollers:
        poller.start()
    for poller in pollers:
        poller.join(30)
    assert len(seen) == 100
    assert all(mine == sorted(mine) and mine[-1] == 2 for mine in seen)


@covers("threads.runs.steps.get:foreign", "threads.runs.steps.list:foreign")
def test_steps_of_another_run_are_not_found(http: Http, talk: Talk) -> None:
    one, other = talk.run("hello"), talk.run("hello")
    step_id = talk.steps(other)[0]["id"]
    answer = http.get(f"{path_of(one)}/steps/{step_id}")
    assert (answer.status, answer.error["message"]) == (
        404,
        f"No run step found with id '{step_id}'.",
    )
    mixed = f"/v1/threads/{one['thread_id']}/runs/{other['id']}/steps"
    assert http.get(mixed).error["message"] == f"No run found with id '{other['id']}'."


@covers("include:values")
def test_include_knows_one_value(http: Http, talk: Talk) -> None:
    run = talk.run("hello")
    known = "step_details.tool_calls[*].file_search.results[*].content"
    for name in ("include[]", "include", "include[0]"):
        assert http.get(f"{path_of(run)}/steps?{name}={known}").status == 200
    answer = http.get(f"{path_of(run)}/steps?include[]=foo")
    assert answer.error == {
        "message": f"Invalid value: 'foo'. Supported values are: '{known}'.",
        "type": "invalid_request_error",
        "param": "include[0]",
        "code": "invalid_value",
    }


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
