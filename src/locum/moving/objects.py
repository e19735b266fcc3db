"""One foreign object made one of ours: older shapes turned, gaps filled, what was active ended."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from locum.moving.fitting import Unfit, fit
from locum.moving.kinds import (
    ASSISTANTS,
    FILE_BATCHES,
    FILES,
    MESSAGES,
    RUNS,
    STEPS,
    THREADS,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
    Kind,
)
from locum.wire.messages import IncompleteDetails, Message
from locum.wire.runs import Run, RunError
from locum.wire.steps import RunStep, StepError
from locum.wire.tools import RANKER

Json = dict[str, Any]
_TIMES: Final = (
    "created_at", "started_at", "expires_at", "cancelled_at", "failed_at", "completed_at",
    "expired_at", "incomplete_at", "last_active_at",
)  # fmt: skip
_ACTIVE: Final = ("queued", "in_progress", "requires_action", "cancelling")
# Milliseconds are a common mistake; no second of ours is as large.
_LATEST: Final = 99_999_999_999
_PURPOSE: Final = re.compile(r"[a-z_-]{1,64}\Z")
_OWNERS: Final[Mapping[str, Kind]] = {
    "assistant_id": ASSISTANTS,
    "run_id": RUNS,
    "thread_id": THREADS,
    "vector_store_id": VECTOR_STORES,
}
_COUNTS: Final = ("in_progress", "completed", "failed", "cancelled", "total")


class Refused(Exception):
    """The object cannot come along; the message says why."""


def made(kind: Kind, value: Json, *, now: int) -> tuple[Any, list[str]]:
    """The object as it will be stored, and what was lost or changed on the way."""
    if not kind.accepts(value.get("id")):
        raise Refused(f"its id is not one of {kind.name}, which begin with {_begin(kind)}")
    notes: list[str] = []
    own = {name: one for name, one in value.items() if name != "locum"}
    for name, default in kind.defaults.items():
        if own.get(name) is None:
            own[name] = default
    own["object"] = kind.object_name
    for name in _TIMES:
        own[name] = _seconds(own.get(name), name)
    if own["created_at"] is None:
        own["created_at"] = now
        notes.append("created_at was missing: the time of the import stands there")
    _texts_in_metadata(own, notes)
    if kind.owner is not None and not _OWNERS[kind.owner].accepts(own.get(kind.owner)):
        raise Refused(f"its {kind.owner} is missing, or no id of {_OWNERS[kind.owner].name}")
    _OLDER.get(kind.name, _as_it_is)(own, notes)
    own = {name: one for name, one in own.items() if one is not None or name not in _TIMES}
    try:
        found, dropped = fit(own, kind.type)
    except Unfit as error:
        raise Refused(str(error)) from error
    notes += [f"{path} is unknown here and was dropped" for path in dropped]
    return _ended(found, notes), notes


# -------------------------------------------------------------------- older shapes


def _as_it_is(_own: Json, _notes: list[str]) -> None:
    """Nothing about this kind has changed."""


def _assistant(own: Json, notes: list[str]) -> None:
    file_ids = _taken_files(own)
    own["tools"] = [_tool(tool) for tool in _array(own["tools"], "tools")]
    kinds = [tool.get("type") for tool in own["tools"] if isinstance(tool, dict)]
    if file_ids and "code_interpreter" in kinds and not own["tool_resources"]:
        own["tool_resources"] = {"code_interpreter": {"file_ids": file_ids}}
    if file_ids and "file_search" in kinds:
        notes.append("file_ids of retrieval: put these files into a vector store")


def _message(own: Json, notes: list[str]) -> None:
    content = own["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    own["content"] = [_part(part, notes) for part in _array(content, "content")]
    if own.get("run_id") is not None and not RUNS.accepts(own["run_id"]):
        raise Refused("its run_id is no id of runs")
    file_ids = _taken_files(own)
    if file_ids and not own["attachments"]:
        tools = [{"type": "code_interpreter"}]
        own["attachments"] = [{"file_id": file_id, "tools": tools} for file_id in file_ids]
    if isinstance(own["attachments"], list):
        own["attachments"] = [_attachment(one) for one in own["attachments"]]


def _attachment(value: object) -> object:
    if not isinstance(value, dict):
        return value
    tools = value.get("tools") if isinstance(value.get("tools"), list) else []
    return value | {"tools": [_tool(tool) for tool in tools or []]}


def _part(part: object, notes: list[str]) -> object:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict) or part.get("type") != "text":
        return part
    text = part.get("text")
    if isinstance(text, str):
        text = {"value": text}
    if not isinstance(text, dict):
        return part
    annotations = text.get("annotations")
    kept = []
    for one in annotations if isinstance(annotations, list) else []:
        known = isinstance(one, dict) and one.get("type") in ("file_citation", "file_path")
        if known and isinstance(one.get(one["type"]), dict):
            quote = one[one["type"]].get("quote", "")
            held = {k: v for k, v in one[one["type"]].items() if k != "quote" or quote}
            kept.append(one | {one["type"]: held})
        else:
            notes.append("an annotation of another kind than a citation or a path was dropped")
    return part | {"text": text | {"annotations": kept}}


def _run(own: Json, _notes: list[str]) -> None:
    _taken_files(own)
    own["tools"] = [_tool(tool) for tool in _array(own["tools"], "tools")]
    own.setdefault("model", "unknown")
    own["usage"] = _usage(own.get("usage"))


def _usage(usage: object) -> object:
    """The original wrote "token" without an s, and newer clients with one."""
    if not isinstance(usage, dict):
        return usage
    details = usage.get("prompt_token_details") or usage.get("prompt_tokens_details")
    rest = {name: one for name, one in usage.items() if name != "prompt_tokens_details"}
    return rest | {"prompt_token_details": details or {}}


def _step(own: Json, _notes: list[str]) -> None:
    own["usage"] = _usage(own.get("usage"))
    own["last_error"] = _error(own.get("last_error"))
    details = own.get("step_details")
    if isinstance(details, dict):
        own.setdefault("type", details.get("type"))
        calls = details.get("tool_calls")
        if isinstance(calls, list):
            own["step_details"] = details | {"tool_calls": [_call(call) for call in calls]}


def _error(value: object) -> object:
    """Steps know two codes; whatever else stands there was the server's fault."""
    if isinstance(value, dict) and value.get("code") not in ("server_error", "rate_limit_exceeded"):
        return value | {"code": "server_error"}
    return value


