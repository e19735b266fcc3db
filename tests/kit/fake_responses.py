"""Answers of a Responses API, for `FakeModel`: what the official client could not read is an error.

FakeModel(responds(says("Hello.")))
FakeModel(responds(codes("print(1)", logs="1"), says("One.")))
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any, get_args

from aiohttp import web
from openai import BaseModel
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter
from tests.kit.fake_model import Reply

from locum.llm.protocol import (
    Assistant,
    Backend,
    Call,
    CallBegun,
    CallDelta,
    CalledFunction,
    Choice,
    Event,
    Finished,
    Function,
    Image,
    ImageURL,
    Message,
    ModelError,
    Named,
    Offer,
    Part,
    RefusalDelta,
    Request,
    System,
    Text,
    TextDelta,
    ToolResult,
    User,
)
from locum.llm.scripted import Scripted

# An item of the output: what is told of it while it is made, and what it is when it is done.
Made = tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]
_STATUS = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "server_error": 500}
_KINDS = {"python": "code_interpreter", "file_search": "file_search"}
_ids = itertools.count(1)
_of_type = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(ResponseStreamEvent)[0])
}
_request = TypeAdapter(ResponseCreateParamsStreaming)


def responds(
    *items: Made,
    status: str = "completed",
    reason: str | None = None,
    usage: tuple[int, int, int, int] | None = (7, 5, 2, 1),
) -> Reply:
    """Stream these items, and end as `status` says."""
    body = "".join(map(_framed, events(*items, status=status, reason=reason, usage=usage)))
    return sends_events(body)


def sends_events(body: str) -> Reply:
    async def reply(request: web.Request, document: dict[str, Any]) -> web.StreamResponse:
        check_request(document)
        return web.Response(text=body, content_type="text/event-stream")

    return reply


def fails(code: str, message: str, *items: Made) -> Reply:
    """Stream these items, and then tell that it went wrong."""
    told = _events(*items)
    failed = _response("failed", (), error={"code": code, "message": message})
    told.append({"type": "response.failed", "response": failed})
    return sends_events("".join(_framed(event) for event in _numbered(told)))


def events(
    *items: Made,
    status: str = "completed",
    reason: str | None = None,
    usage: tuple[int, int, int, int] | None = None,
) -> list[dict[str, Any]]:
    details = None if reason is None else {"reason": reason}
    ended = _response(
        status, tuple(done for _, _, done in items), incomplete_details=details, usage=_usage(usage)
    )
    return _numbered([*_events(*items), {"type": f"response.{status}", "response": ended}])


def whole(*items: Made, usage: tuple[int, int, int, int] | None = (7, 5, 2, 1)) -> dict[str, Any]:
    """The response of a server that does not stream."""
    return _response("completed", tuple(done for _, _, done in items), usage=_usage(usage))


def check_request(document: dict[str, Any]) -> None:
    """Whether the official client's types know all that was asked."""
    _request.validate_python(document)
    assert set(document) <= set(ResponseCreateParamsStreaming.__annotations__)


# ------------------------------------------------------------------------------ items


def says(text: str, *, refusal: bool = False) -> Made:
    id_ = f"msg_{next(_ids)}"
    kind, field = ("refusal", "refusal") if refusal else ("output_text", "text")
    part: dict[str, Any] = {"type": kind, field: text}
    if not refusal:
        part |= {"annotations": [], "logprobs": []}
    item = {"id": id_, "type": "message", "role": "assistant"}
    told: list[dict[str, Any]] = []
    for word in _words(text):
        delta: dict[str, Any] = {
            "type": f"response.{kind}.delta",
            "item_id": id_,
            "content_index": 0,
        }
        told.append(delta | {"delta": word} | ({} if refusal else {"logprobs": []}))
    done: dict[str, Any] = {
        "type": f"response.{kind}.done",
        "item_id": id_,
        "content_index": 0,
        field: text,
    }
    told.append(done | ({} if refusal else {"logprobs": []}))
    return (
        item | {"status": "in_progress", "content": []},
        told,
        item | {"status": "completed", "content": [part]},
    )


def thinks() -> Made:
    item = {"id": f"rs_{next(_ids)}", "type": "reasoning", "summary": []}
    return item, [], item


def calls(name: str, arguments: str, *, call_id: str | None = None) -> Made:
    id_ = f"fc_{next(_ids)}"
    item = {"id": id_, "type": "function_call", "name": name}
    item["call_id"] = call_id or f"call_{id_}"
    told = _given("function_call_arguments", id_, arguments, arguments=arguments)
    return (
        item | {"status": "in_progress", "arguments": ""},
        told,
        item | {"status": "completed", "arguments": arguments},
    )


def codes(
    code: str, *, logs: str | None = None, image: str | None = None, status: str = "completed"
) -> Made:
    id_ = f"ci_{next(_ids)}"
    item = {"id": id_, "type": "code_interpreter_call", "container_id": "cntr_1"}
    outputs = [{"type": "logs", "logs": logs}] if logs is not None else []
    outputs += [{"type": "image", "url": image}] if image is not None else []
    about = {"item_id": id_}
    told = [
        {"type": "response.code_interpreter_call.in_progress", **about},
        *_given("code_interpreter_call_code", id_, code, code=code),
        {"type": "response.code_interpreter_call.interpreting", **about},
        {"type": "response.code_interpreter_call.completed", **about},
    ]
    return (
        item | {"status": "in_progress", "code": "", "outputs": None},
        told,
        item | {"status": status, "code": code, "outputs": outputs or None},
    )


