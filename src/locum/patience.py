"""How long to wait for somebody who speaks often: one timer for all the waits of a stream.

Nearly every wait ends long before its time. A timer for each would be made and cancelled a
thousand times over, and the loop would sort them all meanwhile. So one timer stays, and when it
goes off it looks whether the wait it finds has lasted too long.
"""

import asyncio
from collections.abc import Callable


class Patience:
    """Calls `run_out` when a wait lasts too long; a wait that has ended is none any more."""

    def __init__(self, run_out: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._run_out: Callable[[], object] | None = run_out
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        self._until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._until:
            self._look_at(self._until)

    def end(self) -> None:
        self._until = None

    def close(self) -> None:
        self.end()
        # Whoever waits is let go with it: he holds this, too.
        self._run_out = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._until is None or self._run_out is None:
            return
        if self._loop.time() < self._until:
            self._look_at(self._until)
        else:
            self._until = None
            self._run_out()
