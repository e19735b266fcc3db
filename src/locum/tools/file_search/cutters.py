"""Processes that cut long texts: pure computation, which in a thread would make others wait.

Short texts are not worth the way there and back.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from typing import TypeVar

from locum.tools.file_search.extract import ExtractionFailed

T = TypeVar("T")
_SHORT_CHARS = 2_000
_TIMEOUT_S = 600.0
_NICENESS = 10


class Cutters:
    """At most so many processes; none until there is a long text."""

    def __init__(self, *, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    async def cut(self, work: Callable[..., T], text: str, *rest: object, **options: object) -> T:
        """What `work` makes of the text; it and all else it is given must travel."""
        whole = partial(work, text, *rest, **options)
        if len(text) < _SHORT_CHARS:
            return whole()
        pool = self._pool = self._pool or ProcessPoolExecutor(
            self._workers, mp_context=get_context("spawn"), initializer=_begin
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(pool, whole)
        except BrokenExecutor:
            if self._pool is pool:
                self._pool = None
            raise ExtractionFailed(
                "server_error", "The process that cuts texts into chunks has died."
            ) from None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)


def _begin() -> None:
    """In a worker: leave Ctrl-C and the processor to the server, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)
