"""Time, passed in, so that a test can hold it still."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Unix seconds, as every timestamp of the API is counted."""
        ...

    def now_ns(self) -> int:
        """Unix nanoseconds, for spans, which are told finer than the API counts."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations and deadlines."""
        ...


class SystemClock:
    def now(self) -> int:
        return int(time.time())

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class FollowingClock:
    """Another's time, such as the database's: all who follow it agree, however wrong their own is.

    Between two looks it goes on with this machine's steady clock, which nobody sets.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead: float | None = None

    def hear(self, theirs: float, *, asked_at: float) -> None:
        """Learn what the time was, half-way between the question and now."""
        self._ahead = theirs - (asked_at + self._own.monotonic()) / 2

    def now(self) -> int:
        if self._ahead is None:
            return self._own.now()
        return int(self._own.monotonic() + self._ahead)

    def now_ns(self) -> int:
        if self._ahead is None:
            return self._own.now_ns()
        return int((self._own.monotonic() + self._ahead) * 1_000_000_000)

    def monotonic(self) -> float:
        return self._own.monotonic()
