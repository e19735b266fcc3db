"""Assistants, threads and messages: what is echoed, what is filled in, what is refused."""

from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.clocks import SteppedClock
from tests.kit.http import Http
from tests.kit.server import running
from tests.kit.talk import Talk, function, last, path_of

from locum.app import Parts

_RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}
_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


@covers("assistants.create:defaults", "assistants.get:same", "objects:key_order", "objects:floats")
def test_an_assistant_of_which_only_the_model_is_told_has_every_default(http: Http) -> None:
    answer = http.post("/v1/assistants", {"model": "gpt-4o"})
    assistant = answer.json
    assert answer.status == 200
    assert list(assistant.items()) == [
        ("id", assistant["id"]),
        ("object", "assistant"),
        ("created_at", 1_761_861_537),
        ("name", None),
        ("description", None),
        ("model", "gpt-4o"),
        ("instructions", None),
        ("tools", []),
        ("top_p", 1.0),
        ("temperature", 1.0),
        ("reasoning_effort", None),
        ("tool_resources", {}),
        ("metadata", {}),
        ("response_format", "auto"),
    ]
    assert b'"temperature":1.0' in answer.body
    assert http.get(f"/v1/assistants/{assistant['id']}").body == answer.body


@covers("assistants.create:echo")
def test_an_assistant_gives_back_what_it_was_given(http: Http) -> None:
    given = {
        "model": "gpt-4o",
        "name": "Ada 你好",
        "description": "d",
        "instructions": "i",
        "reasoning_effort": "low",
        "top_p": 0.5,
        "temperature": 0.25,
        "metadata": {"k": "v"},
        "response_format": {"type": "json_object"},
    }
    assistant = http.post("/v1/assistants", given).json
    assert {key: assistant[key] for key in given} == given


@covers("tools:function_echo")
def test_a_function_without_parameters_comes_back_with_an_empty_object(http: Http) -> None:
    tools = http.post("/v1/assistants", {"model": "m", "tools": [function("f")]}).json["tools"]
    empty = {"type": "object", "properties": {}}
    assert tools == [
        function("f", description=None, parameters=empty, strict=False),
    ]
    assert list(tools[0]["function"]) == ["name", "description", "parameters", "strict"]


@covers("tools:file_search_echo")
@pytest.mark.parametrize(
    ("given", "echoed"),
    [
        ({}, {"ranking_options": _RANKING}),
        ({"max_num_results": 2}, {"max_num_results": 2, "ranking_options": _RANKING}),
        (
            {"ranking_options": {"ranker": "auto", "score_threshold": 0.5}},
            {"ranking_options": _RANKING | {"score_threshold": 0.5}},
        ),
    ],
)
def test_file_search_comes_back_with_its_ranking(http: Http, given: Any, echoed: Any) -> None:
    tool = {"type": "file_search", "file_search": given}
    assistant = http.post("/v1/assistants", {"model": "m", "tools": [tool]}).json
    assert assistant["tools"] == [{"type": "file_search", "file_search": echoed}]
    assert list(assistant["tools"][0]["file_search"]) == list(echoed)
    assert assistant["tool_resources"] == {"file_search": {"vector_store_ids": []}}


@covers("tools:code_interpreter_resources")
def test_the_code_interpreter_brings_an_empty_list_of_files(http: Http) -> None:
    tools = [{"type": "code_interpreter"}]
    assistant = http.post("/v1/assistants", {"model": "m", "tools": tools}).json
    assert assistant["tools"] == tools
    assert assistant["tool_resources"] == {"code_interpreter": {"file_ids": []}}


@covers("assistants.modify:partial", "assistants.modify:null")
def test_modifying_an_assistant_changes_what_is_named_and_null_clears(http: Http) -> None:
    made = http.post(
        "/v1/assistants",
        {"model": "m", "name": "n", "temperature": 0.5, "metadata": {"a": "1", "b": "2"}},
    ).json
    path = f"/v1/assistants/{made['id']}"
    modified = http.post(path, {"instructions": "i", "metadata": {"c": "3"}}).json
    assert modified == made | {"instructions": "i", "metadata": {"c": "3"}}
    cleared = http.post(path, {"name": None, "temperature": None}).json
    assert cleared == modified | {"name": None, "temperature": 1.0}
    assert http.post(path, {}).json == cleared
    assert http.get(path).json == cleared


