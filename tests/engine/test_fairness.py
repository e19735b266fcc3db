"""Room for runs is given out in turn, so that nobody waits behind another project's queue."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.engine.dispatch import LocalDispatch
from locum.engine.fairness import FairRoom
from locum.engine.journal import Key


class Visitors:
    """Tasks that enter a room and stay until they are let go."""

    def __init__(self, room: FairRoom) -> None:
        self.room = room
        self.entered: list[str] = []
        self.inside: Counter[str] = Counter()
        self.there: set[int] = set()
        self.tasks: list[asyncio.Task[None]] = []
        self._leave: list[asyncio.Event] = []

    async def come(self, project_id: str) -> None:
        self._leave.append(asyncio.Event())
        visit = self._visit(project_id, len(self.tasks))
        self.tasks.append(asyncio.ensure_future(visit))
        await _settled()

    async def _visit(self, project_id: str, number: int) -> None:
        async with self.room.place(project_id):
            self.entered.append(project_id)
            self.inside[project_id] += 1
            self.there.add(number)
            try:
                await self._leave[number].wait()
            finally:
                self.there.remove(number)
                self.inside[project_id] -= 1

    async def let_go(self, number: int) -> None:
        self._leave[number].set()
        await _settled()

    async def send_away(self, number: int) -> None:
        self.tasks[number].cancel()
        await _settled()

    async def close(self) -> None:
        for leave in self._leave:
            leave.set()
        await asyncio.wait(self.tasks)


async def _settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def _run(check: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await check()

    asyncio.run(bounded())


def test_one_who_comes_late_is_next_after_one_of_each_who_wait() -> None:
    async def check() -> None:
        visitors = Visitors(FairRoom(1))
        for project_id in ["loud"] * 6 + ["quiet", "shy"]:
            await visitors.come(project_id)
        for number in (0, 1, 6, 7, 2):
            await visitors.let_go(number)
        assert visitors.entered == ["loud", "loud", "quiet", "shy", "loud", "loud"]
        await visitors.close()

    _run(check)


def test_a_project_has_no_more_than_its_share_and_leaves_the_rest_to_others() -> None:
    async def check() -> None:
        visitors = Visitors(FairRoom(4, for_each=2))
        for _ in range(5):
            await visitors.come("loud")
        assert visitors.inside == {"loud": 2}
        assert visitors.room.waiting == 3
        await visitors.come("quiet")
        assert visitors.inside["quiet"] == 1
        await visitors.let_go(0)
        assert visitors.inside["loud"] == 2
        assert visitors.room.waiting == 2
        await visitors.close()
        assert visitors.room.waiting == 0

    _run(check)


def test_who_is_sent_away_while_he_waits_holds_nobody_up() -> None:
    async def check() -> None:
        visitors = Visitors(FairRoom(1))
        for project_id in ["a", "b", "c"]:
            await visitors.come(project_id)
        await visitors.send_away(1)
        await visitors.let_go(0)
        assert visitors.entered == ["a", "c"]
        await visitors.close()

    _run(check)


def test_a_place_that_comes_as_its_waiter_goes_is_given_on() -> None:
    """Both in one turn of the loop: the place is given, and the one it was given to is gone."""

    async def check() -> None:
        visitors = Visitors(FairRoom(1))
        for project_id in ["a", "b", "c"]:
            await visitors.come(project_id)
        visitors.tasks[0].cancel()
        await asyncio.sleep(0)
        visitors.tasks[1].cancel()
        await _settled()
        assert visitors.inside == {"a": 0, "c": 1}
        await visitors.close()

    _run(check)


@given(st.integers(0, 2**32), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 3)))
def test_places_are_never_lost_and_never_given_twice(
    seed: int, places: int, for_each: int | None
) -> None:
    chance = random.Random(seed)

    async def check() -> None:
        visitors = Visitors(FairRoom(places, for_each=for_each))
        share = places if for_each is None else min(places, for_each)
        come = 0
        for _ in range(40):
            action = chance.choice(("come", "come", "go", "away"))
            if action == "come" or not come:
                await visitors.come(chance.choice("abc"))
                come += 1
            elif action == "go" and visitors.there:
                await visitors.let_go(chance.choice(sorted(visitors.there)))
            else:
                await visitors.send_away(chance.randrange(come))
            inside = visitors.inside
            assert sum(inside.values()) <= places
            assert max(inside.values(), default=0) <= share
            if sum(inside.values()) < places:
                waits = visitors.room._lines
                assert all(inside[project_id] == share for project_id in waits)
        await visitors.close()
        assert visitors.room.waiting == 0
        assert visitors.room._free == places
        assert not visitors.room._taken

    _run(check)


def test_runs_of_two_projects_are_driven_in_turn() -> None:
    async def check() -> None:
        driven: list[Key] = []
        done = asyncio.Event()

        async def drive(key: Key) -> None:
            driven.append(key)
            await asyncio.sleep(0)
            if len(driven) == 8:
                done.set()

        dispatch = LocalDispatch(drive, at_once=1)
        for number in range(6):
            dispatch.offer(("loud", "thread", f"run_{number}"))
        for number in range(2):
            dispatch.offer(("quiet", "thread", f"run_{number}"))
        await asyncio.sleep(0)
        assert dispatch.waiting == 7
        await done.wait()
        assert [key[0] for key in driven[:5]] == ["loud", "loud", "quiet", "loud", "quiet"]
        await dispatch.close()

    _run(check)


@pytest.mark.parametrize("most", [1, 3])
def test_a_dispatcher_keeps_a_project_to_its_share(most: int) -> None:
    async def check() -> None:
        open_ = asyncio.Event()
        driving: Counter[str] = Counter()
        peak: Counter[str] = Counter()

        async def drive(key: Key) -> None:
            driving[key[0]] += 1
            peak[key[0]] = max(peak[key[0]], driving[key[0]])
            await open_.wait()
            await asyncio.sleep(0)
            driving[key[0]] -= 1

        dispatch = LocalDispatch(drive, at_once=10, for_each=most)
        keys = [(project_id, "thread", f"run_{n}") for project_id in "ab" for n in range(8)]
        for key in keys:
            dispatch.offer(key)
        open_.set()
        for key in keys:
            await dispatch.driven(key, timeout_s=5)
        assert peak == {"a": most, "b": most}
        await dispatch.close()

    _run(check)
