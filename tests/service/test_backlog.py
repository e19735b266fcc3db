"""A project's queue is bounded, by an estimate that costs one look a second."""

import asyncio
from typing import Any

import pytest
from tests.kit.clocks import SteppedClock

from locum.errors import RateLimited
from locum.service.backlog import Backlog


class Queue:
    """A database that is asked how many runs wait."""

    def __init__(self) -> None:
        self.runs: Any = self
        self.waiting = 0
        self.looks = 0

    async def queued(self, _: str, *, now: int, most: int) -> int:
        assert now > 0
        self.looks += 1
        return min(self.waiting, most)


def _made(most: int) -> tuple[Backlog, Queue, SteppedClock]:
    queue, clock = Queue(), SteppedClock()
    return Backlog(queue, clock, most=most), queue, clock  # type: ignore[arg-type]  # what it asks


def test_what_is_added_between_two_looks_is_counted_here() -> None:
    async def check() -> None:
        backlog, queue, _ = _made(3)
        for _ in range(3):
            await backlog.admit("a")
        with pytest.raises(RateLimited) as refused:
            await backlog.admit("a")
        assert queue.looks == 1
        assert refused.value.limit == "queued_runs"
        assert 0 < refused.value.retry_after_s <= 120
        await backlog.admit("b")

    asyncio.run(check())


def test_a_queue_that_has_moved_is_noticed_before_anybody_is_refused() -> None:
    async def check() -> None:
        backlog, queue, clock = _made(3)
        for _ in range(3):
            await backlog.admit("a")
        clock.advance(0.1)
        await backlog.admit("a")
        assert queue.looks == 2

    asyncio.run(check())


def test_what_others_queue_is_seen_within_a_second() -> None:
    async def check() -> None:
        backlog, queue, clock = _made(3)
        await backlog.admit("a")
        queue.waiting = 3
        clock.advance(1.0)
        with pytest.raises(RateLimited):
            await backlog.admit("a")

    asyncio.run(check())


def test_projects_are_not_remembered_without_end() -> None:
    async def check() -> None:
        backlog, _, _ = _made(3)
        for number in range(10_000):
            await backlog.admit(f"proj_{number}")
        assert len(backlog._counts) < 5_000

    asyncio.run(check())
