"""What a process does again and again beside serving, for as long as it lives."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from locum import logs


class Chore(ABC):
    every_s: ClassVar[float]
    # What the log calls a time at which it did not work out.
    failed: ClassVar[str]

    _task: asyncio.Task[None] | None = None

    @abstractmethod
    async def once(self) -> None: ...

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _for_ever(self) -> None:
        while True:
            try:
                await self.once()
            except Exception as failure:  # noqa: BLE001  # the next time may go better
                logs.error(self.failed, failure=failure)
            await asyncio.sleep(self.every_s)