@covers("assistants.delete:shape", "assistants.delete:gone")
def test_a_deleted_assistant_is_not_found(http: Http, talk: Talk) -> None:
    assistant_id = talk.assistant()
    path = f"/v1/assistants/{assistant_id}"
    gone = {"id": assistant_id, "object": "assistant.deleted", "deleted": True}
    assert http.delete(path).json == gone
    for answer in (http.get(path), http.delete(path), http.post(path, {})):
        assert answer.status == 404
        assert answer.error["message"] == f"No assistant found with id '{assistant_id}'."


@covers("threads.create:empty_body", "threads.get:resources", "threads.modify:resources")
@pytest.mark.parametrize("body", [None, {}, {"messages": []}, b"[]", b"null"])
def test_a_thread_shows_an_empty_code_interpreter_only_when_it_is_read(
    http: Http, body: Any
) -> None:
    made = http.post("/v1/threads", body).json
    assert list(made) == ["id", "object", "created_at", "metadata", "tool_resources"]
    assert made["tool_resources"] == {}
    path = f"/v1/threads/{made['id']}"
    assert http.get(path).json == made | {"tool_resources": {"code_interpreter": {"file_ids": []}}}
    assert http.post(path, {"metadata": {"k": "v"}}).json == made | {"metadata": {"k": "v"}}


@covers("errors:grammar")
def test_a_list_is_no_body_where_something_is_required(http: Http) -> None:
    told = http.post("/v1/assistants", b"[]").error
    assert told["message"] == (
        "Invalid type for the body: expected an object, but got an array instead."
    )


@covers("threads.create:messages", "threads.messages.list:order")
def test_first_messages_keep_their_order_though_they_share_a_second(talk: Talk) -> None:
    thread_id = talk.thread("one", "two", "three")
    texts = [m["content"][0]["text"]["value"] for m in talk.messages(thread_id)]
    assert texts == ["one", "two", "three"]
    newest = [m["content"][0]["text"]["value"] for m in talk.messages(thread_id, "")]
    assert newest == ["three", "two", "one"]


@covers("threads.delete:cascade")
def test_a_deleted_thread_takes_everything_below_it_along(http: Http, talk: Talk) -> None:
    run = talk.run("hello")
    thread = f"/v1/threads/{run['thread_id']}"
    assert http.delete(thread).json == {
        "id": run["thread_id"],
        "object": "thread.deleted",
        "deleted": True,
    }
    for path in ("", "/messages", "/runs", f"/runs/{run['id']}", f"/runs/{run['id']}/steps"):
        answer = http.get(thread + path)
        assert answer.status == 404
        assert answer.error["message"] == f"No thread found with id '{run['thread_id']}'."


@covers("threads.list:metadata")
def test_threads_are_listed_by_their_metadata(http: Http) -> None:
    mine = http.post("/v1/threads", {"metadata": {"user": "ada", "of": "this test"}}).json
    http.post("/v1/threads", {"metadata": {"user": "bob", "of": "this test"}})
    path = "/v1/threads?metadata[user]=ada&metadata[of]=this%20test"
    assert [thread["id"] for thread in http.get(path).json["data"]] == [mine["id"]]


@covers("threads.messages.create:string", "threads.messages.get:same")
def test_a_text_becomes_one_part(http: Http, talk: Talk) -> None:
    thread_id = talk.thread()
    answer = http.post(
        f"/v1/threads/{thread_id}/messages", {"role": "user", "content": "hi", "metadata": {}}
    )
    message = answer.json
    assert list(message.items()) == [
        ("id", message["id"]),
        ("object", "thread.message"),
        ("created_at", 1_761_861_537),
        ("assistant_id", None),
        ("thread_id", thread_id),
        ("run_id", None),
        ("status", "completed"),
        ("incomplete_details", None),
        ("incomplete_at", None),
        ("completed_at", 1_761_861_537),
        ("role", "user"),
        ("content", [{"type": "text", "text": {"value": "hi", "annotations": []}}]),
        ("attachments", []),
        ("metadata", {}),
    ]
    assert http.get(f"/v1/threads/{thread_id}/messages/{message['id']}").body == answer.body


