"""The database's time: those who share it agree, however wrong the clocks of their machines are."""

import asyncio

from locum import logs
from locum.clock import Clock, FollowingClock
from locum.errors import LocumError
from locum.store.postgres import PostgresDatabase

_ASK_EVERY_S = 10.0
_ASK_S = 5.0
# An answer that took longer says little about the moment.
_FRESH_S = 0.5


class DatabaseClock(FollowingClock):
    def __init__(self, database: PostgresDatabase, own: Clock) -> None:
        super().__init__(own)
        self._database = database
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        asked_at = self.monotonic()
        self.hear(await self._database.time(), asked_at=asked_at)
        self._asking = asyncio.get_running_loop().create_task(self._keep_asking())

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(_ASK_EVERY_S)
            asked_at = self.monotonic()
            try:
                async with asyncio.timeout(_ASK_S):
                    theirs = await self._database.time()
            except (LocumError, TimeoutError) as error:
                logs.info("clock.not_asked", reason=type(error).__name__)
                continue
            if self.monotonic() - asked_at < _FRESH_S:
                self.hear(theirs, asked_at=asked_at)