def finds(*results: tuple[str, str, float], queries: tuple[str, ...] = ("rent",)) -> Made:
    """A search of the provider's files: names, texts and scores of what it found."""
    id_ = f"fs_{next(_ids)}"
    item = {"id": id_, "type": "file_search_call"}
    found = [
        {"file_id": f"file-{name}", "filename": name, "text": text, "score": score}
        for name, text, score in results
    ]
    told = [
        {"type": f"response.file_search_call.{state}", "item_id": id_}
        for state in ("in_progress", "searching", "completed")
    ]
    return (
        item | {"status": "in_progress", "queries": [], "results": None},
        told,
        item | {"status": "completed", "queries": list(queries), "results": found},
    )


def browses(query: str, *urls: str) -> Made:
    id_ = f"ws_{next(_ids)}"
    item = {"id": id_, "type": "web_search_call"}
    action: dict[str, Any] = {"type": "search", "query": query}
    if urls:
        action["sources"] = [{"type": "url", "url": url} for url in urls]
    told = [
        {"type": f"response.web_search_call.{state}", "item_id": id_}
        for state in ("in_progress", "searching", "completed")
    ]
    begun = {"status": "in_progress", "action": {"type": "search", "query": ""}}
    return item | begun, told, item | {"status": "completed", "action": action}


def reaches(
    label: str, name: str, arguments: str, *, output: str | None = None, error: str | None = None
) -> Made:
    """A call of an MCP server that the provider makes."""
    id_ = f"mcp_{next(_ids)}"
    item = {"id": id_, "type": "mcp_call", "server_label": label, "name": name}
    told = [
        {"type": "response.mcp_call.in_progress", "item_id": id_},
        *_given("mcp_call_arguments", id_, arguments, arguments=arguments),
        {"type": f"response.mcp_call.{'completed' if error is None else 'failed'}", "item_id": id_},
    ]
    failed = error and {"type": "http_error", "code": 502, "message": error}
    done = {"status": "completed" if error is None else "failed", "error": failed}
    return (
        item | {"status": "in_progress", "arguments": ""},
        told,
        item | done | {"arguments": arguments, "output": output},
    )


def paints(prompt: str) -> Made:
    id_ = f"ig_{next(_ids)}"
    item = {"id": id_, "type": "image_generation_call"}
    done = {"status": "completed", "result": "iVBORw0KGgo=", "revised_prompt": prompt}
    return item | {"status": "in_progress", "result": None}, [], item | done


def wants_approval() -> Made:
    item = {"id": f"mcpr_{next(_ids)}", "type": "mcp_approval_request"}
    item |= {"server_label": "notes", "name": "delete", "arguments": "{}"}
    return item, [], item


def _given(event: str, id_: str, text: str, **whole: str) -> list[dict[str, Any]]:
    """Deltas of what a call is given, and the event that repeats it whole."""
    told = [
        {"type": f"response.{event}.delta", "item_id": id_, "delta": piece}
        for piece in _words(text)
    ]
    return [*told, {"type": f"response.{event}.done", "item_id": id_, **whole}]


# --------------------------------------------------------------------------- the stream


def _events(*items: Made) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [
        {"type": f"response.{name}", "response": _response("in_progress", ())}
        for name in ("created", "in_progress")
    ]
    for index, (begun, between, done) in enumerate(items):
        told.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        told += [{"output_index": index, **event} for event in between]
        told.append({"type": "response.output_item.done", "output_index": index, "item": done})
    return told


def _response(status: str, output: tuple[dict[str, Any], ...], **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_761_861_537,
        "status": status,
        "model": "gpt-5",
        "output": list(output),
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    } | fields


def _usage(figures: tuple[int, int, int, int] | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    prompt, completion, cached, reasoning = figures
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }


