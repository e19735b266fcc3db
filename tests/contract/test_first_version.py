"""The first version of the API, as clients of 2023 speak it."""

from typing import Any

import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import Server, running
from tests.kit.shelf import FIGS, filled_store
from tests.kit.talk import Talk


@pytest.fixture
def v1(server: Server) -> Http:
    return server.http(beta="assistants=v1")


@covers("v1:objects", "v1:retrieval", "v1:metadata")
def test_objects_of_the_first_version(v1: Http, http: Http) -> None:
    asked = {"model": "m", "tools": [{"type": "retrieval"}], "metadata": {"modified": True}}
    assistant = v1.post("/v1/assistants", asked).json
    assert assistant["tools"] == [{"type": "retrieval"}]
    assert assistant["file_ids"] == []
    assert assistant["metadata"] == {"modified": "True"}
    assert "tool_resources" not in assistant
    second = http.get(f"/v1/assistants/{assistant['id']}").json
    assert second["tools"][0]["type"] == "file_search"
    thread = v1.post("/v1/threads", {"messages": [{"role": "user", "content": "hello"}]}).json
    assert sorted(thread) == ["created_at", "id", "metadata", "object"]
    [message] = v1.get(f"/v1/threads/{thread['id']}/messages").json["data"]
    assert message["file_ids"] == []
    assert "attachments" not in message


@covers("v1:retrieval")
def test_a_run_may_be_told_to_retrieve(v1: Http, http: Http) -> None:
    tools = [{"type": "code_interpreter"}, {"type": "retrieval"}]
    assistant_id = v1.post("/v1/assistants", {"model": "scripted", "tools": tools}).json["id"]
    thread_id = v1.post("/v1/threads", {}).json["id"]
    asked = {"assistant_id": assistant_id, "tool_choice": {"type": "retrieval"}}
    run = v1.post(f"/v1/threads/{thread_id}/runs", asked).json
    assert run["tool_choice"] == {"type": "retrieval"}
    second = http.get(f"/v1/threads/{thread_id}/runs/{run['id']}").json
    assert second["tool_choice"] == {"type": "file_search"}


@covers("v1:retrieval")
def test_a_tool_of_the_second_version_is_refused_where_it_stands(v1: Http) -> None:
    tools = [{"type": "code_interpreter"}, {"type": "file_search"}]
    refusal = v1.post("/v1/assistants", {"model": "m", "tools": tools})
    assert refusal.status == 400
    assert refusal.json["error"]["param"] == "tools[1].type"


@covers(
    "v1:only",
    "assistants.files.create:v1",
    "assistants.files.list:v1",
    "assistants.files.get:v1",
    "assistants.files.delete:v1",
)
def test_files_of_an_assistant(v1: Http, http: Http, sdk: OpenAI) -> None:
    file_id = sdk.files.create(file=("a.txt", b"hello"), purpose="assistants").id
    asked = {"model": "m", "tools": [{"type": "code_interpreter"}]}
    assistant_id = v1.post("/v1/assistants", asked).json["id"]
    path = f"/v1/assistants/{assistant_id}/files"
    attached = v1.post(path, {"file_id": file_id}).json
    assert attached == {
        "id": file_id,
        "object": "assistant.file",
        "created_at": 1_761_861_537,
        "assistant_id": assistant_id,
    }
    assert v1.get(path).json["data"] == [attached]
    assert v1.get(f"{path}/{file_id}").json == attached
    assert v1.get(f"/v1/assistants/{assistant_id}").json["file_ids"] == [file_id]
    gone = {"id": file_id, "object": "assistant.file.deleted", "deleted": True}
    assert v1.delete(f"{path}/{file_id}").json == gone
    assert v1.get(path).json["data"] == []
    assert sdk.files.retrieve(file_id).id == file_id
    assert http.get(path).status == 404


