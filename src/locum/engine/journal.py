"""The live side of the journals: who listens to a run in this process, and what is not yet written.

A listener is told what the database holds after his place, and then what happens. He starts to
listen before he reads, so nothing falls between the two; numbers drop what he would see twice, and
show what he was not told: a run that another process drives is read on from the database.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from typing import NamedTuple, TypeVar

from locum import logs
from locum.engine.bells import Bell, Bells, NoOthers
from locum.engine.states import TERMINAL
from locum.errors import Unavailable
from locum.patience import Patience
from locum.store.events import Event
from locum.store.runs import RunState
from locum.store.tables import Store

# A listener this far behind is cut off; he can come back with the number he last saw.
_BACKLOG = 8_192
_REPLAY = 500
# A stream outlives so many looks at a database that cannot be reached.
_MOST_FAILURES = 30
_AFTER_FAILURE_S = 1.0

_ENDS = frozenset(f"thread.run.{status}" for status in TERMINAL)
_PAUSE = "thread.run.requires_action"
T = TypeVar("T")


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

    def is_before(self, event: Event) -> bool:
        return event.number > self.number or event.life > self.life

    def is_just_before(self, event: Event) -> bool:
        return event.number == self.number + 1 and event.life == self.life


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
    def __init__(
        self, store: Store, *, bells: Bells | None = None, look_every_s: float | None = None
    ) -> None:
        self._store = store
        self._bells = bells or NoOthers()
        # Where others drive runs, a listener looks for himself now and then.
        self._look_every_s = look_every_s
        self._here: set[Key] = set()
        self._unwritten: dict[Key, list[Event]] = {}
        self._listeners: dict[Key, set[_Listener]] = defaultdict(set)

    # ------------------------------------------------------------- what drivers tell

    @contextmanager
    def told_here(self, key: Key) -> Iterator[None]:
        """While this process drives a run, its events are told and need not be looked for."""
        self._here.add(key)
        try:
            yield
        finally:
            self._here.discard(key)
            self._unwritten.pop(key, None)
            if self._look_every_s is not None:
                # Another may go on with it; whoever listens must look for himself from now on.
                self.look(key)

    def tell(self, key: Key, event: Event, *, written: bool) -> None:
        """Hand an event to everybody who listens; keep it for newcomers until it is written."""
        if not written:
            self._unwritten.setdefault(key, []).append(event)
        for listener in self._listeners.get(key, ()):
            listener.hear(event)

    def written(self, key: Key, upto: int) -> None:
        """What was told up to a number can be read, here and everywhere else."""
        waiting = self._unwritten.pop(key, [])
        if later := [event for event in waiting if event.number > upto]:
            self._unwritten[key] = later
        self._bells.ring(Bell("news", key))

    def gone(self, key: Key) -> None:
        self._unwritten.pop(key, None)
        for listener in self._listeners.get(key, ()):
            listener.end(RunGone())

    # -------------------------------------------------------- what others have written

    def look(self, key: Key) -> None:
        """Another process has news of a run."""
        for listener in self._listeners.get(key, ()):
            listener.look()

    def look_at_all(self) -> None:
        for key in tuple(self._listeners):
            self.look(key)

    @contextmanager
    def watching(self, key: Key) -> Iterator["_Listener"]:
        """Hear that something happens to a run, whatever it is."""
        listener = _Listener()
        self._listeners[key].add(listener)
        try:
            yield listener
        finally:
            listener.close()
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]

    # ------------------------------------------------------------- what listeners hear

    def is_heard(self, key: Key) -> bool:
        """Whether somebody may listen to a run, here or behind another process."""
        return self._look_every_s is not None or key in self._listeners

    async def follow(
        self, key: Key, after: Place, *, silence_s: float | None = None
    ) -> AsyncGenerator[Event | None, None]:
        """Every event after a place, until the run has ended or waits for its client.

        None tells that nothing has happened for so long; without a number nothing does.
        """
        with self.watching(key) as listener:
            listener.catch_up(self._unwritten.get(key, ()))
            async with aclosing(self._events(key, after, listener, silence_s)) as events:
                async for event in events:
                    yield event
                    if event is not None and event.name in _ENDS:
                        return

    async def _events(
        self, key: Key, after: Place, listener: "_Listener", silence_s: float | None
    ) -> AsyncGenerator[Event | None, None]:
        place = after
        # Asked before the journal is read: a run that is over has nothing more to say after it.
        over = await self._is_over(key)
        while replayed := await self._read(key, place):
            for event in replayed:
                place = Place(event.life, event.number)
                # A run that was answered meanwhile goes on after all.
                over = event.name in _ENDS or event.name == _PAUSE
                yield event
            if len(replayed) < _REPLAY:
                break  # What is written from now on is heard.
        quiet_s = 0.0
        paused = False
        while not over:
            if paused and listener.idle and not await self._read(key, place):
                return
            patience_s = self._patience(key, silence_s, quiet_s)
            heard = await listener.next(patience_s)
            before = place
            if not isinstance(heard, Event) or not place.is_just_before(heard):
                # Somebody else writes: his events are read, not told.
                if isinstance(heard, Event) and not place.is_before(heard):
                    continue
                async with aclosing(self._new(key, place)) as news:
                    async for event in news:
                        place, paused = Place(event.life, event.number), event.name == _PAUSE
                        yield event
            if isinstance(heard, Event) and place.is_before(heard):
                place, paused = Place(heard.life, heard.number), heard.name == _PAUSE
                yield heard
            if place != before:
                quiet_s = 0.0
            elif heard is None:
                quiet_s += patience_s or 0.0
                if silence_s is not None and quiet_s >= silence_s:
                    quiet_s = 0.0
                    yield None

    def _patience(self, key: Key, silence_s: float | None, quiet_s: float) -> float | None:
        """How long to wait before looking, or before telling that nothing has happened."""
        ends = [] if silence_s is None else [max(0.0, silence_s - quiet_s)]
        if self._look_every_s is not None and key not in self._here:
            ends.append(self._look_every_s)
        return min(ends, default=None)

    async def _new(self, key: Key, place: Place) -> AsyncGenerator[Event, None]:
        """What the database has beyond a place."""
        while True:
            found = await self._read(key, place)
            if not found and await self._state(key) is None:
                raise RunGone
            for event in found:
                place = Place(event.life, event.number)
                yield event
            if len(found) < _REPLAY:
                return

    async def _is_over(self, key: Key) -> bool:
        state = await self._state(key)
        if state is None:
            raise RunGone
        return state[0] in TERMINAL or state[0] == "requires_action"

    async def _state(self, key: Key) -> RunState | None:
        return await _patiently(lambda: self._store.runs.state(*key))

    async def _read(self, key: Key, place: Place) -> list[Event]:
        project_id, _, run_id = key
        return await _patiently(
            lambda: self._store.events.after(
                project_id, run_id, number=place.number, life=place.life, limit=_REPLAY
            )
        )


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What the database says, though it may be away for a while."""
    failures = 0
    while True:
        try:
            return await read()
        except Unavailable:
            failures += 1
            if failures >= _MOST_FAILURES:
                raise
            logs.info("journal.not_read", failures=failures)
            await asyncio.sleep(_AFTER_FAILURE_S)


