"""A sandbox that is built when code first wants to run; a server without code pays nothing."""

import asyncio
from collections.abc import Collection
from typing import ClassVar

from locum.clock import Clock
from locum.tools.code_interpreter.choose import Tier, build_sandbox
from locum.tools.code_interpreter.notes import Notes
from locum.tools.code_interpreter.sandbox import (
    Kept,
    Owner,
    Sandbox,
    SandboxUnavailable,
    Session,
)
from locum.tools.code_interpreter.sessions import SandboxSettings


class SandboxOnDemand:
    tier: ClassVar[str] = "on demand"

    def __init__(self, settings: SandboxSettings, *, tier: Tier, clock: Clock) -> None:
        self._settings = settings
        self._tier: Tier = tier
        self._clock = clock
        self._building = asyncio.Lock()
        self._notes = Notes(settings.directory)
        self._built: Sandbox | None = None
        self._refusal: SandboxUnavailable | None = None

    @property
    def live(self) -> int:
        return 0 if self._built is None else self._built.live

    async def session(self, key: str, owner: Owner) -> Session:
        return await (await self._sandbox()).session(key, owner)

    async def forget(self, key: str) -> None:
        """End a session and delete its files; those of an earlier server run lie there too."""
        if self._built is not None:
            await self._built.forget(key)
        else:
            await asyncio.to_thread(self._notes.remove, key)

    async def kept(self) -> dict[str, Kept | None]:
        if self._built is not None:
            return await self._built.kept()
        return await asyncio.to_thread(self._notes.kept)

    async def keep_only(self, key: str, of: Collection[str]) -> None:
        if self._built is not None:
            await self._built.keep_only(key, of)
        else:
            await asyncio.to_thread(self._notes.keep_only, key, of)

    async def check(self) -> str:
        return await (await self._sandbox()).check()

    async def close(self) -> None:
        if self._built is not None:
            await self._built.close()

    async def _sandbox(self) -> Sandbox:
        async with self._building:
            if self._refusal is not None:
                # The machine does not change while we run: the same words at once.
                raise SandboxUnavailable(str(self._refusal))
            if self._built is None:
                try:
                    self._built = await build_sandbox(
                        self._settings, tier=self._tier, clock=self._clock
                    )
                except SandboxUnavailable as refusal:
                    self._refusal = refusal
                    raise
            return self._built