@covers("threads.messages.files.list:v1", "threads.messages.files.get:v1")
def test_files_of_a_message(v1: Http, sdk: OpenAI) -> None:
    file_id = sdk.files.create(file=("a.txt", b"hello"), purpose="assistants").id
    thread_id = v1.post("/v1/threads", {}).json["id"]
    asked = {"role": "user", "content": "hello", "file_ids": [file_id]}
    message = v1.post(f"/v1/threads/{thread_id}/messages", asked).json
    assert message["file_ids"] == [file_id]
    path = f"/v1/threads/{message['thread_id']}/messages/{message['id']}"
    assert v1.post(path, {"metadata": {}}).json["file_ids"] == [file_id]
    path = f"/v1/threads/{thread_id}/messages/{message['id']}/files"
    [held] = v1.get(path).json["data"]
    assert held == {
        "id": file_id,
        "object": "thread.message.file",
        "created_at": 1_761_861_537,
        "message_id": message["id"],
    }
    assert v1.get(f"{path}/{file_id}").json == held


def _files(sdk: OpenAI, *names: str) -> list[str]:
    return [
        sdk.files.create(file=(name, f"{name} is a fruit".encode()), purpose="assistants").id
        for name in names
    ]


def _search_of(http: Http, assistant_id: str) -> list[str]:
    """The files that the assistant's file search looks into."""
    held = http.get(f"/v1/assistants/{assistant_id}").json["tool_resources"]
    return [
        file["id"]
        for store_id in held["file_search"]["vector_store_ids"]
        for file in http.get(f"/v1/vector_stores/{store_id}/files?order=asc").json["data"]
    ]


@covers("v1:retrieval", "v1:tools_later")
def test_a_tool_that_is_switched_on_later_has_the_files_of_the_assistant(
    v1: Http, http: Http, sdk: OpenAI
) -> None:
    text, image = _files(sdk, "fig.txt", "fig.png")
    asked: dict[str, Any] = {"model": "m", "file_ids": [text, image]}
    path = f"/v1/assistants/{v1.post('/v1/assistants', asked).json['id']}"
    retrieval, code = {"type": "retrieval"}, {"type": "code_interpreter"}
    assert v1.post(path, {"tools": [retrieval]}).json["file_ids"] == [text, image]
    assert _search_of(http, path.rpartition("/")[2]) == [text]
    held = http.get(path).json["tool_resources"]
    v1.post(path, {"tools": [retrieval, code]})
    both = held | {"code_interpreter": {"file_ids": [text, image]}}
    assert http.get(path).json["tool_resources"] == both
    for tools in ([code], [code, retrieval]):
        v1.post(path, {"tools": tools, "name": "the same store again"})
    assert http.get(path).json["tool_resources"] == both


@covers("v1:tools_later")
def test_what_a_client_of_the_second_version_chose_stays_when_another_tool_is_switched_on(
    v1: Http, http: Http, sdk: OpenAI
) -> None:
    first, second = _files(sdk, "fig.txt", "plum.txt")
    tools = [{"type": "code_interpreter"}]
    asked: dict[str, Any] = {"model": "m", "file_ids": [first], "tools": tools}
    path = f"/v1/assistants/{v1.post('/v1/assistants', asked).json['id']}"
    http.post(path, {"tool_resources": {"code_interpreter": {"file_ids": [second]}}})
    v1.post(path, {"tools": [*tools, {"type": "retrieval"}]})
    held = http.get(path).json["tool_resources"]
    assert held["code_interpreter"] == {"file_ids": [second]}
    assert _search_of(http, path.rpartition("/")[2]) == [first]


@covers("v1:one_store")
def test_the_files_of_an_assistant_come_and_go_in_one_store(
    v1: Http, http: Http, sdk: OpenAI
) -> None:
    first, second, third = _files(sdk, "fig.txt", "plum.txt", "pear.txt")
    tools = [{"type": "retrieval"}]
    asked: dict[str, Any] = {"model": "m", "file_ids": [first], "tools": tools}
    assistant_id = v1.post("/v1/assistants", asked).json["id"]
    path = f"/v1/assistants/{assistant_id}"
    held = http.get(path).json["tool_resources"]
    v1.post(f"{path}/files", {"file_id": second})
    assert _search_of(http, assistant_id) == [first, second]
    v1.post(path, {"file_ids": [second, third]})
    assert _search_of(http, assistant_id) == [second, third]
    # What is taken away while retrieval is off is not found when it is on again.
    v1.post(path, {"tools": []})
    v1.delete(f"{path}/files/{second}")
    v1.post(path, {"tools": tools})
    assert _search_of(http, assistant_id) == [third]
    assert http.get(path).json["tool_resources"] == held


