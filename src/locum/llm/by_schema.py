"""Tools for servers that know none: the model decides, then fills, each time held to a schema.

First it picks a tool, or to reply, from an enumeration; then it writes the arguments that the
tool's own schema asks for. It works wherever output can be constrained, at the price of one more
turn, and makes one call at a time.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.ids import Ids, RandomIds
from locum.llm.around import Around
from locum.llm.protocol import (
    Assistant,
    Backend,
    CallBegun,
    CallDelta,
    Event,
    Finished,
    Message,
    ModelError,
    Named,
    Offer,
    Request,
    Text,
    TextDelta,
    ToolResult,
    Usage,
    User,
)
from locum.unreadable import UNREADABLE

_REPLY = "reply"
_UNASKED = Finished("stop", Usage(prompt_tokens=0, completion_tokens=0))


class _Decision(Struct, frozen=True):
    next: str


class ToolsBySchema(Around):
    name: ClassVar[str] = "tools_by_schema"

    def __init__(self, model: Backend, *, ids: Ids | None = None) -> None:
        super().__init__(model)
        self._ids = ids or RandomIds()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        offer, decision = await self._decide(request)
        if decision.reason != "stop":
            yield decision
            return
        if request.max_tokens is not None:
            # The limit is one for both: what was spent to decide is not there any more.
            left = request.max_tokens - decision.usage.completion_tokens
            if left <= 0:
                yield replace(decision, reason="length")
                return
            request = replace(request, max_tokens=left)
        if offer is None:
            speech = self._model.stream(without_tools(request))
        else:
            speech = self._fill(request, offer)
        async with aclosing(speech) as events:
            async for event in events:
                if isinstance(event, Finished):
                    yield replace(event, usage=_sum(decision.usage, event.usage))
                else:
                    yield event

    async def _decide(self, request: Request) -> tuple[Offer | None, Finished]:
        """Let the model choose a tool, unless the request leaves no choice; and how that ended."""
        by_name = {offer.function.name: offer for offer in request.offers}
        if isinstance(request.choice, Named):
            return by_name.get(request.choice.name), _UNASKED
        names = [*by_name] if request.choice == "required" else [_REPLY, *by_name]
        if request.choice == "none" or not by_name:
            return None, _UNASKED
        if len(names) == 1:
            return by_name[names[0]], _UNASKED
        listed = "\n".join(_described(offer) for offer in request.offers)
        asked = f"You can use these tools:\n{listed}\n\nDecide what to do next: name the tool that "
        asked += f"is needed now, or '{_REPLY}' to answer with what is known."
        schema = {
            "type": "object",
            "properties": {"next": {"type": "string", "enum": names}},
            "required": ["next"],
            "additionalProperties": False,
        }
        wanted = _constrained(request, asked, schema)
        text = ""
        finished = _UNASKED
        async with aclosing(self._model.stream(wanted)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, Finished):
                    finished = event
        try:
            decided = msgspec.json.decode(text, type=_Decision).next
        except UNREADABLE:
            if finished.reason not in {"length", "content_filter"}:
                message = "The model's server does not hold its model to a schema."
                raise ModelError(message) from None
            return None, finished
        return by_name.get(decided), replace(finished, reason="stop")

    async def _fill(self, request: Request, offer: Offer) -> AsyncGenerator[Event, None]:
        function = offer.function
        asked = f"Write the arguments of this tool, as JSON:\n{_described(offer)}"
        schema = function.parameters or {"type": "object", "properties": {}}
        wanted = _constrained(request, asked, schema)
        yield CallBegun(index=0, id=self._ids.new("call"), name=function.name)
        async with aclosing(self._model.stream(wanted)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield CallDelta(index=0, arguments=event.text)
                elif isinstance(event, Finished):
                    yield replace(event, reason="calls" if event.reason == "stop" else event.reason)


def without_tools(request: Request) -> Request:
    """Rewrite a request for a model that has never heard of tools: calls become words."""
    return replace(request, messages=_in_words(request.messages), offers=(), choice="none")


def _constrained(request: Request, asked: str, schema: dict[str, Any]) -> Request:
    plain = without_tools(request)
    return replace(
        plain,
        messages=_with_note(plain.messages, asked),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "next_step", "schema": schema},
        },
        temperature=0.0,
    )


def _in_words(messages: Sequence[Message]) -> tuple[Message, ...]:
    names: dict[str, str] = {}
    written: list[Message] = []
    for at, message in enumerate(messages):
        if isinstance(message, Assistant) and message.tool_calls:
            names |= {call.id: call.function.name for call in message.tool_calls}
            written.append(Assistant("\n".join(_said(message))))
        elif isinstance(message, ToolResult):
            answer = f"[{names.get(message.tool_call_id, 'The tool')} answered]\n{message.content}"
            if isinstance(messages[at - 1], ToolResult):
                written = [*_with_note(written, answer)]
            else:
                written.append(User(answer))
        else:
            written.append(message)
    return tuple(written)


def _with_note(messages: Sequence[Message], note: str) -> tuple[Message, ...]:
    """Add to what the user said last: many templates take neither a late system message nor two
    of the user's in a row.
    """
    last = messages[-1] if messages else None
    if not isinstance(last, User):
        return (*messages, User(note))
    if isinstance(last.content, str):
        return (*messages[:-1], User(f"{last.content}\n\n{note}"))
    return (*messages[:-1], User((*last.content, Text(note))))


def _said(message: Assistant) -> Iterator[str]:
    if message.content:
        yield message.content
    for call in message.tool_calls or ():
        yield f"[called {call.function.name} with {call.function.arguments}]"


def _described(offer: Offer) -> str:
    return f"- {offer.function.name}: {offer.function.description or 'no description'}"


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
    )
