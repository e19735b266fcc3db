"""How processes wake each other. A bell may be lost: whoever waits for one looks again in a while.

What is told names runs and never holds what they say.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from locum import logs
from locum.store.notices import Notices

# There is work; a run has written events; its driver shall stop it; its thread is gone.
Topic = Literal["work", "news", "stop", "gone"]


class Bell(Struct, frozen=True, array_like=True):
    topic: Topic
    # Project, thread and run, where it is about one.
    key: tuple[str, str, str] = ("", "", "")
    # Why a run shall stop, and who asks.
    reason: Literal["cancelled", "expired"] = "cancelled"
    asker: str = ""


class Bells(Protocol):
    def ring(self, bell: Bell) -> None:
        """Tell all other processes. It never waits, and never fails."""
        ...

    async def start(self, heard: Callable[[Bell], None], missed: Callable[[], None]) -> None:
        """Hear what others ring. `missed` is called when something may not have been heard."""
        ...

    async def close(self) -> None: ...


class NoOthers:
    """The bells of a process that has its database to itself."""

    def ring(self, bell: Bell) -> None:
        """Nobody is there to hear it."""

    async def start(self, heard: Callable[[Bell], None], missed: Callable[[], None]) -> None:
        """Nobody rings."""

    async def close(self) -> None:
        """Nothing is held."""


class DatabaseBells:
    """Bells over the notices of the database that all processes share."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._decoder = msgspec.json.Decoder(Bell)

    def ring(self, bell: Bell) -> None:
        self._notices.post(msgspec.json.encode(bell).decode())

    async def start(self, heard: Callable[[Bell], None], missed: Callable[[], None]) -> None:
        def read(notice: str) -> None:
            try:
                bell = self._decoder.decode(notice)
            except msgspec.DecodeError:
                # Another version, in the middle of an upgrade; what it means is found by looking.
                logs.info("bells.not_understood")
                missed()
            else:
                heard(bell)

        await self._notices.start(read, missed)

    async def close(self) -> None:
        await self._notices.close()
