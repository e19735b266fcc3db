"""Processes that cut long texts: pure computation, which in a thread would make others wait.

Short texts are not worth the way there and back.
"""

import asyncio
import pickle
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

from locum.tools.file_search import piped
from locum.tools.file_search.extract import ExtractionFailed

T = TypeVar("T")
_WORKER = "locum.tools.file_search.cutting_worker"
_SHORT_CHARS = 2_000
_TIMEOUT_S = 600.0


class Cutters:
    """At most so many processes; none until there is a long text."""

    def __init__(self, *, workers: int) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[Process] = []
        self._busy: set[Process] = set()

    async def cut(self, work: Callable[..., T], text: str, *rest: object, **options: object) -> T:
        """What `work` makes of the text; it and all else it is given must travel."""
        whole = partial(work, text, *rest, **options)
        if len(text) < _SHORT_CHARS:
            return whole()
        call = pickle.dumps(whole)
        try:
            async with self._worker() as process, asyncio.timeout(_TIMEOUT_S):
                await piped.send(process, call)
                answer = await piped.receive(process)
        except TimeoutError:
            raise ExtractionFailed(
                "server_error", "The text took too long to be cut into chunks."
            ) from None
        except (OSError, EOFError):
            raise ExtractionFailed(
                "server_error", "The process that cuts texts into chunks has died."
            ) from None
        is_done, result = pickle.loads(answer)  # noqa: S301  # from a process that runs our code
        if not is_done:
            raise result
        return cast("T", result)

    async def close(self) -> None:
        """End every process, and what it is cutting."""
        for process in [*self._idle, *self._busy]:
            await piped.end(process)
        self._idle.clear()

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Process]:
        """A process for one call; one that still owes an answer is not used again."""
        async with self._slots:
            process = self._idle.pop() if self._idle else await piped.start(_WORKER)
            self._busy.add(process)
            has_answered = False
            try:
                yield process
                has_answered = True
            finally:
                self._busy.discard(process)
                if has_answered:
                    self._idle.append(process)
                else:
                    await piped.end(process)
