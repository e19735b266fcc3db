"""A stream that has begun says how it ends, whatever happens to what it tells of."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from locum.api.sse import frames
from locum.errors import StorageFull, Unavailable
from locum.service.runs import RunStream
from locum.store.events import Event

_FIRST = Event(number=1, life=0, name="thread.run.created", data="{}")


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            Unavailable("The database cannot be reached at the moment. Try again."),
            "The database cannot be reached at the moment. Try again.",
        ),
        (StorageFull("No space."), "No space."),
        (
            ValueError("a secret of the house"),
            (
                "The server had an error while it told of this run. The run goes on, and its events"
                " can be read again."
            ),
        ),
    ],
)
def test_a_stream_that_breaks_tells_an_error_and_is_done(failure: Exception, message: str) -> None:
    async def events() -> AsyncGenerator[Event | None, None]:
        yield _FIRST
        raise failure

    async def told() -> list[bytes]:
        return [piece async for piece in frames(RunStream(events(), "asst_1", False))]

    first, error, done = asyncio.run(told())
    assert first == b"event: thread.run.created\ndata: {}\n\n"
    name, data = error.decode().rstrip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "error": {"message": message, "type": "server_error", "param": None, "code": None}
    }
    assert done == b"event: done\ndata: [DONE]\n\n"
