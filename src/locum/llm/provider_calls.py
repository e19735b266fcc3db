"""Calls that a provider makes and carries out by itself, in shapes that run steps have.

Two of them are tools of the original API and keep their shapes. Whatever else a provider does is
told as a call of a function: the one shape that holds any name, arguments and output.
"""

import re
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from locum.llm import loose
from locum.wire.steps import (
    Code,
    CodeInterpreterCall,
    FileSearchCall,
    FoundPassage,
    FunctionCall,
    FunctionDone,
    LogOutput,
    Ranking,
    SearchDone,
    ToolCall,
)
from locum.wire.vector_stores import TextContent

Kind = Literal["code_interpreter", "file_search", "function"]

# What the provider was told, or does when it is told nothing; its answers do not say.
RANKING: Final = Ranking("auto", 0.0)
_KINDS: Final[dict[str, Kind]] = {
    "code_interpreter_call": "code_interpreter",
    "file_search_call": "file_search",
    "web_search_call": "function",
    "mcp_call": "function",
    "image_generation_call": "function",
}
_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_FAILED: Final = "The provider of the model could not carry out this call."


class Told(Struct, frozen=True):
    """What a finished item says of its call, beside the arguments that were streamed."""

    output: str | None = None
    logs: tuple[str, ...] = ()
    passages: tuple[FoundPassage, ...] = ()
    error: str | None = None


def kind_of(item: dict[str, Any]) -> Kind | None:
    """Which shape the call has; None for what is no call that a provider carries out."""
    return _KINDS.get(str(item.get("type")))


def name_of(item: dict[str, Any]) -> str:
    if item["type"] == "mcp_call":
        return _NOT_A_NAME.sub("_", f"{item.get('server_label')}__{item.get('name')}")
    return str(item["type"]).removesuffix("_call")


def arguments_of(item: dict[str, Any]) -> str:
    """What the call was given, written as the model would have written it."""
    match item["type"]:
        case "code_interpreter_call":
            return loose.text(item.get("code"))
        case "mcp_call":
            return loose.text(item.get("arguments"))
        case "file_search_call":
            return _json({"queries": item.get("queries") or []})
        case "web_search_call":
            action = loose.record(item.get("action"))
            return _json({name: value for name, value in action.items() if name != "sources"})
    prompt = item.get("revised_prompt")
    return _json({"prompt": prompt} if prompt else {})


def told_of(item: dict[str, Any]) -> Told:
    failed = item.get("status") in ("failed", "incomplete")
    error = _words(item.get("error")) or (_FAILED if failed else None)
    match item["type"]:
        case "code_interpreter_call":
            return Told(logs=tuple(_logs(item)), error=error)
        case "file_search_call":
            return Told(
                passages=tuple(map(_passage, loose.records(item.get("results")))), error=error
            )
        case "web_search_call":
            sources = loose.record(item.get("action")).get("sources")
            return Told(output=_json({"sources": sources}) if sources else None, error=error)
        case "mcp_call":
            output = item.get("output")
            return Told(output=None if output is None else loose.text(output), error=error)
    made = loose.text(item.get("result"))
    return Told(output=f"[a picture, {len(made)} characters of base64]" if made else None)


def call_of(call_id: str, kind: Kind, name: str, given: str, told: Told) -> ToolCall:
    """The call as a step shows it, with the arguments that its deltas have told."""
    match kind:
        case "code_interpreter":
            outputs = tuple(LogOutput(logs) for logs in told.logs)
            return CodeInterpreterCall(id=call_id, code_interpreter=Code(given, outputs))
        case "file_search":
            return FileSearchCall(id=call_id, file_search=SearchDone(RANKING, told.passages))
    return FunctionCall(id=call_id, function=FunctionDone(name, given, told.output))


def result_of(told: Told) -> str:
    """What a model is told of the call in later turns, when the provider has forgotten it."""
    if told.error is not None:
        return f"Error: {told.error}"
    found = [f"[{one.file_name}] {_text(one)}" for one in told.passages]
    return "\n".join([*found, *told.logs, *([told.output] if told.output else [])]) or "[done]"


def _logs(item: dict[str, Any]) -> list[str]:
    """What code has printed. A picture is the provider's own: its place is told, no more."""
    lines = []
    for output in loose.records(item.get("outputs")):
        if output.get("type") == "logs":
            lines.append(loose.text(output.get("logs")))
        elif output.get("type") == "image":
            url = str(output.get("url"))
            lines.append(f"[a picture: {'within the answer' if url[:5] == 'data:' else url}]\n")
    return lines


def _passage(result: dict[str, Any]) -> FoundPassage:
    return FoundPassage(
        file_id=loose.text(result.get("file_id")),
        file_name=loose.text(result.get("filename")),
        score=float(loose.number(result.get("score")) or 0.0),
        attributes={
            name: value
            for name, value in loose.record(result.get("attributes")).items()
            if isinstance(value, str | int | float)
        },
        content=(TextContent(loose.text(result.get("text"))),),
    )


def _text(passage: FoundPassage) -> str:
    return "".join(part.text for part in passage.content or ())


def _words(error: Any) -> str | None:
    """An error's own words, in whichever of its shapes."""
    if not error:
        return None
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, str):
        return message
    return error if isinstance(error, str) else _json(error)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
