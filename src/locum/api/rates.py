"""How many requests a project may make a minute. Counted in this process alone."""

from typing import Final

from msgspec import Struct

from locum.api.http import Headers
from locum.clock import Clock
from locum.errors import RateLimited

_MINUTE_S: Final = 60.0
_MOST_REMEMBERED: Final = 4_096
_SLOW_DOWN: Final = "You've exceeded the rate limit, please slow down and try again later."


class _Bucket(Struct):
    """What is left of a project's allowance, as it was at that time."""

    left: float
    at: float


class Rates:
    """A bucket of so many requests for each project, filled anew within a minute."""

    def __init__(self, per_minute: int | None, clock: Clock) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, project_id: str) -> Headers:
        """Take one request; the headers that tell what is left. Raises when nothing is."""
        if self._per_minute is None:
            return []
        per_s = self._per_minute / _MINUTE_S
        bucket = self._filled(project_id, per_s)
        if bucket.left < 1:
            raise RateLimited(_SLOW_DOWN, limit="requests", retry_after_s=(1 - bucket.left) / per_s)
        bucket.left -= 1
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self._per_minute),
            (b"x-ratelimit-remaining-requests", b"%d" % bucket.left),
            (b"x-ratelimit-reset-requests", b"%.3fs" % ((self._per_minute - bucket.left) / per_s)),
        ]

    def _filled(self, project_id: str, per_s: float) -> _Bucket:
        now = self._clock.monotonic()
        full = float(self._per_minute or 0)
        bucket = self._buckets.get(project_id)
        if bucket is None:
            if len(self._buckets) >= _MOST_REMEMBERED:
                self._forget_full(now, per_s)
            bucket = self._buckets[project_id] = _Bucket(full, now)
        bucket.left = min(full, bucket.left + (now - bucket.at) * per_s)
        bucket.at = now
        return bucket

    def _forget_full(self, now: float, per_s: float) -> None:
        """A bucket that is full again is as good as a new one; projects are all known to us."""
        full = float(self._per_minute or 0)
        self._buckets = {
            project_id: bucket
            for project_id, bucket in self._buckets.items()
            if bucket.left + (now - bucket.at) * per_s < full
        }