@covers("v1:tools_later")
def test_a_file_that_is_taken_away_goes_from_tools_that_are_off_too(
    v1: Http, http: Http, sdk: OpenAI
) -> None:
    first, second = _files(sdk, "fig.txt", "plum.txt")
    tools = [{"type": "code_interpreter"}]
    asked: dict[str, Any] = {"model": "m", "file_ids": [first, second], "tools": tools}
    path = f"/v1/assistants/{v1.post('/v1/assistants', asked).json['id']}"
    v1.post(path, {"tools": []})
    v1.delete(f"{path}/files/{first}")
    held = http.get(path).json["tool_resources"]
    assert held == {"code_interpreter": {"file_ids": [second]}}


@covers("v1:one_store")
def test_a_store_that_is_gone_is_replaced(v1: Http, http: Http, sdk: OpenAI) -> None:
    first, second = _files(sdk, "fig.txt", "plum.txt")
    asked: dict[str, Any] = {"model": "m", "file_ids": [first], "tools": [{"type": "retrieval"}]}
    assistant_id = v1.post("/v1/assistants", asked).json["id"]
    held = http.get(f"/v1/assistants/{assistant_id}").json["tool_resources"]
    [store_id] = held["file_search"]["vector_store_ids"]
    sdk.vector_stores.delete(store_id)
    v1.post(f"/v1/assistants/{assistant_id}/files", {"file_id": second})
    assert _search_of(http, assistant_id) == [first, second]


@covers("assistants.files.create:v1")
def test_an_assistant_has_twenty_files_at_most(v1: Http, sdk: OpenAI) -> None:
    files = _files(sdk, *(f"{n}.csv" for n in range(21)))
    asked = {"model": "m", "tools": [{"type": "code_interpreter"}], "file_ids": files[:20]}
    path = f"/v1/assistants/{v1.post('/v1/assistants', asked).json['id']}"
    refusal = v1.post(f"{path}/files", {"file_id": files[20]})
    assert refusal.status == 400
    assert refusal.error["code"] == "array_above_max_length"
    assert v1.post(f"{path}/files", {"file_id": files[0]}).status == 200
    assert v1.get(path).json["file_ids"] == files[:20]


@covers("assistants.files.create:v1", "assistants.files.delete:v1")
def test_a_file_that_has_expired_is_in_nobodys_way() -> None:
    with running() as server, server.sdk() as sdk:
        v1 = server.http(beta="assistants=v1")
        [kept, other] = _files(sdk, "fig.txt", "plum.txt")
        expiring = sdk.files.create(
            file=("pear.txt", b"a pear"),
            purpose="assistants",
            expires_after={"anchor": "created_at", "seconds": 3600},
        ).id
        tools = [{"type": "retrieval"}]
        asked: dict[str, Any] = {"model": "m", "tools": tools, "file_ids": [kept, expiring]}
        assistant_id = v1.post("/v1/assistants", asked).json["id"]
        path = f"/v1/assistants/{assistant_id}/files"
        server.clock.advance(3600)
        assert v1.post(path, {"file_id": other}).status == 200
        assert v1.delete(f"{path}/{kept}").status == 200
        assert other in _search_of(server.http(), assistant_id)


@covers("v1:message_files")
def test_messages_bring_ten_files_each_and_a_thread_any_number(
    v1: Http, http: Http, sdk: OpenAI
) -> None:
    files = _files(sdk, *(f"{n}.csv" for n in range(31)))
    thread_id = v1.post("/v1/threads", {}).json["id"]
    path = f"/v1/threads/{thread_id}/messages"
    for first in (0, 10, 20):
        asked = {"role": "user", "content": "these", "file_ids": files[first : first + 10]}
        answer = v1.post(path, asked)
        assert (answer.status, answer.json.get("file_ids")) == (200, files[first : first + 10])
    thread = http.get(f"/v1/threads/{thread_id}").json
    assert thread["tool_resources"]["code_interpreter"]["file_ids"] == files[:30]
    assert v1.get(f"/v1/threads/{thread_id}").status == 200
    refusal = v1.post(path, {"role": "user", "content": "these", "file_ids": files[:11]})
    assert refusal.error["code"] == "array_above_max_length"
    second = {"file_id": files[30], "tools": [{"type": "code_interpreter"}]}
    refusal = http.post(path, {"role": "user", "content": "that", "attachments": [second]})
    assert refusal.error["param"] == "tool_resources.code_interpreter.file_ids"


