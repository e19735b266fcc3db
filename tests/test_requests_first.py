"""The event loop sees to requests before it goes on with the rest, and the rest goes on."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest

from locum.sockets import RequestsFirst


def test_what_arrives_is_seen_to_before_what_was_begun() -> None:
    """Holds what `RequestsFirst` takes for granted of asyncio's own parts."""
    seen: list[str] = []
    one, two = socket.socketpair(), socket.socketpair()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RequestsFirst)
        done = loop.create_future()

        def read(name: str, number: int) -> None:
            seen.append(f"read {name}")
            loop.remove_reader(number)
            loop.call_soon(seen.append, f"answer {name}")
            loop.prefer_last()
            loop.call_soon(seen.append, f"after {name}")

        def send() -> None:
            one[1].send(b"asked")
            two[1].send(b"asked")
            # Both stand in the line when the sockets are looked at.
            loop.call_soon(seen.append, "work")
            loop.call_soon(loop.call_soon, done.set_result, None)

        for name, (end, _) in {"one": one, "two": two}.items():
            loop.add_reader(end, read, name, end.fileno())
        loop.call_soon(send)
        await done

    with asyncio.Runner(loop_factory=RequestsFirst) as runner:
        runner.run(run())
    for end in (*one, *two):
        end.close()
    reads, answers = seen[:2], seen[2:4]
    assert sorted(reads) == ["read one", "read two"]
    assert answers == [read.replace("read", "answer") for read in reads]
    assert seen[4] == "work"
    assert len(seen) == 7


def test_what_was_scheduled_last_may_come_next() -> None:
    seen: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RequestsFirst)
        loop.call_soon(seen.append, "first")
        loop.call_soon(seen.append, "second")
        loop.prefer_last()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=RequestsFirst) as runner:
        runner.run(run())
    assert seen == ["second", "first"]


class _SlowLoop(RequestsFirst):
    """Its work takes as long as it says."""

    def __init__(self) -> None:
        self._now = 0.0
        self.seen: list[str] = []
        super().__init__()

    def time(self) -> float:
        return self._now

    def work(self, seconds: float) -> None:
        self._now += seconds
        self.seen.append("work")


async def _worked(loop: _SlowLoop, count: int, seconds: float) -> None:
    for _ in range(count):
        loop.call_soon(loop.work, seconds)
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done


def _seen(
    run: Callable[[_SlowLoop], Coroutine[None, None, None]],
    pairs: list[tuple[socket.socket, socket.socket]],
) -> list[str]:
    """In which order things are done by a loop that has these sockets."""
    with asyncio.Runner(loop_factory=_SlowLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, _SlowLoop)
        runner.run(run(loop))
    for one, two in pairs:
        one.close()
        two.close()
    return loop.seen


def test_what_arrives_while_much_is_done_does_not_wait_for_all_of_it() -> None:
    one, two = socket.socketpair()

    async def run(loop: _SlowLoop) -> None:
        def read() -> None:
            loop.seen.append("read")
            loop.remove_reader(one)

        loop.add_reader(one, read)
        loop.call_soon(two.send, b"asked")
        await _worked(loop, 20, 0.001)

    seen = _seen(run, [(one, two)])
    assert 0 < seen.index("read") <= 9


@pytest.mark.parametrize(("answer_s", "waits_for"), [(0.001, 0), (0.0001, 8)])
def test_what_arrives_during_a_long_answer_comes_next(answer_s: float, waits_for: int) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    (first, to_first), (second, to_second) = pairs

    async def run(loop: _SlowLoop) -> None:
        def answer() -> None:
            loop.work(answer_s)
            loop.seen[-1] = "answer"
            to_second.send(b"asked")

        def read_first() -> None:
            loop.remove_reader(first)
            loop.call_soon(answer)
            loop.prefer_last()

        def read_second() -> None:
            loop.remove_reader(second)
            loop.seen.append("read")

        loop.add_reader(first, read_first)
        loop.add_reader(second, read_second)
        to_first.send(b"asked")
        await _worked(loop, 20, 0.0)

    seen = _seen(run, pairs)
    assert seen.index("read") - seen.index("answer") == 1 + waits_for


def test_what_waits_goes_on_however_much_arrives() -> None:
    """And sockets are not looked at more often for it, though they always have something."""
    pairs = [socket.socketpair() for _ in range(5)]

    async def run(loop: _SlowLoop) -> None:
        for one, two in pairs:
            two.send(b"never read")
            loop.add_reader(one, loop.seen.append, "read")
        await _worked(loop, 60, 0.001)
        for one, _ in pairs:
            loop.remove_reader(one)

    seen = _seen(run, pairs)
    work = [number for number, what in enumerate(seen) if what == "work"]
    reads = seen[work[0] : work[-1]].count("read")
    assert 0 < reads <= 2 * 60
