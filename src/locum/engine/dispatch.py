"""The runs that this process drives: so many at once, taken from the queue as there is room.

The queue is the rows of the runs, so nothing is lost with this object. What was created here is
driven here when there is room; the rest is claimed, whoever created it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from locum import logs
from locum.engine.journal import Key
from locum.store.runs import RunRecord

_LOOK_EVERY_S = 1.0
_CLAIMED_TOGETHER = 32

Drive = Callable[[RunRecord], Awaitable[None]]
Claim = Callable[[int], Awaitable[list[RunRecord]]]


class Dispatch:
    def __init__(self, drive: Drive, claim: Claim, *, at_once: int) -> None:
        self._drive = drive
        self._claim = claim
        self._at_once = at_once
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        # Claimed by us, and not begun: no room, or their last driver has not quite let go.
        self._waiting: dict[Key, RunRecord] = {}
        self._bell = asyncio.Event()
        # Whether the queue may hold more than there was room for.
        self._more = False
        self._closed = False
        self._claiming: asyncio.Task[None] | None = None

    @property
    def room(self) -> int:
        taken = len(self._tasks) + len(self._waiting)
        return 0 if self._closed else max(0, self._at_once - taken)

    @property
    def driving(self) -> int:
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def has(self, key: Key) -> bool:
        return key in self._tasks or key in self._waiting

    def start(self) -> None:
        """Take from the queue from now on."""
        self._claiming = asyncio.get_running_loop().create_task(self._keep_claiming())

    def look(self) -> None:
        """There may be something in the queue."""
        self._bell.set()

    def take_up(self, record: RunRecord) -> None:
        """Drive a run that has been claimed for this process."""
        key = record.key
        if key in self._tasks or len(self._tasks) >= self._at_once:
            self._waiting[key] = record
        else:
            self._begin(key, record)

    async def claim_now(self) -> None:
        """Fill the room there is from the queue."""
        while (most := min(self.room, _CLAIMED_TOGETHER)) > 0:
            claimed = await self._claim(most)
            for record in claimed:
                self.take_up(record)
            if len(claimed) < most:
                self._more = False
                return
        self._more = True

    async def driven(
        self, key: Key, *, timeout_s: float, or_else: "asyncio.Future[Any] | None" = None
    ) -> None:
        """Wait until nobody here drives the run any more, or until something else has happened."""
        waiting = [task for task in (self._tasks.get(key), or_else) if task is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    async def drop(self, key: Key) -> None:
        """Stop driving a run that is no longer there, or no longer ours."""
        self._waiting.pop(key, None)
        task = self._tasks.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def abandon(self) -> None:
        """Let everything go at once, without a word: it may be another's already."""
        self._waiting.clear()
        for task in self._tasks.values():
            task.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Take nothing more, and let what is being driven come to its end."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_s)

    async def close(self) -> list[RunRecord]:
        """Stop; what had been claimed and was not begun is given back to the caller."""
        self._closed = True
        left = list(self._waiting.values())
        self._waiting.clear()
        tasks = list(self._tasks.values())
        if self._claiming is not None:
            tasks.append(self._claiming)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        return left

    # --------------------------------------------------------------------- private

    def _begin(self, key: Key, record: RunRecord) -> None:
        task = asyncio.get_running_loop().create_task(self._one(record), name=f"run {key[2]}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._done(key))

    async def _one(self, record: RunRecord) -> None:
        await self._drive(record)

    def _done(self, key: Key) -> None:
        del self._tasks[key]
        following = key if key in self._waiting else next(iter(self._waiting), None)
        if following is not None and following not in self._tasks:
            self._begin(following, self._waiting.pop(following))
        # Together, where there are many: a look for each would cost as much as the run.
        elif self._more and self.room >= max(1, self._at_once // _CLAIMED_TOGETHER):
            self._bell.set()

    async def _keep_claiming(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._bell.wait()
            self._bell.clear()
            try:
                await self.claim_now()
            except Exception as failure:  # noqa: BLE001  # the next look may fare better
                logs.error("dispatch.not_claimed", failure=failure)
                await asyncio.sleep(_LOOK_EVERY_S)