_TOOLS = "'code_interpreter', 'retrieval', and 'function'"
_CHOICES = "'function', 'code_interpreter', and 'retrieval'"
_MESSAGE = {"role": "user", "content": "x"}


@covers("v1:errors")
@pytest.mark.parametrize(
    ("path", "body", "message", "param"),
    [
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "browser"}]},
            f"Invalid value: 'browser'. Supported values are: {_TOOLS}.",
            "tools[0].type",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{}]},
            "Missing required parameter: 'tools[0].type'.",
            "tools[0].type",
        ),
        (
            "/threads/thread_nope/runs",
            {"assistant_id": "asst_nope", "tool_choice": {"type": "file_search"}},
            f"Invalid value: 'file_search'. Supported values are: {_CHOICES}.",
            "tool_choice.type",
        ),
        (
            "/threads",
            {"messages": [_MESSAGE, _MESSAGE | {"attachments": []}]},
            "Unknown parameter: 'messages[1].attachments'.",
            "messages[1].attachments",
        ),
        (
            "/threads/runs",
            {"assistant_id": "asst_nope", "thread": {"messages": [_MESSAGE | {"file_ids": [1]}]}},
            (
                "Invalid type for 'thread.messages[0].file_ids[0]': expected a string, but got an"
                " integer instead."
            ),
            "thread.messages[0].file_ids[0]",
        ),
        (
            "/threads/thread_nope/messages",
            _MESSAGE | {"file_ids": "file-1"},
            "Invalid type for 'file_ids': expected an array of strings, but got a string instead.",
            "file_ids",
        ),
    ],
)
def test_errors_speak_of_what_the_first_version_knew(
    v1: Http, path: str, body: Any, message: str, param: str
) -> None:
    answer = v1.post(f"/v1{path}", body)
    assert answer.status == 400
    assert (answer.error["message"], answer.error["param"]) == (message, param)


@covers("v1:message_files", "v1:retrieval")
@pytest.mark.parametrize("tool", ["retrieval", "code_interpreter"])
def test_what_messages_brought_does_not_expire(tool: str) -> None:
    with running() as server, server.sdk() as sdk:
        v1 = server.http(beta="assistants=v1")
        asked = {"model": "scripted", "tools": [{"type": tool}]}
        assistant_id = v1.post("/v1/assistants", asked).json["id"]
        message = {"role": "user", "content": "these", "file_ids": _files(sdk, "fig.csv")}
        thread_id = v1.post("/v1/threads", {"messages": [message]}).json["id"]
        server.clock.advance(30 * 24 * 3600)
        run = v1.post(f"/v1/threads/{thread_id}/runs", {"assistant_id": assistant_id})
        assert run.status == 200
        held = server.http().get(f"/v1/threads/{thread_id}").json["tool_resources"]
        [store_id] = held["file_search"]["vector_store_ids"]
        store = server.http().get(f"/v1/vector_stores/{store_id}").json
        assert (store["expires_after"], store["expires_at"]) == (None, None)


@covers("v1:objects", "objects:key_order")
def test_a_citation_of_the_first_version_is_written_in_one_way() -> None:
    with running(files_at_once=1) as server, server.sdk() as sdk:
        store_id = filled_store(sdk, figs=FIGS)
        talk = Talk(server.http(beta="assistants=v1"))
        assistant: Any = sdk.beta.assistants.create(
            model="scripted",
            tools=[{"type": "file_search"}],
            tool_resources={"file_search": {"vector_store_ids": [store_id]}},
        )
        thread_id = talk.thread("!search figs\n!then\n!say {marker}")
        frames = talk.http.frames(f"/v1/threads/{thread_id}/runs", {"assistant_id": assistant.id})
    told = [frame.data for frame in frames[:-1] if frame.event.startswith("thread.message.")]
    shown = [one.get("delta", one)["content"] for one in told]
    cited = [
        annotation["file_citation"]
        for content in shown
        for part in content
        for annotation in part["text"]["annotations"]
    ]
    assert len(cited) == 2
    assert {tuple(one) for one in cited} == {("file_id", "quote")}
