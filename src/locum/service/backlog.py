"""How many runs of a project may wait to be begun; beyond that, clients are asked to come later."""

from typing import Final

from msgspec import Struct

from locum.clock import Clock
from locum.errors import RateLimited
from locum.store.tables import Store

# The database is asked this often at most; in between, what this process adds is counted on.
_LOOK_EVERY_S: Final = 1.0
# … and before anybody is refused, so that a queue that moved is noticed.
_LOOK_AGAIN_S: Final = 0.05
_RETRY_AFTER_S: Final = 2.0
_MOST_REMEMBERED: Final = 4_096


class _Count(Struct):
    runs: int
    at: float


class Backlog:
    """An estimate that other processes may exceed by what they create within a second."""

    def __init__(self, store: Store, clock: Clock, *, most: int) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._counts: dict[str, _Count] = {}

    async def admit(self, project_id: str) -> None:
        """Count one more run in, or raise."""
        count = self._counts.get(project_id)
        if count is None or self._is_stale(count):
            count = await self._look(project_id)
        if count.runs >= self._most:
            raise RateLimited(
                f"This project has {self._most} runs that wait to be begun, which is as many as it"
                " may have. Try again when some of them have.",
                limit="queued_runs",
                retry_after_s=_RETRY_AFTER_S,
            )
        count.runs += 1

    def _is_stale(self, count: _Count) -> bool:
        fresh_s = _LOOK_EVERY_S if count.runs < self._most else _LOOK_AGAIN_S
        return self._clock.monotonic() - count.at >= fresh_s

    async def _look(self, project_id: str) -> _Count:
        if len(self._counts) >= _MOST_REMEMBERED:
            self._counts.clear()
        now = self._clock.now()
        runs = await self._store.runs.queued(project_id, now=now, most=self._most)
        count = self._counts[project_id] = _Count(runs, self._clock.monotonic())
        return count
