"""A request as the Responses API takes it: our turns as its items, our offers as its tools."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import UNSET

from locum.llm.protocol import (
    Assistant,
    Message,
    Named,
    Offer,
    Part,
    Request,
    System,
    Text,
    ToolResult,
    User,
)

# What may be left out without changing what is asked, or only how finely.
DROPPABLE: Final = (
    "include",
    "parallel_tool_calls",
    "max_output_tokens",
    "store",
    "strict",
    "reasoning",
    "top_p",
    "temperature",
)
# Tools of the provider that take the place of ours; the others are nobody's but the provider's.
_REPLACING: Final = ("code_interpreter", "file_search")
_INCLUDE: Final = {
    "code_interpreter": "code_interpreter_call.outputs",
    "file_search": "file_search_call.results",
    "web_search": "web_search_call.action.sources",
}
_LEAST_TOKENS: Final = 16
# Gateways to other models write what those sign into the ids of calls.
_LONGEST_ID: Final = 64


def body(
    request: Request, *, hosted: Sequence[dict[str, Any]], without: frozenset[str] = frozenset()
) -> bytes:
    """Write the request, leaving out the parameters `without` names.

    Nothing is kept there (`store`): the thread is kept here, and is sent whole each time.
    """
    instructions, messages = _parted(request.messages)
    used = provided(request, hosted)
    document: dict[str, Any] = {
        "model": request.model,
        "instructions": instructions,
        "input": [item for message in messages for item in _items(message)],
        "stream": True,
        "store": False,
        "include": [_INCLUDE[tool["type"]] for tool in used if tool["type"] in _INCLUDE] or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning": request.reasoning_effort and {"effort": request.reasoning_effort},
        "text": _format(request.response_format),
        # The API takes no smaller limit.
        "max_output_tokens": request.max_tokens and max(request.max_tokens, _LEAST_TOKENS),
    }
    taken = {tool["type"] for tool in used}
    offers = [offer for offer in request.offers if offer.kind not in taken]
    if offers or used:
        document["tools"] = [*(_tool(offer, without) for offer in offers), *used]
        if request.choice != "auto":
            document["tool_choice"] = _choice(request, taken)
        if not request.parallel:
            document["parallel_tool_calls"] = False
    return msgspec.json.encode(
        {
            name: value
            for name, value in document.items()
            if value is not None and name not in without
        }
    )


def provided(request: Request, hosted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which of the provider's tools this run may use: ours it must have asked for by name."""
    kinds = {offer.kind for offer in request.offers}
    return [tool for tool in hosted if tool["type"] not in _REPLACING or tool["type"] in kinds]


def _parted(messages: Sequence[Message]) -> tuple[str | None, Sequence[Message]]:
    """Instructions stand apart here. Where they are all there is, they must be the input."""
    first = messages[0] if messages else None
    if isinstance(first, System) and len(messages) > 1:
        return first.content, messages[1:]
    return None, messages


def _items(message: Message) -> Iterator[dict[str, Any]]:
    match message:
        case System(content):
            yield {"role": "system", "content": content}
        case User(content):
            yield {"role": "user", "content": _content(content)}
        case ToolResult(call_id, content):
            yield {"type": "function_call_output", "call_id": _id(call_id), "output": content}
        case Assistant(content, calls):
            if content:
                yield {"role": "assistant", "content": content}
            for call in () if calls is UNSET else calls:
                named = {"name": call.function.name, "arguments": call.function.arguments}
                yield {"type": "function_call", "call_id": _id(call.id), **named}


def _id(call_id: str) -> str:
    if len(call_id) <= _LONGEST_ID:
        return call_id
    return f"call_{blake2b(call_id.encode(), digest_size=12).hexdigest()}"


def _content(content: str | tuple[Part, ...]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    image = part.image_url
    return {"type": "input_image", "image_url": image.url, "detail": image.detail}


def _tool(offer: Offer, without: frozenset[str]) -> dict[str, Any]:
    function = offer.function
    described: dict[str, Any] = {"type": "function", "name": function.name}
    if function.description:
        described["description"] = function.description
    described["parameters"] = function.parameters or {"type": "object", "properties": {}}
    if "strict" not in without:
        # Said in any case: what is not said is strict here, and was not in the original.
        described["strict"] = function.strict
    return described


def _choice(request: Request, taken: set[str]) -> Any:
    if not isinstance(request.choice, Named):
        return request.choice
    kinds = {offer.function.name: offer.kind for offer in request.offers}
    kind = kinds.get(request.choice.name, "function")
    return {"type": kind} if kind in taken else {"type": "function", "name": request.choice.name}


def _format(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same format, one level flatter."""
    if wanted is None:
        return None
    inner = wanted.get("json_schema")
    return {"format": {"type": wanted["type"], **(inner if isinstance(inner, dict) else {})}}
