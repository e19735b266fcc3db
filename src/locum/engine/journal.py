"""The live side of the journals: who listens to a run in this process, and what is not yet written.

A listener is told what the database holds after his place, and then what happens. He starts to
listen before he reads, so nothing falls between the two; numbers drop what he would see twice.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from locum.engine.states import TERMINAL
from locum.store.events import Event
from locum.store.tables import Store

# A listener this far behind is cut off; he can come back with the number he last saw.
_BACKLOG = 8_192
_REPLAY = 500

_ENDS = frozenset(f"thread.run.{status}" for status in TERMINAL)
_PAUSE = "thread.run.requires_action"


class Place(NamedTuple):
    """Where a listener is: the life and number of the last event he saw."""

    life: int = 0
    number: int = 0

    @classmethod
    def read(cls, text: str) -> "Place | None":
        life, dot, number = text.strip().rpartition(".")
        parts = (life if dot else "0", number)
        if not all(re.fullmatch(r"[0-9]{1,15}", part) for part in parts):
            return None
        return cls(int(parts[0]), int(parts[1]))


START = Place()


def place_of(event: Event) -> str:
    """The id of an event in a stream: its number, after a take-over with the life before it."""
    return f"{event.life}.{event.number}" if event.life else str(event.number)


class TooSlow(Exception):
    """The listener does not keep up with his run."""


class RunGone(Exception):
    """The run was deleted while somebody listened."""


Key = tuple[str, str, str]  # project, thread, run


class Journal:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._unwritten: dict[Key, list[Event]] = {}
        self._listeners: dict[Key, set[_Listener]] = defaultdict(set)

    def tell(self, key: Key, event: Event, *, written: bool) -> None:
        """Hand an event to everybody who listens; keep it for newcomers until it is written."""
        if not written:
            self._unwritten.setdefault(key, []).append(event)
        for listener in self._listeners.get(key, ()):
            listener.hear(event)

    def written(self, key: Key) -> None:
        self._unwritten.pop(key, None)

    def gone(self, key: Key) -> None:
        self._unwritten.pop(key, None)
        for listener in self._listeners.get(key, ()):
            listener.end(RunGone())

    async def follow(
        self, key: Key, after: Place, *, silence_s: float | None = None
    ) -> AsyncIterator[Event | None]:
        """Every event after a place, until the run has ended or waits for its client.

        None tells that nothing has happened for so long; without a number nothing does.
        """
        listener = _Listener(self._unwritten.get(key, ()))
        self._listeners[key].add(listener)
        try:
            place = after
            async for event in self._events(key, after, listener, silence_s):
                if event is None:
                    yield None
                    continue
                place = Place(event.life, event.number)
                yield event
                if event.name in _ENDS:
                    return
                if event.name == _PAUSE and listener.idle and not await self._read(key, place):
                    return
        finally:
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]

    async def _events(
        self, key: Key, after: Place, listener: "_Listener", silence_s: float | None
    ) -> AsyncIterator[Event | None]:
        place = after
        # Asked before the journal is read: a run that is over has nothing more to say after it.
        over = await self._is_over(key)
        while replayed := await self._read(key, place):
            for event in replayed:
                place = Place(event.life, event.number)
                # A run that was answered meanwhile goes on after all.
                over = event.name in _ENDS or event.name == _PAUSE
                yield event
        while not over:
            heard = await listener.next(silence_s)
            if heard is None:
                yield None
            elif heard.number > place.number or heard.life > place.life:
                place = Place(heard.life, heard.number)
                yield heard

    async def _is_over(self, key: Key) -> bool:
        state = await self._store.runs.state(*key)
        if state is None:
            raise RunGone
        return state[0] in TERMINAL or state[0] == "requires_action"

    async def _read(self, key: Key, place: Place) -> list[Event]:
        project_id, _, run_id = key
        return await self._store.events.after(
            project_id, run_id, number=place.number, life=place.life, limit=_REPLAY
        )


class _Listener:
    def __init__(self, unwritten: "list[Event] | tuple[()]") -> None:
        self._heard: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self._ended = False
        for event in unwritten:
            self._heard.put_nowait(event)

    @property
    def idle(self) -> bool:
        return self._heard.empty()

    def hear(self, event: Event) -> None:
        if self._heard.qsize() >= _BACKLOG:
            self.end(TooSlow())
        if not self._ended:
            self._heard.put_nowait(event)

    def end(self, reason: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._heard.put_nowait(reason)

    async def next(self, silence_s: float | None) -> Event | None:
        if self._heard.empty():
            try:
                async with asyncio.timeout(silence_s):
                    heard = await self._heard.get()
            except TimeoutError:
                return None
        else:
            heard = self._heard.get_nowait()
        if isinstance(heard, Exception):
            raise heard
        return heard
