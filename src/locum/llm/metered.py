"""A backend whose turns are counted and timed, by the name that the operator gave it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from locum.clock import Clock
from locum.llm.protocol import Backend, Event, Finished, ModelError, Request, Usage
from locum.metrics import Metrics


class Metered:
    name: ClassVar[str] = "metered"

    def __init__(self, backend: Backend, *, label: str, metrics: Metrics, clock: Clock) -> None:
        self._backend = backend
        self._label = label
        self._metrics = metrics
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        begun = self._clock.monotonic()
        is_silent = True
        # Whoever closes the stream has stopped the model.
        outcome = "stopped"
        try:
            async with aclosing(self._backend.stream(request)) as events:
                async for event in events:
                    if is_silent:
                        is_silent = False
                        waited_s = self._clock.monotonic() - begun
                        self._metrics.models.first_token_seconds.labels(self._label).observe(
                            waited_s
                        )
                    if isinstance(event, Finished):
                        outcome = event.reason
                        self._count(event.usage)
                    yield event
        except ModelError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.models.calls.labels(self._label, outcome).inc()
            took_s = self._clock.monotonic() - begun
            self._metrics.models.seconds.labels(self._label).observe(took_s)

    async def models(self) -> list[str]:
        return await self._backend.models()

    async def check(self) -> str:
        return await self._backend.check()

    async def close(self) -> None:
        await self._backend.close()

    def _count(self, usage: Usage) -> None:
        """Cached tokens are part of the prompt's, reasoning is part of the completion's."""
        for kind, tokens in (
            ("prompt", usage.prompt_tokens),
            ("completion", usage.completion_tokens),
            ("cached", usage.cached_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            self._metrics.models.tokens.labels(self._label, kind).inc(tokens)
