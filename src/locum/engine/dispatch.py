"""Who drives which run. Embedded: tasks of this process, so many at a time, projects in turn."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from locum.engine.fairness import FairRoom
from locum.engine.journal import Key


class Dispatch(Protocol):
    def offer(self, key: Key) -> None:
        """Have the run driven, by whoever can; one that is driven now is looked at again after."""
        ...

    async def driven(
        self, key: Key, *, timeout_s: float, or_else: "asyncio.Future[Any] | None" = None
    ) -> None:
        """Wait until nobody drives the run any more, or until something else has happened."""
        ...

    async def drop(self, key: Key) -> None:
        """Stop driving a run that is no longer there."""
        ...

    @property
    def waiting(self) -> int:
        """How many runs wait here for room."""
        ...

    async def close(self) -> None: ...


class LocalDispatch:
    def __init__(
        self,
        drive: Callable[[Key], Awaitable[None]],
        *,
        at_once: int,
        for_each: int | None = None,
    ) -> None:
        self._drive = drive
        self._room = FairRoom(at_once, for_each=for_each)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        # Offered while their driver was about to let go of them.
        self._again: set[Key] = set()

    @property
    def waiting(self) -> int:
        return self._room.waiting

    def offer(self, key: Key) -> None:
        if key in self._tasks:
            self._again.add(key)
            return
        task = asyncio.get_running_loop().create_task(self._one(key), name=f"run {key[2]}")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._done(key, done))

    async def driven(
        self, key: Key, *, timeout_s: float, or_else: "asyncio.Future[Any] | None" = None
    ) -> None:
        waiting = [task for task in (self._tasks.get(key), or_else) if task is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    async def drop(self, key: Key) -> None:
        task = self._tasks.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _done(self, key: Key, task: "asyncio.Task[None]") -> None:
        del self._tasks[key]
        again = key in self._again
        self._again.discard(key)
        if again and not task.cancelled():
            self.offer(key)

    async def _one(self, key: Key) -> None:
        project_id, _, _ = key
        async with self._room.place(project_id):
            await self._drive(key)
