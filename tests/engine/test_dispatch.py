"""Which runs a process drives: each once at a time, so many at once, and nothing is left behind."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.store import objects

from locum.engine.dispatch import Dispatch
from locum.engine.journal import Key
from locum.store.runs import Plan, RunRecord


def _record(run_id: str = "run", *, fence: int = 1) -> RunRecord:
    run = objects.run(run_id, thread_id=f"thread_of_{run_id}")
    return RunRecord(project_id="p", run=run, fence=fence, attempts=0, events=0, plan=Plan())


def _key(run_id: str = "run") -> Key:
    return ("p", f"thread_of_{run_id}", run_id)


def _claiming(queue: list[RunRecord]) -> Callable[[int], Awaitable[list[RunRecord]]]:
    async def claim(most: int) -> list[RunRecord]:
        claimed, queue[:] = queue[:most], queue[most:]
        return claimed

    return claim


def test_a_run_that_comes_back_before_its_driver_has_let_go_is_driven_after_it() -> None:
    async def scene() -> list[int]:
        driven: list[int] = []

        async def drive(record: RunRecord) -> None:
            driven.append(record.fence)
            if record.fence == 1:
                dispatch.take_up(_record(fence=2))
                assert dispatch.driving == 1

        dispatch = Dispatch(drive, _claiming([]), at_once=3)
        dispatch.take_up(_record())
        for _ in range(2):
            await dispatch.driven(_key(), timeout_s=30)
            await asyncio.sleep(0)
        assert await dispatch.close() == []
        return driven

    assert asyncio.run(scene()) == [1, 2]


def test_no_more_runs_than_allowed_are_driven_at_once_and_each_is() -> None:
    async def scene() -> tuple[int, list[str]]:
        most = 0
        driven: list[str] = []

        async def drive(record: RunRecord) -> None:
            nonlocal most
            most = max(most, dispatch.driving)
            driven.append(record.run.id)
            await asyncio.sleep(0)

        queue = [_record(f"run_{number}") for number in range(100)]
        dispatch = Dispatch(drive, _claiming(queue), at_once=3)
        dispatch.start()
        for number in range(100, 105):
            dispatch.take_up(_record(f"run_{number}"))
        dispatch.look()
        async with asyncio.timeout(30):
            while len(driven) < 105:  # noqa: ASYNC110  # one more turn of the loop is all it takes
                await asyncio.sleep(0)
        await dispatch.close()
        return most, driven

    most, driven = asyncio.run(scene())
    assert most == 3
    assert sorted(driven) == sorted(f"run_{number}" for number in range(105))


def test_a_run_that_is_dropped_is_not_driven_any_more() -> None:
    async def scene() -> list[str]:
        told: list[str] = []

        async def drive(_: RunRecord) -> None:
            told.append("begun")
            await asyncio.sleep(3600)
            told.append("never")

        dispatch = Dispatch(drive, _claiming([]), at_once=1)
        dispatch.take_up(_record())
        await asyncio.sleep(0)
        dispatch.take_up(_record(fence=2))
        await dispatch.drop(_key())
        assert not dispatch.has(_key())
        await dispatch.driven(_key(), timeout_s=30)
        return told

    assert asyncio.run(scene()) == ["begun"]


def test_who_closes_stops_what_is_driven_and_gives_back_what_was_not_begun() -> None:
    async def scene() -> tuple[list[str], list[str]]:
        stopped: list[str] = []

        async def drive(record: RunRecord) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.append(record.run.id)

        dispatch = Dispatch(drive, _claiming([]), at_once=1)
        dispatch.take_up(_record("run_1"))
        dispatch.take_up(_record("run_2"))
        await asyncio.sleep(0)
        left = await dispatch.close()
        assert dispatch.room == 0
        return stopped, [record.run.id for record in left]

    assert asyncio.run(scene()) == (["run_1"], ["run_2"])


def test_who_drains_waits_for_what_is_driven_and_takes_nothing_more() -> None:
    async def scene() -> list[str]:
        driven: list[str] = []

        async def drive(record: RunRecord) -> None:
            await asyncio.sleep(0)
            driven.append(record.run.id)

        dispatch = Dispatch(drive, _claiming([_record("run_2")]), at_once=5)
        dispatch.take_up(_record("run_1"))
        await dispatch.drain(5)
        await dispatch.claim_now()
        await dispatch.close()
        return driven

    assert asyncio.run(scene()) == ["run_1"]
