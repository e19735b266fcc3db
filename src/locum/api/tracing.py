"""Spans of requests. This stands around the door only where traces are made."""

from collections.abc import Awaitable, Callable

from locum import logs
from locum.api.http import Message, Receive, Send
from locum.clock import Clock
from locum.telemetry.spans import Asked, Span, SpanContext, Tracer, asked, read_traceparent

Answer = Callable[[Message, Receive, Send], Awaitable[None]]


class TracedDoor:
    """The API, with a span for each request that ends when its last byte has left.

    A run outlives the request that asks for it, so its span is no child of this one: both belong
    to the caller's, and the run's names this one by a link.
    """

    def __init__(self, door: Answer, *, tracer: Tracer, clock: Clock) -> None:
        self._door = door
        self._tracer = tracer
        self._clock = clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        caller = _caller(scope)
        place = self._tracer.begin(scope["method"], caller)
        start_ns = self._clock.now_ns()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        asking = asked.set(Asked(place, caller))
        logging = logs.trace.set((place.trace_id, place.span_id))
        try:
            await self._door(scope, receive, send_on)
        finally:
            asked.reset(asking)
            logs.trace.reset(logging)
            route = scope.get("route")
            span = Span(
                name=f"{scope['method']} {route}" if route else scope["method"],
                context=place,
                parent=caller,
                kind="server",
                start_ns=start_ns,
                end_ns=max(self._clock.now_ns(), start_ns),
                attributes=_attributes(scope, route, status),
                failed=status >= 500,  # noqa: PLR2004  # as HTTP has it
            )
            self._tracer.record(span)


def _caller(scope: Message) -> SpanContext | None:
    for name, value in scope["headers"]:
        if name.lower() == b"traceparent":
            return read_traceparent(value.decode("latin-1"))
    return None


def _attributes(scope: Message, route: str | None, status: int) -> dict[str, str | int]:
    told: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
    }
    if route is not None:
        told["http.route"] = route
    if status:
        told["http.response.status_code"] = status
    return told
