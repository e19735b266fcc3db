"""One timer for many waits: who waits too long is told in time, and nobody else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from locum.patience import Patience


class _SteppedLoop(asyncio.SelectorEventLoop):
    """Its time goes on when a test says so; it counts the timers that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.timers = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, *words: Any, **more: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(when, *words, **more)

    async def pass_until(self, now: float) -> None:
        self.now = now
        # Timers that are due are found in the first turn, and called in it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _in_time(scene: Callable[[_SteppedLoop, Patience, list[float]], Awaitable[None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _SteppedLoop)
        ends: list[float] = []
        patience = Patience(lambda: ends.append(loop.now))
        await scene(loop, patience, ends)
        patience.close()

    with asyncio.Runner(loop_factory=_SteppedLoop) as runner:
        runner.run(run())


def test_a_wait_that_lasts_too_long_runs_out_once() -> None:
    async def scene(loop: _SteppedLoop, patience: Patience, ends: list[float]) -> None:
        patience.begin(10)
        await loop.pass_until(9)
        assert ends == []
        await loop.pass_until(11)
        await loop.pass_until(99)
        assert ends == [11]
        patience.begin(1)
        await loop.pass_until(101)
        assert ends == [11, 101]

    _in_time(scene)


def test_a_wait_that_has_ended_does_not_run_out() -> None:
    async def scene(loop: _SteppedLoop, patience: Patience, ends: list[float]) -> None:
        patience.begin(10)
        patience.end()
        await loop.pass_until(11)
        patience.begin(10)
        patience.close()
        await loop.pass_until(99)
        assert ends == []

    _in_time(scene)


def test_waits_that_follow_each_other_have_the_whole_time_each() -> None:
    async def scene(loop: _SteppedLoop, patience: Patience, ends: list[float]) -> None:
        for now in range(0, 1_000, 6):
            await loop.pass_until(now)
            patience.begin(10)
        await loop.pass_until(1_005)
        assert ends == []
        await loop.pass_until(1_007)
        assert ends == [1_007]

    _in_time(scene)


def test_many_waits_share_a_timer() -> None:
    async def scene(loop: _SteppedLoop, patience: Patience, ends: list[float]) -> None:
        for _ in range(1_000):
            patience.begin(30)
            patience.end()
            patience.begin(120)
        await loop.pass_until(29)
        assert (loop.timers, ends) == (1, [])

    _in_time(scene)


def test_a_shorter_wait_is_not_overslept() -> None:
    async def scene(loop: _SteppedLoop, patience: Patience, ends: list[float]) -> None:
        patience.begin(120)
        patience.end()
        patience.begin(1)
        await loop.pass_until(2)
        assert ends == [2]

    _in_time(scene)
