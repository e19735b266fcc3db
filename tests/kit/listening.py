"""The scripted model, and what it was asked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from locum.llm.protocol import Event, Request
from locum.llm.scripted import Scripted


class Listening(Scripted):
    """Keeps every request it has answered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event
