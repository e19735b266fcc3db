"""How a backend's models use tools: natively, by schema, or not at all. It can be found out."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar, Literal

from locum import logs
from locum.llm.around import Around
from locum.llm.by_schema import ToolsBySchema, without_tools
from locum.llm.protocol import (
    Backend,
    CallBegun,
    Event,
    Finished,
    ModelError,
    Request,
    TextDelta,
)

ToolMode = Literal["auto", "native", "schema", "none"]

_MOST_MODELS_REMEMBERED = 1000
# Nobody says so much before a call he has been told to make.
_TALKS_CHARS = 400
# Ollama, vLLM, llama.cpp, OpenRouter and Groq, in this order, of a model or a server without tools.
_HAS_NO_TOOLS = re.compile(
    r"does(n.t| not) support (tools?|function)\b|tool choice requires|--enable-auto-tool-choice|"
    r"--tool-call-parser|tools? param requires|--jinja|no endpoints found that support tool use|"
    r"tools?( use| calling|_choice)?.? (is|are) not supported|unsupported parameter:? .?tools\b",
    re.IGNORECASE,
)


def with_tool_mode(backend: Backend, mode: ToolMode) -> Backend:
    match mode:
        case "native":
            return backend
        case "schema":
            return ToolsBySchema(backend)
        case "none":
            return _NoTools(backend)
        case "auto":
            return _FoundOut(backend)


class _NoTools(Around):
    name: ClassVar[str] = "no_tools"

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        async with aclosing(self._model.stream(without_tools(request))) as events:
            async for event in events:
                yield event


class _FoundOut(Around):
    """Native tools, until it shows that a model has none; by schema from then on.

    A server may say so. Others show it: told that it must call, the model talks instead.
    """

    name: ClassVar[str] = "tools_found_out"

    def __init__(self, model: Backend) -> None:
        super().__init__(model)
        self._by_schema = ToolsBySchema(model)
        self._toolless: set[str] = set()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        has_begun = False
        if request.model not in self._toolless:
            forced = bool(request.offers) and request.choice not in {"none", "auto"}
            native = self._forced(request) if forced else self._model.stream(request)
            try:
                async with aclosing(native) as events:
                    async for event in events:
                        has_begun = True
                        yield event
            except ModelError as error:
                if has_begun or not request.offers or not _HAS_NO_TOOLS.search(error.message):
                    raise
                self._remember(request.model)
            except _Talked:
                self._remember(request.model)
            else:
                return
        async with aclosing(self._by_schema.stream(request)) as events:
            async for event in events:
                yield event

    async def _forced(self, request: Request) -> AsyncGenerator[Event, None]:
        """A turn that must call: what is said before the call waits until one has come."""
        held: list[Event] = []
        said = 0
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                if isinstance(event, CallBegun):
                    for earlier in held:
                        yield earlier
                    yield event
                    break
                held.append(event)
                said += len(event.text) if isinstance(event, TextDelta) else 0
                # Cut, it may have been about to call.
                is_over = isinstance(event, Finished) and event.reason == "stop"
                if said > _TALKS_CHARS or (is_over and _is_talk(held)):
                    raise _Talked
            else:
                for earlier in held:
                    yield earlier
            async for event in events:
                yield event

    def _remember(self, model: str) -> None:
        if len(self._toolless) >= _MOST_MODELS_REMEMBERED:
            self._toolless.clear()
        self._toolless.add(model)
        logs.warning("model.tools_by_schema", model=model)


class _Talked(Exception):
    """The model was told to call and has talked instead."""


def _is_talk(events: list[Event]) -> bool:
    return any(isinstance(event, TextDelta) for event in events)
