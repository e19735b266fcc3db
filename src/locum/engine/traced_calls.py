"""A model or a tool at work, told as a span when it is over, and the words for it.

Names follow OpenTelemetry's conventions for generative AI. What people and models write is told
only where the operator chose so.
"""

from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

import msgspec
from msgspec import UNSET

from locum.clock import Clock
from locum.llm import protocol as llm
from locum.telemetry.spans import Span, SpanContext, Tracer
from locum.tools.tool import Memory, ToolFailed
from locum.wire.steps import CodeInterpreterCall, FileSearchCall, FunctionCall, LogOutput, ToolCall

SECOND: Final = 1_000_000_000
# An attribute is no place for a whole book.
_MOST_CHARS: Final = 32_768
_REASONS: Final = {"calls": "tool_call"}


class Stretch(Protocol):
    """A model or a tool at work; what happens to it while it is held is told with it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None: ...

    def hear(self, event: llm.Event) -> None: ...

    def made(self, memory: Memory) -> None: ...


class _Timed:
    """A span that is recorded when it is left, however that is."""

    def __init__(
        self,
        tracer: Tracer,
        clock: Clock,
        *,
        name: str,
        parent: SpanContext,
        kind: Literal["internal", "client"],
    ) -> None:
        self._tracer = tracer
        self._clock = clock
        self._name = name
        self._parent = parent
        self._kind = kind
        self._attributes: dict[str, Any] = {}
        self._start_ns = 0

    def __enter__(self) -> Self:
        self._start_ns = self._clock.now_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is not None:
            # The class of what went wrong, never its words: they may quote what somebody wrote.
            code = error.code if isinstance(error, llm.ModelError) else kind.__name__
            self._attributes["error.type"] = code
        self._conclude()
        span = Span(
            name=self._name,
            context=self._tracer.begin(self._name, self._parent),
            parent=self._parent,
            kind=self._kind,
            start_ns=self._start_ns,
            end_ns=max(self._clock.now_ns(), self._start_ns),
            attributes=self._attributes,
            failed=isinstance(error, llm.ModelError | ToolFailed),
        )
        self._tracer.record(span)

    def _conclude(self) -> None:
        """Last attributes, before the span is recorded."""

    def hear(self, event: llm.Event) -> None:
        """Only models are heard."""

    def made(self, memory: Memory) -> None:
        """Only tools make something to be remembered."""


class ModelCall(_Timed):
    def __init__(
        self,
        tracer: Tracer,
        clock: Clock,
        run: SpanContext,
        request: llm.Request,
        *,
        thread_id: str,
    ) -> None:
        super().__init__(tracer, clock, name=f"chat {request.model}", parent=run, kind="client")
        self._attributes = _of_request(request, thread_id=thread_id)
        if tracer.shows_content:
            self._attributes |= _prompt(request)
        self._said: list[str] = []
        self._has_spoken = False

    def hear(self, event: llm.Event) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            waited_ns = self._clock.now_ns() - self._start_ns
            self._attributes["gen_ai.response.time_to_first_chunk"] = waited_ns / SECOND
        match event:
            case llm.TextDelta(text) | llm.RefusalDelta(text) if self._tracer.shows_content:
                self._said.append(text)
            case llm.Finished(reason, usage):
                self._attributes |= {
                    "gen_ai.response.finish_reasons": (_REASONS.get(reason, reason),),
                    "gen_ai.usage.input_tokens": usage.prompt_tokens,
                    "gen_ai.usage.output_tokens": usage.completion_tokens,
                    "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
                    "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
                }

    def _conclude(self) -> None:
        if self._said:
            part = {"type": "text", "content": _cut("".join(self._said))}
            told = [{"role": "assistant", "parts": [part]}]
            self._attributes["gen_ai.output.messages"] = msgspec.json.encode(told).decode()


class ToolWork(_Timed):
    def __init__(self, tracer: Tracer, clock: Clock, step: SpanContext, call: ToolCall) -> None:
        told = of_call(call, shows_content=False)
        name = f"execute_tool {told['gen_ai.tool.name']}"
        super().__init__(tracer, clock, name=name, parent=step, kind="internal")
        # It is done on our side, which tells an MCP server's tool from a client's function.
        kind = "datastore" if isinstance(call, FileSearchCall) else "extension"
        self._attributes = told | {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.type": kind,
        }

    def made(self, memory: Memory) -> None:
        if self._tracer.shows_content:
            self._attributes["gen_ai.tool.call.arguments"] = _cut(memory.arguments)
            self._attributes["gen_ai.tool.call.result"] = _cut(memory.result)


class _Untimed:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        pass

    def hear(self, event: llm.Event) -> None:
        pass

    def made(self, memory: Memory) -> None:
        pass


UNTIMED: Final = _Untimed()


def of_call(call: ToolCall, *, shows_content: bool) -> dict[str, Any]:
    """A call as its finished step shows it, where somebody else has done it."""
    match call:
        case FunctionCall(function=function):
            name, kind, given, output = (
                function.name,
                "function",
                function.arguments,
                function.output,
            )
        case CodeInterpreterCall(code_interpreter=code):
            logs = [output.logs for output in code.outputs if isinstance(output, LogOutput)]
            name, kind, given, output = "code_interpreter", "extension", code.input, "".join(logs)
        case FileSearchCall():
            name, kind, given, output = "file_search", "datastore", "", None
    attributes: dict[str, Any] = {
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": kind,
        "gen_ai.tool.call.id": call.id,
    }
    if shows_content:
        attributes["gen_ai.tool.call.arguments"] = _cut(given)
        attributes["gen_ai.tool.call.result"] = _cut(output or "")
    return attributes


def _of_request(request: llm.Request, *, thread_id: str) -> dict[str, Any]:
    told = {
        "gen_ai.operation.name": "chat",
        # All our models are spoken to in OpenAI's dialect, whoever made them.
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": request.model,
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": thread_id,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.output.type": "text" if request.response_format is None else "json",
    }
    return {name: value for name, value in told.items() if value is not None}


def _prompt(request: llm.Request) -> dict[str, str]:
    messages = [_message(message) for message in request.messages]
    return {"gen_ai.input.messages": _cut(msgspec.json.encode(messages).decode())}


def _message(message: llm.Message) -> dict[str, Any]:
    match message:
        case llm.ToolResult(call_id, content):
            part = {"type": "tool_call_response", "id": call_id, "result": content}
            return {"role": "tool", "parts": [part]}
        case llm.Assistant(content, calls):
            parts: list[dict[str, Any]] = [{"type": "text", "content": content}] if content else []
            for call in () if calls is UNSET else calls:
                asked = {"name": call.function.name, "arguments": call.function.arguments}
                parts.append({"type": "tool_call", "id": call.id, **asked})
            return {"role": "assistant", "parts": parts}
        case llm.System(content):
            return {"role": "system", "parts": [{"type": "text", "content": content}]}
        case llm.User(content):
            return {"role": "user", "parts": [_part(part) for part in _parts(content)]}


def _parts(content: str | tuple[llm.Part, ...]) -> tuple[llm.Part, ...]:
    return (llm.Text(content),) if isinstance(content, str) else content


def _part(part: llm.Part) -> dict[str, Any]:
    if isinstance(part, llm.Text):
        return {"type": "text", "content": part.text}
    # A picture that is stored here comes as its bytes; those go nowhere else.
    address = part.image_url.url
    where = "data:" if address.startswith("data:") else address
    return {"type": "uri", "modality": "image", "uri": where}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}…"
