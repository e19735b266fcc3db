"""The first version of the API, as clients of 2023 speak it."""

import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.server import Server


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
