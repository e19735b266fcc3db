"""Building requests, taking turns, and folding what came into whole texts and calls."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec import UNSET, Struct

from locum.llm.protocol import (
    Assistant,
    Backend,
    Call,
    CallBegun,
    CallDelta,
    CalledFunction,
    Event,
    Finished,
    Function,
    Message,
    Offer,
    ProviderCallBegun,
    ProviderCallDelta,
    ProviderCallDone,
    RefusalDelta,
    Request,
    TextDelta,
    ToolResult,
    User,
)

BOUND_S = 30.0

WEATHER = Offer(
    Function(
        name="get_weather",
        description="The weather of a city.",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
        },
    )
)
PYTHON = Offer(
    Function(
        name="python",
        description=None,
        parameters={"type": "object", "properties": {"code": {"type": "string"}}},
    ),
    kind="code_interpreter",
)
SEARCH = Offer(
    Function(
        name="file_search",
        description=None,
        parameters={
            "type": "object",
            "properties": {"queries": {"type": "array", "items": {"type": "string"}}},
            "required": ["queries"],
        },
    ),
    kind="file_search",
)


class Turn(Struct):
    """A turn, folded."""

    text: str
    refusal: str
    calls: list[CalledFunction]
    ids: list[str]
    finished: Finished


def asking(text: str, **fields: Any) -> Request:
    return Request(model="any", messages=(User(text),), **fields)


def after(request: Request, turn: Turn, results: Iterable[str]) -> Request:
    """Make the request that follows `turn`, its calls answered with `results`."""
    calls = tuple(Call(id_, made) for id_, made in zip(turn.ids, turn.calls, strict=True))
    answers: list[Message] = [
        ToolResult(tool_call_id=call.id, content=result)
        for call, result in zip(calls, results, strict=True)
    ]
    said = Assistant(content=turn.text or None, tool_calls=calls or UNSET)
    return Request(
        model=request.model,
        messages=(*request.messages, said, *answers),
        offers=request.offers,
    )


def events_of(backend: Backend, request: Request) -> list[Event]:
    return asyncio.run(collect(backend, request))


async def collect(backend: Backend, request: Request) -> list[Event]:
    try:
        async with asyncio.timeout(BOUND_S):
            return [event async for event in backend.stream(request)]
    finally:
        await backend.close()


def take(backend: Backend, request: Request) -> Turn:
    return fold(events_of(backend, request))


def fold(events: list[Event]) -> Turn:
    """Fold events into a turn, insisting on their order."""
    finished = events[-1]
    assert isinstance(finished, Finished)
    turn = Turn(text="", refusal="", calls=[], ids=[], finished=finished)
    for event in events[:-1]:
        match event:
            case TextDelta(text):
                turn.text += text
            case RefusalDelta(text):
                turn.refusal += text
            case CallBegun(index, id_, name):
                assert index == len(turn.calls)
                turn.ids.append(id_)
                turn.calls.append(CalledFunction(name, ""))
            case CallDelta(index, arguments):
                made = turn.calls[index]
                turn.calls[index] = CalledFunction(made.name, made.arguments + arguments)
            case ProviderCallBegun() | ProviderCallDelta() | ProviderCallDone():
                pass  # Whoever asks for these looks at them himself.
            case _:
                pytest.fail("nothing follows Finished")
    return turn