class _Look:
    """Told in the place of an event: another process has written some."""


_LOOK = _Look()
_Heard = Event | _Look | Exception


class _Listener:
    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._patience = Patience(self._wake)
        self._ended = False
        self._looking = False

    @property
    def idle(self) -> bool:
        """Whether no event is left to be heard. To look is left to whoever asks."""
        return len(self._heard) <= self._looking

    def catch_up(self, unwritten: Iterable[Event]) -> None:
        """Hear first what was told and cannot be read yet."""
        self._heard.extend(unwritten)

    def hear(self, event: Event) -> None:
        if len(self._heard) >= _BACKLOG:
            self.end(TooSlow())
        if not self._ended:
            self._put(event)

    def look(self) -> None:
        """Once is enough, however often there was news."""
        if not self._looking and not self._ended:
            self._looking = True
            self._put(_LOOK)

    def end(self, reason: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._put(reason)

    async def next(self, patience_s: float | None) -> Event | _Look | None:
        if not self._heard:
            await self._wait(patience_s)
        heard = self._heard.popleft() if self._heard else None
        if isinstance(heard, Exception):
            raise heard
        if heard is _LOOK:
            self._looking = False
        return heard

    def close(self) -> None:
        self._patience.close()

    def _put(self, heard: _Heard) -> None:
        self._heard.append(heard)
        self._wake()

    async def _wait(self, patience_s: float | None) -> None:
        """Until something is heard, or for so long."""
        self._waiter = asyncio.get_running_loop().create_future()
        if patience_s is not None:
            self._patience.begin(patience_s)
        try:
            await self._waiter
        finally:
            self._patience.end()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
