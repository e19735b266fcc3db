"""Keeps the house tidy while it serves: what has expired goes, what nobody holds goes.

Of the processes that share a house one does each round, whichever comes first.
"""

from locum import logs
from locum.chores import Chore
from locum.service.scope import House
from locum.service.sweep import sweep_expired, sweep_orphans

_ROUND_S = 60
_ORPHANS_S = 3600
# Rounds of one process are never quite a minute apart.
_SLACK_S = 5


class Upkeep(Chore):
    every_s = _ROUND_S
    failed = "upkeep.failed"

    def __init__(self, house: House) -> None:
        self._house = house

    async def once(self) -> None:
        if await self._is_due("upkeep", _ROUND_S):
            await self.round(orphans=await self._is_due("orphans", _ORPHANS_S))

    async def round(self, *, orphans: bool) -> None:
        """One round of everything; each part stands for itself."""
        house = self._house
        expired = await sweep_expired(house)
        before = house.clock.now() - house.settings.journal_life_s
        async with house.store.transaction() as tx:
            events = await house.store.events.prune(tx, before=before)
        blobs = await sweep_orphans(house) if orphans else 0
        if expired or events or blobs:
            logs.info("upkeep", expired=expired, events=events, blobs=blobs)

    async def _is_due(self, duty: str, every_s: int) -> bool:
        return await self._house.store.processes.take_duty(
            duty, now=self._house.clock.now(), every_s=every_s - _SLACK_S
        )
