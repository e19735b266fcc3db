"""Who drives which run: each once at a time, so many at once, and nothing offered is lost."""

import asyncio

from locum.engine.dispatch import LocalDispatch
from locum.engine.journal import Key

RUN: Key = ("proj", "thread", "run")


def test_a_run_that_is_offered_while_it_is_driven_is_driven_again() -> None:
    async def scene() -> int:
        driven = 0

        async def drive(key: Key) -> None:
            nonlocal driven
            driven += 1
            if driven == 1:
                dispatch.offer(key)
                dispatch.offer(key)

        dispatch = LocalDispatch(drive, at_once=1)
        dispatch.offer(RUN)
        for _ in range(2):
            await dispatch.driven(RUN, timeout_s=5)
            await asyncio.sleep(0)
        await dispatch.close()
        return driven

    assert asyncio.run(scene()) == 2


def test_no_more_runs_than_allowed_are_driven_at_once() -> None:
    async def scene() -> int:
        driving = most = 0

        async def drive(_: Key) -> None:
            nonlocal driving, most
            driving += 1
            most = max(most, driving)
            await asyncio.sleep(0)
            driving -= 1

        dispatch = LocalDispatch(drive, at_once=3)
        keys = [("proj", "thread", f"run_{number}") for number in range(20)]
        for key in keys:
            dispatch.offer(key)
        for key in keys:
            await dispatch.driven(key, timeout_s=5)
        return most

    assert asyncio.run(scene()) == 3


def test_a_run_that_is_dropped_is_not_driven_any_more() -> None:
    async def scene() -> list[str]:
        told: list[str] = []

        async def drive(_: Key) -> None:
            told.append("begun")
            await asyncio.sleep(3600)
            told.append("never")

        dispatch = LocalDispatch(drive, at_once=1)
        dispatch.offer(RUN)
        await asyncio.sleep(0)
        dispatch.offer(RUN)
        await dispatch.drop(RUN)
        await dispatch.driven(RUN, timeout_s=5)
        return told

    assert asyncio.run(scene()) == ["begun"]