def _call(call: object) -> object:
    if not isinstance(call, dict):
        return call
    if call.get("type") == "retrieval":
        call = {"id": call.get("id"), "type": "file_search", "file_search": {}}
    if call.get("type") == "file_search":
        found = _said(call.get("file_search"))
        results = found.get("results") if isinstance(found.get("results"), list) else []
        ranking = {"ranker": RANKER, "score_threshold": 0.0} | _said(found.get("ranking_options"))
        return call | {
            "file_search": {
                "ranking_options": ranking,
                "results": [
                    {"attributes": {}} | _said(one) if isinstance(one, dict) else one
                    for one in results or []
                ],
            }
        }
    if call.get("type") == "code_interpreter" and isinstance(call.get("code_interpreter"), dict):
        code = {"input": "", "outputs": []} | _said(call["code_interpreter"])
        return call | {"code_interpreter": code}
    return call


def _file(own: Json, _notes: list[str]) -> None:
    if own.get("status") not in ("uploaded", "processed", "error"):
        own["status"] = "processed"
    purpose = own["purpose"]
    if not isinstance(purpose, str) or not _PURPOSE.match(purpose):
        raise Refused("its purpose is none")


def _vector_store(own: Json, _notes: list[str]) -> None:
    """What is in it is counted when its files have come."""
    own["file_counts"] = dict.fromkeys(_COUNTS, 0)
    own["usage_bytes"] = 0
    if own["status"] != "expired":
        own["status"] = "completed"


def _file_batch(own: Json, _notes: list[str]) -> None:
    own["file_counts"] = dict.fromkeys(_COUNTS, 0)


def _vector_store_file(own: Json, _notes: list[str]) -> None:
    error = own.get("last_error")
    if isinstance(error, dict) and error.get("code") not in (
        "server_error", "unsupported_file", "invalid_file",
    ):  # fmt: skip
        own["last_error"] = error | {"code": "server_error"}


_OLDER: Final[Mapping[str, Callable[[Json, list[str]], None]]] = {
    ASSISTANTS.name: _assistant,
    FILES.name: _file,
    MESSAGES.name: _message,
    RUNS.name: _run,
    STEPS.name: _step,
    VECTOR_STORES.name: _vector_store,
    VECTOR_STORE_FILES.name: _vector_store_file,
    FILE_BATCHES.name: _file_batch,
    THREADS.name: _as_it_is,
}


def _tool(tool: object) -> object:
    """The first version called file search retrieval."""
    if not isinstance(tool, dict):
        return tool
    if tool.get("type") in ("retrieval", "file_search"):
        options = tool.get("file_search")
        known = {"file_search": _said(options)} if isinstance(options, dict) else {}
        return {"type": "file_search"} | known
    return tool


def _taken_files(own: Json) -> list[str]:
    file_ids = own.pop("file_ids", None)
    if not isinstance(file_ids, list):
        return []
    return [one for one in file_ids if isinstance(one, str)]


def _said(value: object) -> Json:
    if not isinstance(value, dict):
        return {}
    return {name: one for name, one in value.items() if one is not None}


def _array(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise Refused(f"{what}: expected an array")
    return value


def _seconds(value: object, name: str) -> int | None:
    """Unix seconds of what scripts make of them: fractions, digits, dates."""
    if value is None:
        return None
    try:
        match value:
            case bool():
                pass
            case int() | float():
                value = int(value)
            case str() if value.isdecimal():
                value = int(value)
            case str():
                date = datetime.fromisoformat(value)
                value = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        pass
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LATEST:
        return value
    raise Refused(f"{name} is no time")


def _texts_in_metadata(own: Json, notes: list[str]) -> None:
    """The first version of the API took anything, and told it as text."""
    held = own.get("metadata")
    if isinstance(held, dict) and not all(isinstance(one, str) for one in held.values()):
        notes.append("metadata that was not text has become text")
        own["metadata"] = {
            name: one if isinstance(one, str) else str(one) for name, one in held.items()
        }


# --------------------------------------------------------------------- what was active


def _ended(value: Any, notes: list[str]) -> Any:
    match value:
        case Run() if value.status in _ACTIVE:
            notes.append(f"it was {value.status} when it was exported, and is expired now")
            error = RunError(
                "server_error",
                f"The run was '{value.status}' when it was exported and could not go on.",
            )
            return replace(value, status="expired", required_action=None, last_error=error)
        case RunStep(status="in_progress"):
            return replace(
                value,
                status="expired",
                expires_at=None,
                expired_at=value.expires_at or value.created_at,
                last_error=StepError("server_error", "The run could not go on."),
            )
        case RunStep():
            return replace(value, expires_at=None)
        case Message(status="in_progress"):
            details = IncompleteDetails("run_expired")
            return replace(
                value,
                status="incomplete",
                incomplete_details=details,
                incomplete_at=value.created_at,
            )
    return value


def _begin(kind: Kind) -> str:
    return " or ".join(f"'{prefix}'" for prefix in kind.prefixes)
