"""Tools by policy, for a model too small to choose among them or to repeat what they found.

File search always searches, with the user's own words. A tool that must be called has its arguments
written by the model, held to the schema. No other tool is used. What a tool answered is quoted, and
cited where it can be. So every call and every quotation is true; small talk is the model's own.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Literal

import msgspec
from msgspec.structs import replace

from locum.ids import Ids, RandomIds
from locum.llm import tokens
from locum.llm.around import Around
from locum.llm.minimal import smallest_arguments
from locum.llm.protocol import (
    Assistant,
    Backend,
    CallBegun,
    CallDelta,
    Event,
    Finished,
    Message,
    Named,
    Offer,
    Request,
    System,
    Text,
    TextDelta,
    ToolResult,
    Usage,
    User,
)
from locum.llm.quoting import MARKER, quotation, words
from locum.unreadable import UNREADABLE

LABEL = "smollm2-135m (demo)"

# Where the model was not asked, it has spent nothing.
_UNSPENT = Usage(prompt_tokens=0, completion_tokens=0)

# A core reads some hundreds of tokens a second; a first answer should not wait for more.
_MOST_RESULT_TOKENS = 800
_MOST_PROMPT_TOKENS = 4000
_MOST_ANSWER_TOKENS = 512
_MOST_ARGUMENT_TOKENS = 256


class DemoTools(Around):
    name: ClassVar[str] = "demo"

    def __init__(self, model: Backend, *, ids: Ids | None = None) -> None:
        super().__init__(model)
        self._ids = ids or RandomIds()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        results = _results(request.messages)
        offer = None if results else _chosen(request)
        if offer is not None and offer.kind == "file_search":
            speech = self._search(request, offer)
        elif offer is not None:
            speech = self._fill(request, offer)
        elif results and request.response_format is None:
            speech = self._quote(request, results)
        else:
            speech = self._answer(request, results)
        async with aclosing(speech) as events:
            async for event in events:
                yield event

    async def _answer(
        self, request: Request, results: Sequence[str]
    ) -> AsyncGenerator[Event, None]:
        plain = replace(
            request,
            messages=_readable(request.messages, results),
            offers=(),
            choice="none",
            max_tokens=min(request.max_tokens or _MOST_ANSWER_TOKENS, _MOST_ANSWER_TOKENS),
        )
        async with aclosing(self._model.stream(plain)) as events:
            async for event in events:
                yield _ended(event, request) if isinstance(event, Finished) else event

    async def _quote(self, request: Request, results: Sequence[str]) -> AsyncGenerator[Event, None]:
        text = quotation(results)
        afforded = text if request.max_tokens is None else tokens.head(text, request.max_tokens)
        for word in words(afforded):
            yield TextDelta(word)
        reason: Literal["stop", "length"] = "stop" if afforded == text else "length"
        yield Finished(reason=reason, usage=_UNSPENT, counted_by_backend=False)

    async def _search(self, request: Request, offer: Offer) -> AsyncGenerator[Event, None]:
        asked = _asked(request.messages)
        arguments = smallest_arguments(offer.function.parameters, words=asked)
        yield CallBegun(index=0, id=self._ids.new("call"), name=offer.function.name)
        yield CallDelta(index=0, arguments=msgspec.json.encode(arguments).decode())
        yield Finished(reason="calls", usage=_UNSPENT, counted_by_backend=False)

    async def _fill(self, request: Request, offer: Offer) -> AsyncGenerator[Event, None]:
        """Let the model write the arguments of the call it must make, within their schema."""
        schema = offer.function.parameters or {"type": "object", "properties": {}}
        name = offer.function.name
        asked = f"Write the arguments of the function {name} as JSON. "
        asked += f"{offer.function.description or ''}\nThe request: {_asked(request.messages)}"
        wanted = replace(
            request,
            messages=(User(tokens.head(asked, _MOST_PROMPT_TOKENS)),),
            offers=(),
            choice="none",
            response_format={
                "type": "json_schema",
                "json_schema": {"name": name, "schema": schema},
            },
            max_tokens=min(request.max_tokens or _MOST_ARGUMENT_TOKENS, _MOST_ARGUMENT_TOKENS),
            temperature=0.0,
        )
        yield CallBegun(index=0, id=self._ids.new("call"), name=name)
        written: list[str] = []
        async with aclosing(self._model.stream(wanted)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    written.append(event.text)
                elif isinstance(event, Finished):
                    yield CallDelta(index=0, arguments=_whole("".join(written), schema))
                    yield replace(event, reason="calls")


def _chosen(request: Request) -> Offer | None:
    """Choose the tool to use, as the policy has it."""
    if request.choice == "none":
        return None
    if isinstance(request.choice, Named):
        named = request.choice.name
        return next((one for one in request.offers if one.function.name == named), None)
    searches = (one for one in request.offers if one.kind == "file_search")
    first = next(iter(request.offers), None) if request.choice == "required" else None
    return next(searches, first)


def _whole(written: str, schema: dict[str, Any]) -> str:
    """Give arguments that can be read: the model's own, unless it found no end to them."""
    try:
        arguments = msgspec.json.decode(written)
    except UNREADABLE:
        arguments = smallest_arguments(schema)
    return msgspec.json.encode(arguments).decode()


def _results(messages: Sequence[Message]) -> list[str]:
    """Collect what tools answered since the user last spoke."""
    results: list[str] = []
    for message in messages:
        if isinstance(message, User):
            results.clear()
        elif isinstance(message, ToolResult):
            results.append(message.content)
    return results


def _asked(messages: Sequence[Message]) -> str:
    spoken = [_text(message) for message in messages if isinstance(message, User)]
    return spoken[-1] if spoken else ""


def _readable(messages: Sequence[Message], results: Sequence[str]) -> tuple[Message, ...]:
    """Write the conversation for a model that knows only words: results become notes."""
    kept: list[Message] = [System(one.content) for one in messages if isinstance(one, System)]
    spoken: list[Message] = []
    for message in messages:
        if isinstance(message, User):
            spoken.append(User(_text(message)))
        elif isinstance(message, Assistant) and message.content:
            spoken.append(Assistant(message.content))
    if results:
        notes = MARKER.sub("", "\n".join(results))
        notes = tokens.head(notes, _MOST_RESULT_TOKENS)
        asked = f"{notes}\n\nUse the notes above to answer: {_asked(messages)}"
        spoken.append(User(asked))
    while len(spoken) > 1 and tokens.count_messages([*kept, *spoken]) > _MOST_PROMPT_TOKENS:
        del spoken[0]
    return (*kept, *spoken)


def _text(message: User) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, Text))


def _ended(event: Finished, request: Request) -> Finished:
    # A limit nobody asked for is ours, and no reason to call an answer incomplete.
    if event.reason == "length" and request.max_tokens is None:
        return replace(event, reason="stop")
    return event
