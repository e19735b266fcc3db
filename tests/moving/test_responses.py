"""Out to the Responses API: what is written is what the official client's own types describe."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.conversations import Conversation, ConversationItem
from openai.types.responses import Response
from pydantic import BaseModel, TypeAdapter, ValidationError
from tests.kit.clocks import SteppedClock
from tests.kit.moving import PROJECT, Place, at, quiet, sample

from locum.errors import NotFound
from locum.moving.conversations import ConversationExporter
from locum.moving.exporting import Export

_ITEM: TypeAdapter[Any] = TypeAdapter(ConversationItem)
Lines = dict[str, list[dict[str, Any]]]
_STATUSES = [
    ("completed", "completed"),
    ("requires_action", "failed"),
    ("failed", "failed"),
    ("expired", "failed"),
    ("cancelled", "cancelled"),
    ("incomplete", "incomplete"),
]


def _checked_item(value: dict[str, Any]) -> Any:
    return _strict(_ITEM.validate_python(value, strict=True))


def _checked_response(value: dict[str, Any]) -> Response:
    found = Response.model_validate(value, strict=True)
    _strict(found)
    return found


def _strict(model: object) -> object:
    """The client's types take any further key; what we write has none that they do not name."""
    match model:
        case BaseModel():
            assert not model.model_extra, (type(model).__name__, model.model_extra)
            for name in type(model).model_fields:
                _strict(getattr(model, name))
        case list():
            for one in model:
                _strict(one)
    return model


async def _written(here: Place, wanted: Export | None = None) -> Lines:
    lines: Lines = {"conversations": [], "conversation_items": [], "responses": []}

    def write(name: str, value: dict[str, Any]) -> None:
        lines[name].append(json.loads(json.dumps(value)))

    exporter = ConversationExporter(here.store, write, now=SteppedClock().now(), tick=quiet)
    await exporter.run(wanted or Export())
    assert exporter.counts == {name: len(found) for name, found in lines.items()}
    return lines


def test_every_line_of_a_sample_is_what_the_official_client_describes(tmp_path: Path) -> None:
    dump = sample(tmp_path, threads=40)

    async def run(here: Place) -> Lines:
        await here.take(dump)
        return await _written(here)

    lines: Lines = at(run)
    kinds: set[str] = set()
    for value in lines["conversations"]:
        Conversation.model_validate(value, strict=True)
    for line in lines["conversation_items"]:
        _checked_item(line["item"])
        kinds.add(line["item"]["type"])
    for value in lines["responses"]:
        _checked_response(value)
    assert kinds == {
        "message",
        "function_call",
        "function_call_output",
        "file_search_call",
        "code_interpreter_call",
    }
    assert [len(found) for found in lines.values()][::2] == [40, 40]


def test_a_check_that_would_pass_anything_is_none() -> None:
    with pytest.raises(ValidationError):
        _checked_item({"type": "message", "id": "msg_1", "role": "user", "status": "completed"})
    part = {"type": "input_text", "text": "x", "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "user", "status": "completed"}
    with pytest.raises(AssertionError):
        _checked_item(message | {"content": [part]})


def test_items_stand_in_the_order_in_which_they_happened(tmp_path: Path) -> None:
    dump = sample(tmp_path, threads=3)

    async def run(here: Place) -> Lines:
        await here.take(dump)
        return await _written(here)

    lines: Lines = at(run)
    first = lines["conversations"][0]["id"]
    items = [
        line["item"] for line in lines["conversation_items"] if line["conversation_id"] == first
    ]
    assert [item.get("role", item["type"]) for item in items if "output" not in item] == [
        "user",
        next(item["type"] for item in items if item["type"].endswith("_call")),
        "assistant",
    ]
    response = next(one for one in lines["responses"] if one["conversation"]["id"] == first)
    assert [item["type"] for item in response["output"]][-1] == "message"
    assert response["id"].startswith("resp_")
    assert first.startswith("conv_")


@pytest.mark.parametrize(("status", "told"), _STATUSES)
def test_a_run_that_ended_otherwise_says_so(tmp_path: Path, status: str, told: str) -> None:
    run = _run(status=status)
    response = _checked_response(_response_of(tmp_path, run))
    assert response.status == told
    assert (response.error is None) == (told != "failed")
    if told == "incomplete":
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        {"tool_choice": {"type": "function", "function": {"name": "find"}}},
        {"tool_choice": {"type": "file_search"}},
        {"tool_choice": {"type": "code_interpreter"}},
        {"tool_choice": {"type": "mcp"}},
        {"tool_choice": "required", "reasoning_effort": "high", "max_completion_tokens": 7},
        {"instructions": None, "temperature": None, "top_p": None},
    ],
)
def test_whatever_a_run_was_asked_for_has_its_place(tmp_path: Path, fields: dict[str, Any]) -> None:
    response = _checked_response(_response_of(tmp_path, _run(**fields)))
    assert {tool.type for tool in response.tools} == {
        "function",
        "file_search",
        "code_interpreter",
        "mcp",
    }


