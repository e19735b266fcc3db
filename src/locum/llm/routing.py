"""Several backends behind one, told apart by the name of the model."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from locum.llm.protocol import Backend, Event, ModelError, Request


class Route(Struct, frozen=True):
    """`gpt-4o = qwen3@vllm`: what is asked for, what it is there, and where.

    `model` is `*` for every other name. Without `becomes` the name stays as it was asked for.
    """

    model: str
    becomes: str | None
    backend: str


def read_routes(text: str) -> tuple[Route, ...]:
    """Read routes, one a line or between semicolons: `gpt-4o = qwen3@vllm; * = @vllm`."""
    lines = [line.strip() for line in text.replace(";", "\n").splitlines()]
    return tuple(_route(line) for line in lines if line and not line.startswith("#"))


def _route(line: str) -> Route:
    model, equals, target = (part.strip() for part in line.partition("="))
    # The last @: names of models may have one, names of backends may not.
    becomes, at, backend = target.rpartition("@")
    if not (model and equals and at and backend):
        raise ModelError(f"A route looks like 'gpt-4o = qwen3@vllm' or '* = @vllm', not '{line}'.")
    return Route(model=model, becomes=becomes or None, backend=backend)


class Router:
    name: ClassVar[str] = "router"

    def __init__(self, backends: Mapping[str, Backend], routes: Sequence[Route] = ()) -> None:
        """With one backend, every name no route speaks of goes to it as it is."""
        self._backends = dict(backends)
        self._routes = {route.model: route for route in routes}
        if len(self._backends) == 1:
            only = next(iter(self._backends))
            self._routes.setdefault("*", Route(model="*", becomes=None, backend=only))
        for route in self._routes.values():
            if route.backend not in self._backends:
                known = ", ".join(sorted(self._backends)) or "none"
                raise ModelError(
                    f"The route of '{route.model}' leads to '{route.backend}', "
                    f"but the backends are: {known}."
                )

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        route = self._routes.get(request.model) or self._routes.get("*")
        if route is None:
            raise ModelError(f"No backend serves the model '{request.model}'.")
        if route.becomes:
            request = replace(request, model=route.becomes)
        async with aclosing(self._backends[route.backend].stream(request)) as events:
            async for event in events:
                yield event

    async def models(self) -> list[str]:
        """List what has a route of its own, then what the backend of all other names has."""
        named = [model for model in self._routes if model != "*"]
        others = self._routes.get("*")
        if others and others.becomes:
            named.append(others.becomes)
        elif others:
            named += await self._backends[others.backend].models()
        return list(dict.fromkeys(named))

    async def check(self) -> str:
        lines = []
        for name, backend in self._backends.items():
            try:
                lines.append(f"{name}: {await backend.check()}")
            except ModelError as error:
                raise ModelError(f"{name}: {error.message}", code=error.code) from error
        return "\n".join(lines)

    async def close(self) -> None:
        for backend in self._backends.values():
            await backend.close()
