"""Hearing one answer of Chat Completions, and the chunks of which a test makes it."""

import asyncio
from typing import Any

from tests.kit.fake_model import FakeModel, Reply
from tests.llm.turns import Turn, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.protocol import CalledFunction, Request

PARIS = CalledFunction("get_weather", '{"city":"Paris"}')
ROME = CalledFunction("get_weather", '{"city":"Rome"}')


class Counted:
    """Ids that count."""

    def __init__(self) -> None:
        self._last = 0

    def new(self, prefix: str) -> str:
        self._last += 1
        return f"{prefix}_new{self._last}"


def hear(reply: Reply, request: Request | None = None) -> Turn:
    async def scene() -> Turn:
        async with FakeModel(reply) as server:
            chat = ChatCompletions(server.url, retries=0, ids=Counted())
            return fold(await collect(chat, request or asking("Hi")))

    return asyncio.run(scene())


def says(text: Any, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **fields}]}


def calls(*pieces: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": list(pieces)}}]}


def piece(name: str | None = None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


def ends(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
