"""The first version of the API, as a pure translation to and from the second.

It differs in shapes: files hung on assistants and messages by `file_ids`, file search was called
retrieval, and metadata took anything. Everything here works on plain JSON objects.
"""

from collections.abc import Callable, Sequence
from typing import Any

from locum import limits
from locum.errors import array_too_long, not_among, unknown, wrong_type

Json = dict[str, Any]

_SECOND_ONLY = frozenset({"tool_resources", "attachments", "parallel_tool_calls"})
_TOOLS = ("code_interpreter", "retrieval", "function")
_CHOICES = ("function", "code_interpreter", "retrieval")
# Ours, beyond the original: taken, but its messages stay its own.
_OURS = "mcp"


# ------------------------------------------------------------------------ requests


def take_file_ids(body: Json, *, limit: int, path: str = "file_ids") -> list[str]:
    """Remove `file_ids` from a body and give them, checked as the second version checks lists."""
    file_ids = body.pop("file_ids", None)
    if file_ids is None:
        return []
    if not isinstance(file_ids, list):
        raise wrong_type(path, "an array of strings", file_ids)
    if len(file_ids) > limit:
        raise array_too_long(path, len(file_ids), limit=limit)
    for place, file_id in enumerate(file_ids):
        if not isinstance(file_id, str):
            raise wrong_type(f"{path}[{place}]", "a string", file_id)
    return list(dict.fromkeys(file_ids))


def request(body: Json, attach: Callable[[list[str]], list[Json]], *, path: str = "") -> Json:
    """A body of the first version in the second's shape.

    `attach` makes attachments of the files that a message names. `path` ends in a dot, and is
    where the body stands in another one.
    """
    for key in sorted(_SECOND_ONLY & body.keys()):
        raise unknown(f"{path}{key}")
    body = dict(body)
    if isinstance(body.get("metadata"), dict):
        body["metadata"] = {key: _text(value) for key, value in body["metadata"].items()}
    if isinstance(body.get("tools"), list):
        body["tools"] = [
            _asked_tool(tool, _TOOLS, path=f"{path}tools[{number}].type")
            for number, tool in enumerate(body["tools"])
        ]
    if "tool_choice" in body:
        body["tool_choice"] = _asked_tool(
            body["tool_choice"], _CHOICES, path=f"{path}tool_choice.type"
        )
    if "role" in body and "file_ids" in body:
        file_ids = take_file_ids(body, limit=limits.MESSAGE_FILES, path=f"{path}file_ids")
        body["attachments"] = attach(file_ids)
    for key in ("messages", "additional_messages"):
        if isinstance(body.get(key), list):
            if len(body[key]) > limits.MESSAGES:
                raise array_too_long(f"{path}{key}", len(body[key]), limit=limits.MESSAGES)
            body[key] = [
                request(message, attach, path=f"{path}{key}[{number}].")
                if isinstance(message, dict)
                else message
                for number, message in enumerate(body[key])
            ]
    if isinstance(body.get("thread"), dict):
        body["thread"] = request(body["thread"], attach, path=f"{path}thread.")
    return body


def named_files(body: Json) -> list[str]:
    """The files that the messages of a body name."""
    named: list[str] = []

    def note(file_ids: list[str]) -> list[Json]:
        named.extend(file_ids)
        return []

    request(body, note)
    return named


def _text(value: Any) -> Any:
    """What the original made of metadata that was not text: Python's own word for it."""
    return value if isinstance(value, str) else str(value)


def _asked_tool(tool: Any, known: Sequence[str], *, path: str) -> Any:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind == "retrieval":
        return {"type": "file_search"}
    if isinstance(kind, str) and kind not in {*known, _OURS}:
        raise not_among(path, kind, known)
    return tool


# ------------------------------------------------------------------------- answers


def answer(told: Json, file_ids_of: Callable[[str], Sequence[str]]) -> Json:
    """An object of the second version in the first's shape.

    `file_ids_of` knows the files of an assistant.
    """
    match told.get("object"):
        case "list":
            return told | {"data": [answer(item, file_ids_of) for item in told["data"]]}
        case "assistant":
            return _with_files(told, file_ids_of(told["id"]))
        case "thread.run":
            return _with_files(told, file_ids_of(told["assistant_id"]))
        case "thread":
            return _without(told, "tool_resources")
        case "thread.message":
            return _message(told)
        case "thread.run.step":
            return told | {"step_details": _details(told["step_details"])}
        case "thread.run.step.delta":
            details = _details(told["delta"]["step_details"])
            return told | {"delta": {"step_details": details}}
    return told


def assistants_in(told: Json) -> set[str]:
    """The assistants whose files an answer will show."""
    match told.get("object"):
        case "list":
            return {name for item in told["data"] for name in assistants_in(item)}
        case "assistant":
            return {told["id"]}
        case "thread.run":
            return {told["assistant_id"]}
    return set()


def _with_files(told: Json, file_ids: Sequence[str]) -> Json:
    shown: Json = {}
    for key, value in told.items():
        if key == "tools":
            shown["tools"] = [_told_tool(tool) for tool in value]
            shown["file_ids"] = list(file_ids)
        elif key == "tool_choice" and isinstance(value, dict):
            shown[key] = _told_tool(value)
        elif key not in {"tool_resources", "reasoning_effort", "parallel_tool_calls"}:
            shown[key] = value
    return shown


def _told_tool(tool: Json) -> Json:
    return {"type": "retrieval"} if tool["type"] == "file_search" else tool


def _message(told: Json) -> Json:
    shown: Json = {}
    for key, value in told.items():
        if key == "attachments":
            shown["file_ids"] = list(dict.fromkeys(each["file_id"] for each in value))
        elif key == "file_ids":
            continue  # The second version's, which is always empty.
        elif key == "content":
            shown["content"] = [_part(part) for part in value]
        else:
            shown[key] = value
    return shown


def _part(part: Json) -> Json:
    """A citation of the first version always has a quote."""
    if part["type"] != "text":
        return part
    annotations = [
        each | {"file_citation": {"file_id": "", "quote": ""} | each["file_citation"]}
        if each["type"] == "file_citation"
        else each
        for each in part["text"]["annotations"]
    ]
    return part | {"text": part["text"] | {"annotations": annotations}}


def _details(details: Json) -> Json:
    if details["type"] != "tool_calls":
        return details
    return details | {"tool_calls": [_call(call) for call in details["tool_calls"]]}


def _call(call: Json) -> Json:
    if call["type"] != "file_search":
        return call
    return _without(call, "file_search") | {"type": "retrieval", "retrieval": {}}


def _without(told: Json, key: str) -> Json:
    return {name: value for name, value in told.items() if name != key}