def test_whatever_a_message_holds_has_its_place(tmp_path: Path) -> None:
    message = {"object": "thread.message", "created_at": 5, "thread_id": "thread_one"}
    citation = {"text": "【1】", "start_index": 1, "end_index": 4}
    parts = [
        {
            "type": "text",
            "text": {
                "value": "a【1】",
                "annotations": [
                    citation | {"type": "file_citation", "file_citation": {"file_id": "file-abc"}},
                    citation | {"type": "file_path", "file_path": {"file_id": "file-abd"}},
                ],
            },
        },
        {"type": "image_file", "image_file": {"file_id": "file-abc"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "refusal", "refusal": "No."},
    ]
    said = [
        message | {"id": f"msg_{role}", "role": role, "content": parts}
        for role in ("user", "assistant")
    ]
    lines = _lines_of(tmp_path, {"thread": {"id": "thread_one", "created_at": 1}, "messages": said})
    user, assistant = (_checked_item(line["item"]) for line in lines["conversation_items"])
    assert [part.type for part in user.content] == [
        "input_text",
        "input_image",
        "input_image",
        "input_text",
    ]
    assert [part.type for part in assistant.content] == ["output_text", "refusal"]
    assert [one.type for one in assistant.content[0].annotations] == ["file_citation", "file_path"]


def test_one_thread_alone_can_go(tmp_path: Path) -> None:
    dump = sample(tmp_path, threads=3)

    async def run(here: Place) -> None:
        await here.take(dump)
        thread_id = json.loads((dump / "threads.jsonl").read_text().splitlines()[1])["id"]
        lines = await _written(here, Export(project_id=PROJECT, thread_id=thread_id))
        assert [len(lines[name]) for name in ("conversations", "responses")] == [1, 1]
        with pytest.raises(NotFound):
            await _written(here, Export(project_id=PROJECT, thread_id="thread_none"))

    at(run)


def _run(**fields: Any) -> dict[str, Any]:
    tools = [
        {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}},
        {"type": "file_search", "file_search": {"max_num_results": 3}},
        {"type": "code_interpreter"},
        {"type": "mcp", "server_label": "notes", "server_url": "https://example.com/mcp"},
    ]
    run = {
        "id": "run_one",
        "object": "thread.run",
        "created_at": 10,
        "thread_id": "thread_one",
        "assistant_id": "asst_one",
        "status": "completed",
        "model": "gpt-4o",
        "tools": tools,
        "last_error": None,
    }
    ended = {
        "failed": {"last_error": {"code": "rate_limit_exceeded", "message": "Too much."}},
        "incomplete": {"incomplete_details": {"reason": "max_prompt_tokens"}},
    }
    return run | fields | ended.get(str(fields.get("status")), {})


def _response_of(tmp_path: Path, run: dict[str, Any]) -> dict[str, Any]:
    resources = {
        "file_search": {"vector_store_ids": ["vs_one"]},
        "code_interpreter": {"file_ids": ["file-one"]},
    }
    assistant = {"id": "asst_one", "object": "assistant", "created_at": 1, "model": "gpt-4o"}
    dump = {
        "thread": {"id": "thread_one", "created_at": 1},
        "runs": [run],
        "assistants": [assistant | {"tool_resources": resources}],
    }
    (response,) = _lines_of(tmp_path, dump)["responses"]
    return response


def _lines_of(tmp_path: Path, dump: dict[str, Any]) -> Lines:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(dump), "utf-8")

    async def run(here: Place) -> Lines:
        await here.take(path)
        return await _written(here)

    found: Lines = at(run)
    return found
