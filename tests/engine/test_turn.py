"""What an answer costs that is not followed to its end."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tests.contract.requirements import covers
from tests.kit.server import WAIT_S, Server
from tests.kit.talk import Talk

from locum.app import Parts
from locum.llm.protocol import Event, Request
from locum.llm.scripted import Scripted


class _Lingering(Scripted):
    """Says all that it has to say, and goes on holding the line."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event
        self.heard.set()
        await asyncio.Event().wait()


@covers("field:usage")
def test_what_a_model_has_told_of_its_cost_is_kept_by_a_run_that_is_cancelled(
    make_server: Callable[..., Server],
) -> None:
    model = _Lingering()
    talk = Talk(make_server(Parts(backend=model)).http())
    run = talk.begin("!say Hello.\n!usage 70 5")
    assert model.heard.wait(WAIT_S)
    talk.cancel(run)
    run = talk.until(run, "cancelled")
    (step,) = talk.steps(run)
    assert (run["usage"]["prompt_tokens"], run["usage"]["completion_tokens"]) == (70, 5)
    assert step["usage"] == run["usage"]
