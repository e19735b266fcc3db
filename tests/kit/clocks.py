"""A clock that stands still until a test moves it."""

import time


class SteppedClock:
    """Everything happens within one second, as far as the server can tell."""

    def __init__(self, now: int = 1_761_861_537) -> None:
        self._now = now
        self._elapsed = 0.0

    def now(self) -> int:
        return self._now + int(self._elapsed)

    def now_ns(self) -> int:
        return self.now() * 1_000_000_000

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds


class LeapingClock(SteppedClock):
    """Its date stands still and leaps, while time goes by: for processes that must seem alive."""

    def monotonic(self) -> float:
        return time.monotonic()
