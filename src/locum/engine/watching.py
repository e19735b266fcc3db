"""Who is told of each state that a run comes into, after it is durable: counts, not control."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from locum.clock import Clock
from locum.engine.states import TERMINAL
from locum.metrics import Metrics
from locum.wire.runs import Run

# What the run was, None for a new one, and what it is.
Watch = Callable[[Run | None, Run], None]

# Of runs that are driven elsewhere this process never hears the end.
_MOST_REMEMBERED: Final = 20_000


def nobody_watches(_: Run | None, __: Run) -> None:
    """For an engine that stands alone."""


class RunMeter:
    """Counts the states of runs, and measures how long they took to come into them.

    What began in this process is measured to the microsecond; for the rest there are the whole
    seconds of the run itself.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._created: OrderedDict[str, float] = OrderedDict()
        self._queued: OrderedDict[str, float] = OrderedDict()

    def __call__(self, before: Run | None, run: Run) -> None:
        self._metrics.runs.states.labels(run.status).inc()
        if run.status == "queued":
            now = self._clock.monotonic()
            _remember(self._queued, run.id, now)
            if before is None:
                _remember(self._created, run.id, now)
        elif run.status == "in_progress":
            self._see_begun(before, run)
        elif run.status in TERMINAL:
            self._see_ended(run)

    def _see_begun(self, before: Run | None, run: Run) -> None:
        queued = self._queued.pop(run.id, None)
        if queued is not None:
            self._metrics.runs.queue_seconds.observe(self._clock.monotonic() - queued)
        elif before is not None and before.started_at is None:
            self._metrics.runs.queue_seconds.observe(max(0, self._clock.now() - run.created_at))

    def _see_ended(self, run: Run) -> None:
        self._queued.pop(run.id, None)
        created = self._created.pop(run.id, None)
        if created is not None:
            took_s = self._clock.monotonic() - created
        else:
            took_s = max(0, self._clock.now() - run.created_at)
        self._metrics.runs.seconds.labels(run.status).observe(took_s)


def _remember(when: OrderedDict[str, float], run_id: str, now: float) -> None:
    when[run_id] = now
    if len(when) > _MOST_REMEMBERED:
        when.popitem(last=False)