@covers("threads.messages.create:parts")
def test_parts_are_echoed_with_their_detail(http: Http, talk: Talk) -> None:
    address = "https://example.org/cat.png"
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "image_url", "image_url": {"url": address, "detail": "low"}},
    ]
    made = http.post(
        f"/v1/threads/{talk.thread()}/messages", {"role": "assistant", "content": content}
    ).json
    assert made["role"] == "assistant"
    assert made["assistant_id"] is None
    assert made["content"] == [
        {"type": "text", "text": {"value": "look", "annotations": []}},
        {"type": "image_url", "image_url": {"url": address, "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": address, "detail": "low"}},
    ]


@covers("threads.messages.modify:metadata", "threads.messages.delete:shape")
def test_of_a_message_only_the_metadata_changes(http: Http, talk: Talk) -> None:
    thread_id = talk.thread()
    message = talk.message(thread_id, "hi")
    path = f"/v1/threads/{thread_id}/messages/{message['id']}"
    modified = http.post(path, {"metadata": {"k": "v"}}).json
    assert modified == message | {"metadata": {"k": "v"}, "file_ids": []}
    assert http.get(path).json == message | {"metadata": {"k": "v"}}
    assert http.post(path, {"content": "x"}).error["code"] == "unknown_parameter"
    assert http.delete(path).json == {
        "id": message["id"],
        "object": "thread.message.deleted",
        "deleted": True,
    }
    assert http.get(path).error["message"] == f"No message found with id '{message['id']}'."


@covers("threads.messages.list:run_id")
def test_messages_of_one_run_can_be_asked_for(talk: Talk) -> None:
    run = talk.run("hello")
    talk.message(run["thread_id"], "again")
    assert len(talk.messages(run["thread_id"])) == 3
    found = talk.messages(run["thread_id"], f"run_id={run['id']}")
    assert [message["run_id"] for message in found] == [run["id"]]


@covers("objects:key_order")
def test_a_call_tells_its_id_before_its_type(http: Http, talk: Talk) -> None:
    tools = [function("f"), {"type": "file_search"}]
    said = "!search sunny places\n!then\n!call f {}"
    frames = talk.frames(said, tools=tools)
    streamed = [f.data for f in frames if f.event == "thread.run.step.completed"]
    run = last(frames, "thread.run.requires_action")
    submitted = talk.submit_frames(run, ["ok"])
    streamed += [f.data for f in submitted if f.event == "thread.run.step.completed"]
    listed = talk.steps(run)
    included = talk.steps(run, f"order=asc&include[]={_CONTENT}")
    read = [http.get(f"{path_of(run)}/steps/{step['id']}").json for step in listed]
    for steps in (streamed, listed, included, read):
        calls = [
            (list(call), call["type"])
            for step in steps
            for call in step["step_details"].get("tool_calls", [])
        ]
        assert calls == [
            (["id", "type", "file_search"], "file_search"),
            (["id", "type", "function"], "function"),
        ]


class _RacingClock(SteppedClock):
    """A second goes by whenever somebody asks for the time."""

    def now(self) -> int:
        self.advance(1)
        return super().now()


@covers("threads.messages.create:string")
def test_messages_of_one_request_have_one_time() -> None:
    with running(Parts(clock=_RacingClock())) as server:
        http = server.http()
        messages = [{"role": "user", "content": word} for word in ("one", "two", "three")]
        thread_id = http.post("/v1/threads", {"messages": messages}).json["id"]
        listed = http.get(f"/v1/threads/{thread_id}/messages").json["data"]
        assert len({(one["created_at"], one["completed_at"]) for one in listed}) == 1
        assert listed[0]["created_at"] == listed[0]["completed_at"]
