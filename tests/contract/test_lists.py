"""Lists: whole walks, cursors, bounds, and lists that shrink while they are read."""

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import Server
from tests.kit.talk import Talk


@pytest.fixture(scope="module")
def steps_run(talk: Talk) -> dict[str, Any]:
    """A run of five steps within one second."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    run = talk.run("!say a\n!call f\n!then\n!say b\n!call f\n!then\n!say c", tools=tools)
    while run["status"] == "requires_action":
        run = talk.until(talk.submit(run, ["ok"]).json, "requires_action", "completed")
    return {"thread_id": run["thread_id"], "run_id": run["id"]}


@covers("lists:shape", "objects:key_order")
def test_the_list_of_files_has_its_keys_in_an_order_of_its_own(http: Http) -> None:
    assert list(http.get("/v1/files").json) == ["object", "data", "has_more", "first_id", "last_id"]


@covers("lists:shape", "lists:empty", "threads.runs.steps.list:empty")
def test_an_empty_list_has_null_ids(http: Http, talk: Talk) -> None:
    thread_id = talk.thread()
    empty = b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
    assert http.get(f"/v1/threads/{thread_id}/messages").body == empty
    assert http.get(f"/v1/threads/{thread_id}/runs").body == empty
    run = talk.begin("!think 60")
    steps = http.get(f"/v1/threads/{run['thread_id']}/runs/{run['id']}/steps")
    assert steps.body == empty
    talk.cancel(run)


@covers(
    "threads.runs.steps.list:default_order",
    "threads.runs.steps.list:order",
    "threads.runs.steps.list:limit",
    "threads.runs.steps.list:after",
    "threads.runs.steps.list:before",
    "threads.runs.steps.list:both",
)
def test_steps_are_paged_in_the_order_in_which_they_were_taken(
    sdk: OpenAI, steps_run: dict[str, Any]
) -> None:
    list_steps = sdk.beta.threads.runs.steps.list
    page = list_steps(**steps_run)
    assert [step.type for step in page.data] == [
        "message_creation",
        "tool_calls",
        "message_creation",
        "tool_calls",
        "message_creation",
    ]
    newest_first = [step.id for step in page.data]
    ids = newest_first[::-1]
    assert [step.id for step in list_steps(**steps_run, order="asc").data] == ids
    assert (page.has_more, page.first_id, page.last_id) == (False, ids[-1], ids[0])  # type: ignore[attr-defined]  # sent, though not typed
    for limit in (1, 2, 3, 4, 5):
        assert [step.id for step in list_steps(**steps_run, limit=limit)] == newest_first
        assert [step.id for step in list_steps(**steps_run, limit=limit, order="asc")] == ids
    assert [s.id for s in list_steps(**steps_run, after=ids[3]).data] == [ids[2], ids[1], ids[0]]
    assert [s.id for s in list_steps(**steps_run, before=ids[3]).data] == [ids[4]]
    near = list_steps(**steps_run, before=ids[4], limit=2, order="asc")
    assert [s.id for s in near.data] == [ids[2], ids[3]]
    assert near.has_more
    between = list_steps(**steps_run, after=ids[0], before=ids[3], order="asc")
    assert [s.id for s in between.data] == [ids[1], ids[2]]
    assert list_steps(**steps_run, after=ids[-1], order="asc").data == []


@covers("lists:unknown_cursor", "threads.runs.steps.list:foreign_cursor")
def test_a_cursor_that_never_was_in_the_list_is_refused(
    sdk: OpenAI, talk: Talk, steps_run: dict[str, Any]
) -> None:
    with pytest.raises((NotFoundError, BadRequestError)) as refused:
        sdk.beta.threads.runs.steps.list(**steps_run, after="step_never")
    assert "No run step found with id 'step_never'." in str(refused.value)
    other = talk.steps(talk.run("hello"))[0]["id"]
    with pytest.raises(NotFoundError):
        sdk.beta.threads.runs.steps.list(**steps_run, after=other)
    with pytest.raises(NotFoundError):
        sdk.beta.assistants.list(before="asst_never")


@covers("lists:deleted_cursor", "assistants.list:walk")
def test_fifty_assistants_are_deleted_while_they_are_paged(server: Server) -> None:
    with server.sdk() as sdk:
        made = {sdk.beta.assistants.create(model="paged").id for _ in range(50)}
        gone = set()
        for assistant in sdk.beta.assistants.list(limit=7):
            if assistant.id in made:
                sdk.beta.assistants.delete(assistant.id)
                gone.add(assistant.id)
        assert gone == made
        left = {assistant.id for assistant in sdk.beta.assistants.list(limit=100)}
        assert not left & made


@covers("lists:unknown_query")
def test_what_a_list_does_not_know_it_ignores(http: Http) -> None:
    for query in ("foo=1&limit=&after=", "limit[a]=1", "order=asc&order[]=desc", "%=&[=&]="):
        assert http.get(f"/v1/assistants?{query}").status == 200
    for query in ("include[]=", "include=", "include[0]=&include[]"):
        steps = http.get(f"/v1/threads/thread_none/runs/run_none/steps?{query}")
        assert steps.status == 404, query
    answer = http.get("/v1/threads?metadata=x&metadata[k]=v")
    assert (answer.status, answer.error["param"]) == (400, "metadata")


@covers("lists:bounds")
def test_a_limit_is_read_as_a_number(http: Http, talk: Talk) -> None:
    for _ in range(3):
        talk.assistant()
    for written in ("2", "02", "%2B2"):
        assert len(http.get(f"/v1/assistants?limit={written}").json["data"]) == 2, written


@covers("threads.runs.list:order", "threads.messages.list:walk")
def test_runs_and_messages_of_one_second_are_walked_in_either_order(
    sdk: OpenAI, talk: Talk
) -> None:
    thread_id = talk.thread("hello")
    assistant_id = talk.assistant()
    runs = [
        sdk.beta.threads.runs.create_and_poll(
            thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1
        ).id
        for _ in range(5)
    ]
    for limit in (1, 2, 5, 100):
        asc = sdk.beta.threads.runs.list(thread_id, limit=limit, order="asc")
        assert [run.id for run in asc] == runs
        desc = sdk.beta.threads.runs.list(thread_id, limit=limit)
        assert [run.id for run in desc] == runs[::-1]
        walked = [m.id for m in sdk.beta.threads.messages.list(thread_id, limit=limit)]
        assert walked == [m["id"] for m in talk.messages(thread_id, "limit=100")]
        assert len(walked) == 6
