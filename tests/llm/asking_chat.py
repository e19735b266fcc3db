"""Asking the adapter something, against a server that answers as it is told."""

import asyncio
from typing import Any

import pytest
from tests.kit.fake_model import (
    FakeModel,
    Reply,
)
from tests.llm.turns import Turn, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.protocol import (
    ModelError,
    Request,
)

KEY = "sk-secret-0123456789"
HALF = 'data: {"choices": [{"delta": {"content": "Half"}}]}\n\n'


class Naps:
    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def ask(
    *replies: Reply, request: Request | None = None, naps: Naps | None = None, **options: Any
) -> tuple[Turn, FakeModel]:
    server = FakeModel(*replies)

    async def scene() -> Turn:
        async with server:
            chat = ChatCompletions(server.url, sleep=naps or Naps(), **options)
            return fold(await collect(chat, request or asking("!say Hello")))

    return asyncio.run(scene()), server


def failure_of(*replies: Reply, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as failure:
        ask(*replies, **options)
    return failure.value
