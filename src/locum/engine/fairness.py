"""Room for so many runs at a time, given out so that no project waits behind another's queue."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_Waiter = asyncio.Future[None]


class FairRoom:
    """Few places, for whole projects that want many.

    Whoever waits, waits in the line of his project, and the lines take turns: one run of each,
    then the next of each. A project has so many places at most.
    """

    def __init__(self, places: int, *, for_each: int | None = None) -> None:
        self._free = places
        self._for_each = places if for_each is None else min(for_each, places)
        self._taken: dict[str, int] = {}
        # The line whose turn is next stands first.
        self._lines: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._lines.values())

    @asynccontextmanager
    async def place(self, project_id: str) -> AsyncIterator[None]:
        await self._enter(project_id)
        try:
            yield
        finally:
            self._leave(project_id)

    async def _enter(self, project_id: str) -> None:
        if self._free and project_id not in self._lines and self._may_have_more(project_id):
            self._take(project_id)
            return
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._lines.setdefault(project_id, deque()).append(waiter)
        try:
            # Shielded: a waiter in a line is never one that has been cancelled already.
            await asyncio.shield(waiter)
        except asyncio.CancelledError:
            if waiter.done():
                # The place came in the same moment as the wish to go.
                self._leave(project_id)
            else:
                self._give_up(project_id, waiter)
            raise

    def _leave(self, project_id: str) -> None:
        self._free += 1
        self._taken[project_id] -= 1
        if not self._taken[project_id]:
            del self._taken[project_id]
        self._admit_next()

    def _admit_next(self) -> None:
        """Give free places to the first lines that may have one; a line that had goes last."""
        for project_id in list(self._lines):
            if not self._free:
                return
            if not self._may_have_more(project_id):
                continue
            line = self._lines.pop(project_id)
            waiter = line.popleft()
            if line:
                self._lines[project_id] = line
            self._take(project_id)
            waiter.set_result(None)

    def _give_up(self, project_id: str, waiter: _Waiter) -> None:
        line = self._lines[project_id]
        line.remove(waiter)
        if not line:
            del self._lines[project_id]

    def _may_have_more(self, project_id: str) -> bool:
        return self._taken.get(project_id, 0) < self._for_each

    def _take(self, project_id: str) -> None:
        self._free -= 1
        self._taken[project_id] = self._taken.get(project_id, 0) + 1
