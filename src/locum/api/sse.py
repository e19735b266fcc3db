"""Runs as server-sent events: framing, keep-alives, and the end of a stream."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from locum import logs
from locum.api.errors import error_body
from locum.engine.journal import RunGone, TooSlow, place_of
from locum.errors import LocumError, ServerError
from locum.service.runs import RunStream
from locum.store.events import Event
from locum.wire.steps import without_content

MEDIA = "text/event-stream; charset=utf-8"
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

_DONE = b"event: done\ndata: [DONE]\n\n"
# A comment: an event without data breaks both official SDKs.
_ALIVE = b": keep-alive\n\n"
_RESUME = "The run goes on, and its events can be read again."

Translate = Callable[[str, str], str]


async def frames(
    stream: RunStream, *, translate: Translate | None = None
) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream, from its first event to `done`."""
    try:
        async with aclosing(stream.events) as events:
            async for event in events:
                if event is None:
                    yield _ALIVE
                else:
                    yield _frame(event, stream, translate)
    except TooSlow:
        yield _error(f"This stream fell too far behind its run and was cut off. {_RESUME}")
    except RunGone:
        yield _error("The run was deleted.")
    except LocumError as error:
        yield _error(error.message)
    except Exception as failure:  # noqa: BLE001  # the edge: a stream that has begun says how it ends
        logs.error("stream.broke", failure=failure)
        yield _error(f"The server had an error while it told of this run. {_RESUME}")
    yield _DONE


def _frame(event: Event, stream: RunStream, translate: Translate | None) -> bytes:
    data = event.data
    if not stream.include and event.name.startswith("thread.run.step."):
        data = without_content(data)
    if translate is not None:
        data = translate(event.name, data)
    number = f"id: {place_of(event)}\n" if stream.numbered else ""
    return f"{number}event: {event.name}\ndata: {data}\n\n".encode()


def _error(message: str) -> bytes:
    return b"event: error\ndata: " + error_body(ServerError(message)) + b"\n\n"