def _numbered(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    numbered = [event | {"sequence_number": number} for number, event in enumerate(told)]
    for event in numbered:
        _assert_known(_of_type[event["type"]].model_validate(event, strict=True))
    return numbered


def _assert_known(value: Any) -> None:
    """No field that the official client has no name for."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, (type(value).__name__, value.model_extra)
        for name in type(value).model_fields:
            _assert_known(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            _assert_known(item)


def _framed(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _words(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")[:-1]] + [text.rsplit(" ", maxsplit=1)[-1]]


# ------------------------------------------------------------------ a backend as a server


def answers(backend: Backend | None = None) -> Reply:
    """Let a backend answer, the scripted model if none is given; every event as it comes."""
    speaker = backend or Scripted()

    async def reply(request: web.Request, document: dict[str, Any]) -> web.StreamResponse:
        check_request(document)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        telling = _Telling()
        try:
            async for event in speaker.stream(read_items(document)):
                told = "".join(_framed(one) for one in _numbered(list(telling.tell(event))))
                if not response.prepared:
                    await response.prepare(request)
                await response.write(told.encode())
        except ModelError as error:
            document = {"error": {"message": error.message, "code": error.code}}
            if not response.prepared:
                return web.json_response(document, status=_STATUS[error.code])
            failed = _response("failed", (), error=document["error"])
            (ended,) = _numbered([{"type": "response.failed", "response": failed}])
            await response.write(_framed(ended).encode())
        await response.write_eof()
        return response

    return reply


class _Telling:
    """Turns the events of a backend into those of the API, an item at a time."""

    def __init__(self) -> None:
        self._made: list[Made] = []
        self._open: tuple[str, str, list[str]] | None = None

    def tell(self, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case TextDelta(text) | RefusalDelta(text):
                kind = "refusal" if isinstance(event, RefusalDelta) else "text"
                if self._open is None or self._open[0] != kind:
                    yield from self._close()
                    yield from self._begin(kind, "")
                yield from self._more(text)
            case CallBegun(_, call_id, name):
                yield from self._close()
                yield from self._begin(name, call_id)
            case CallDelta(_, arguments):
                yield from self._more(arguments)
            case Finished(reason, usage):
                yield from self._close()
                cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
                status = "incomplete" if reason in cut else "completed"
                figures = (
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    usage.cached_tokens,
                    usage.reasoning_tokens,
                )
                ended = _response(
                    status,
                    tuple(done for _, _, done in self._made),
                    incomplete_details={"reason": cut[reason]} if reason in cut else None,
                    usage=_usage(figures),
                )
                yield {"type": f"response.{status}", "response": ended}

    def _item(self) -> Made:
        assert self._open is not None
        kind, call_id, pieces = self._open
        if kind in ("text", "refusal"):
            return says("".join(pieces), refusal=kind == "refusal")
        return calls(kind, "".join(pieces), call_id=call_id)

    def _begin(self, kind: str, call_id: str) -> Iterator[dict[str, Any]]:
        self._open = (kind, call_id, [])
        index = len(self._made)
        begun, _, _ = self._item()
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}

    def _more(self, text: str) -> Iterator[dict[str, Any]]:
        assert self._open is not None
        self._open[2].append(text)
        _, between, _ = self._item()
        yield {"output_index": len(self._made), **between[0], "delta": text}

    def _close(self) -> Iterator[dict[str, Any]]:
        if self._open is None:
            return
        made, self._open = self._item(), None
        index = len(self._made)
        self._made.append(made)
        yield {"output_index": index, **made[1][-1]}
        yield {"type": "response.output_item.done", "output_index": index, "item": made[2]}


def read_items(document: dict[str, Any]) -> Request:
    """Read a Responses body back into the request it was written from."""
    instructions = document.get("instructions")
    messages: list[Message] = [] if instructions is None else [System(instructions)]
    for item in document["input"]:
        last = messages[-1] if messages else None
        match item:
            case {"type": "function_call", "call_id": call_id}:
                call = Call(call_id, CalledFunction(item["name"], item["arguments"]))
                if isinstance(last, Assistant):
                    messages[-1] = Assistant(last.content, (*(last.tool_calls or ()), call))
                else:
                    messages.append(Assistant(None, (call,)))
            case {"type": "function_call_output", "call_id": call_id, "output": output}:
                messages.append(ToolResult(call_id, output))
            case {"role": "user", "content": str(content)}:
                messages.append(User(content))
            case {"role": "user", "content": parts}:
                messages.append(User(tuple(map(_part, parts))))
            case {"role": "assistant", "content": content}:
                messages.append(Assistant(content))
            case {"role": "system", "content": content}:
                messages.append(System(content))
    return Request(
        model=document["model"],
        messages=tuple(messages),
        offers=tuple(map(_offer, document.get("tools", ()))),
        choice=_choice(document.get("tool_choice", "auto")),
        parallel=document.get("parallel_tool_calls", True),
        response_format=_deep(document.get("text", {}).get("format")),
        temperature=document.get("temperature"),
        top_p=document.get("top_p"),
        reasoning_effort=document.get("reasoning", {}).get("effort"),
        max_tokens=document.get("max_output_tokens"),
    )


def _deep(flat: dict[str, Any] | None) -> dict[str, Any] | None:
    """The format as Chat Completions has it, one level deeper."""
    if flat is None or flat["type"] != "json_schema":
        return flat
    inner = {name: value for name, value in flat.items() if name != "type"}
    return {"type": "json_schema", "json_schema": inner}


def _part(part: dict[str, Any]) -> Part:
    if part["type"] == "input_text":
        return Text(part["text"])
    return Image(ImageURL(part["image_url"], part["detail"]))


def _offer(tool: dict[str, Any]) -> Offer:
    kind: Any = _KINDS.get(tool["name"], "function")
    described = Function(tool["name"], tool.get("description"), tool["parameters"], tool["strict"])
    return Offer(described, kind=kind)


def _choice(choice: Any) -> Choice:
    return Named(choice["name"]) if isinstance(choice, dict) else choice
