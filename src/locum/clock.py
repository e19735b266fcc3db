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
