"""Run steps, exactly as they cross the wire."""

import re
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from locum.wire.paging import PageQuery
from locum.wire.runs import Include, Usage
from locum.wire.vector_stores import TextContent

StepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"]


# ---------------------------------------------------------------- what is asked


class ListSteps(PageQuery, frozen=True, kw_only=True):
    include: tuple[Include, ...] = field(default=(), name="include[]")


class GetStep(Struct, frozen=True, kw_only=True):
    include: tuple[Include, ...] = field(default=(), name="include[]")


# -------------------------------------------------------------- what is answered


class MessageRef(Struct, frozen=True):
    message_id: str


class MessageCreation(Struct, frozen=True, tag_field="type", tag="message_creation"):
    message_creation: MessageRef


class LogOutput(Struct, frozen=True, tag_field="type", tag="logs"):
    logs: str


class ImageRef(Struct, frozen=True):
    file_id: str


class ImageOutput(Struct, frozen=True, tag_field="type", tag="image"):
    image: ImageRef


class Code(Struct, frozen=True):
    input: str
    outputs: tuple[LogOutput | ImageOutput, ...]


class CodeInterpreterCall(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="code_interpreter"
):
    id: str
    code_interpreter: Code


class Ranking(Struct, frozen=True):
    ranker: str
    score_threshold: float


class FoundPassage(Struct, frozen=True, kw_only=True):
    file_id: str
    file_name: str
    score: float
    attributes: dict[str, str | int | float | bool]
    # Shown only to those who ask for it with `include[]`.
    content: tuple[TextContent, ...] | UnsetType = UNSET


class SearchDone(Struct, frozen=True):
    ranking_options: Ranking
    results: tuple[FoundPassage, ...]


class FileSearchCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    id: str
    file_search: SearchDone


class FunctionDone(Struct, frozen=True):
    name: str
    arguments: str
    output: str | None


class FunctionCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    id: str
    function: FunctionDone


ToolCall = CodeInterpreterCall | FileSearchCall | FunctionCall


class ToolCalls(Struct, frozen=True, tag_field="type", tag="tool_calls"):
    tool_calls: tuple[ToolCall, ...]


class StepError(Struct, frozen=True):
    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class RunStep(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    status: StepStatus
    cancelled_at: int | None
    completed_at: int | None
    # The wire had `expires_at`, the schema `expired_at` and `metadata`; clients of either
    # kind are served. `expires_at` is null in every stored step: it
    # mirrors the run's while the run lives, and is put in when such a step is shown.
    expires_at: int | None
    expired_at: int | None
    failed_at: int | None
    last_error: StepError | None
    step_details: MessageCreation | ToolCalls
    usage: Usage | None
    metadata: dict[str, str]


# A tag is written in front of all fields. What people wrote has its quotes escaped.
_TYPE_FIRST: Final = re.compile(
    r'\{"type":"(code_interpreter|file_search|function)","id":("(?:[^"\\]|\\.)*")'
)


def text_of(step: RunStep) -> str:
    """The step as it crosses the wire: there the id of a call stands before its type."""
    text = msgspec.json.encode(step).decode()
    if step.type == "message_creation":
        return text
    return _TYPE_FIRST.sub(r'{"id":\2,"type":"\1"', text)


_CONTENT: Final = ',"content":['
_CONTENT_ENDS: Final = '"}]'
_SAYS: Final = '{"type":"text","text":"'


def without_content(text: str) -> str:
    """Steps without the text of the passages they found, for those who did not ask for it.

    Cut out and not encoded anew, which takes several times as long. No other key stands in front
    of a list and is called so, and what people wrote has its quotes escaped.
    """
    kept = []
    start = 0
    while (at := text.find(_CONTENT, start)) >= 0:
        kept.append(text[start:at])
        start = at + len(_CONTENT)
        if text[start] != "]":
            start = text.index(_CONTENT_ENDS, start)
            while _is_escaped(text, start) or text.endswith(_SAYS, 0, start + 1):
                start = text.index(_CONTENT_ENDS, start + 1)
            start += len(_CONTENT_ENDS) - 1
        start += 1
    kept.append(text[start:])
    return "".join(kept)


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


# ------------------------------------------------------------------- in a stream


class StepDelta(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"
    delta: "DetailsDelta"


class DetailsDelta(Struct, frozen=True):
    step_details: "CallsDelta"


class CallsDelta(Struct, frozen=True, tag_field="type", tag="tool_calls"):
    # Calls keyed by `index`; `id` and `name` only in the first delta of a call, because
    # clients concatenate strings.
    tool_calls: tuple[dict[str, Any], ...]
