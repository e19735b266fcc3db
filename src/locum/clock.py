"""Time, passed in, so that a test can hold it still."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Unix seconds, as every timestamp of the API is counted."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations and deadlines."""
        ...


class SystemClock:
    def now(self) -> int:
        return int(time.time())

    def monotonic(self) -> float:
        return time.monotonic()
