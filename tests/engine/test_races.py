"""Clients, drivers and the watchman who reach for the same run at the same moment."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from tests.kit.databases import fresh_url
from tests.kit.inside import begun, inside

from locum.engine.claims import Claims
from locum.engine.journal import Key
from locum.store.runs import RunRecord

_MOMENTS = 40
_TEST_S = 20
_ENDED = ["thread.run.cancelling", "thread.run.cancelled"]


@pytest.mark.parametrize("text", ["!think 60", "!call f"])
def test_a_cancellation_is_answered_whoever_else_takes_the_run_up(text: str) -> None:
    """The watchman comes a little later every time, until he has come at every moment."""

    async def scenario() -> None:
        async with asyncio.timeout(_TEST_S), inside() as door:
            engine = door.house.engine
            for moment in range(_MOMENTS):
                key = await begun(door.house, text)
                if text == "!call f":
                    [event async for event in engine.follow(key)]
                cancelling = asyncio.ensure_future(engine.cancel(key))
                for _ in range(moment):
                    await asyncio.sleep(0)
                await engine.sweep()
                assert (await cancelling).status == "cancelling"
                events: list[Any] = [event async for event in engine.follow(key)]
                assert [event.name for event in events if "run.canc" in event.name] == _ENDED

    asyncio.run(scenario())


@pytest.mark.slow
def test_who_has_cancelled_a_run_elsewhere_is_not_told_that_somebody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run began just as its driver was told to stop, and has ended at the next look."""

    async def scenario() -> None:
        async with (
            asyncio.timeout(_TEST_S),
            fresh_url() as url,
            inside(database_url=url, roles=("worker",)),
            inside(database_url=url, roles=("web",)) as door,
        ):
            engine = door.house.engine
            key = await begun(door.house, "!think 60")
            events = engine.follow(key)
            while (event := await anext(events)) is None or event.name != "thread.run.in_progress":
                pass
            began = await door.house.store.runs.record(*key)
            assert began is not None
            seen = [began, began, replace(began, run=replace(began.run, status="queued"))]
            read = Claims.record

            async def record(claims: Claims, key: Key) -> RunRecord:
                if seen:
                    return seen.pop()
                async for _ in events:  # To its end.
                    pass
                return await read(claims, key)

            monkeypatch.setattr(Claims, "record", record)
            assert (await engine.cancel(key)).status == "cancelling"

    asyncio.run(scenario())


def test_a_run_whose_time_is_up_expires_even_while_it_is_coming_to_wait() -> None:
    """The event that it waits is told while its driver has not quite let go of it."""

    async def scenario() -> list[str]:
        async with asyncio.timeout(_TEST_S), inside() as door:
            engine = door.house.engine
            key = await begun(door.house, "!call f")
            heard = []
            async for event in engine.follow(key):
                assert event is not None
                heard.append(event.name)
                if event.name == "thread.run.requires_action":
                    await engine.expire(key)
            return heard

    assert asyncio.run(scenario())[-2:] == ["thread.run.step.expired", "thread.run.expired"]
