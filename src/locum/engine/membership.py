"""One process among those that share a database: its name, and whether it still counts.

It says every two seconds that it lives. One that has not been able to say so for as long as others
believe it is as good as dead: it lets go of everything at once, and comes back under another name.
"""

import asyncio
import secrets
from collections.abc import Callable

from msgspec import Struct

from locum import logs
from locum.clock import Clock
from locum.errors import LocumError
from locum.store.database import AlreadyExists
from locum.store.processes import Process, ProcessTable

_LEASE_S = 6
# Time is told in whole seconds: another may see the end of it a second earlier.
_SAFE_S = _LEASE_S - 1.0
_BEAT_EVERY_S = 2.0
_BEAT_S = 2.0
_AGAIN_S = 0.25
_FOR_EVER = 2**52


class Identity(Struct, frozen=True):
    """Who a process says that it is."""

    host: str = "localhost"
    pid: int = 0
    roles: str = "web,worker"
    version: str = ""
    room: int = 0


class Membership:
    def __init__(
        self, table: ProcessTable, clock: Clock, *, identity: Identity, alone: bool
    ) -> None:
        self._table = table
        self._clock = clock
        self._identity = identity
        self._alone = alone
        self._good_until = 0.0
        self._joined = False
        self._beating: asyncio.Task[None] | None = None
        self.name = self._new_name()

    @property
    def counts(self) -> bool:
        """Whether what this process holds is still its own, as far as others can tell."""
        return self._joined and (self._alone or self._clock.monotonic() < self._good_until)

    async def join(self) -> None:
        # What it held under its last name is free as soon as it has another.
        name = self._new_name()
        asked, now = self._clock.monotonic(), self._clock.now()
        process = Process(
            name=name,
            host=self._identity.host,
            pid=self._identity.pid,
            roles=self._identity.roles,
            version=self._identity.version,
            started_at=now,
            alive_until=_FOR_EVER if self._alone else now + _LEASE_S,
            room=self._identity.room,
        )
        await self._table.join(process, before=self.name, alone=self._alone)
        self.name = name
        self._joined, self._good_until = True, asked + _SAFE_S

    def start(self, *, driving: Callable[[], int], lapsed: Callable[[], None]) -> None:
        """Keep alive. `lapsed` is called when everything that was held may be another's."""
        if not self._alone:
            keeping = self._keep(driving, lapsed)
            self._beating = asyncio.get_running_loop().create_task(keeping)

    async def leave(self) -> None:
        """Say that one is gone, for others to see at once."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        if self._joined:
            self._joined = False
            try:
                async with asyncio.timeout(_BEAT_S):
                    await self._table.leave(self.name)
            except (LocumError, TimeoutError) as error:
                # They will find out by its silence.
                logs.info("process.left_in_silence", reason=type(error).__name__)

    # --------------------------------------------------------------------- private

    async def _keep(self, driving: Callable[[], int], lapsed: Callable[[], None]) -> None:
        beaten = True
        while True:
            await asyncio.sleep(_BEAT_EVERY_S if beaten else _AGAIN_S)
            if self._joined and not self.counts:
                self._lapse(lapsed)
            try:
                async with asyncio.timeout(self._patience()):
                    beaten = await self._beat(driving())
                    if not beaten:
                        if self._joined:
                            self._lapse(lapsed)
                        await self.join()
            except (LocumError, AlreadyExists, TimeoutError) as error:
                beaten = False
                logs.warning("process.not_heard", reason=type(error).__name__)

    async def _beat(self, driving: int) -> bool:
        if not self._joined:
            return False
        asked, now = self._clock.monotonic(), self._clock.now()
        alive = await self._table.beat(self.name, until=now + _LEASE_S, driving=driving)
        if alive:
            self._good_until = asked + _SAFE_S
        return alive

    def _patience(self) -> float:
        """No beat is waited for beyond the moment when it comes too late."""
        if not self.counts:
            return _BEAT_S
        return min(_BEAT_S, max(_AGAIN_S, self._good_until - self._clock.monotonic()))

    def _lapse(self, lapsed: Callable[[], None]) -> None:
        self._joined = False
        logs.warning("process.lapsed", process=self.name)
        lapsed()

    def _new_name(self) -> str:
        return f"{self._identity.host}-{self._identity.pid}-{secrets.token_hex(4)}"
