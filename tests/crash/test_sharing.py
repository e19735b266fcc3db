"""Houses that share one PostgreSQL: one answers, others drive, and each may fail the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.kit.clocks import LeapingClock
from tests.kit.databases import fresh_url, postgres_server
from tests.kit.inside import Inside, inside

from locum.clock import FollowingClock
from locum.engine.bells import NoOthers
from locum.engine.journal import Key, Place, RunGone
from locum.engine.states import TERMINAL
from locum.errors import InvalidRequest
from locum.service import assistants, runs, threads
from locum.service.scope import Scope
from locum.store.clocks import DatabaseClock
from locum.store.events import Event
from locum.store.postgres import PostgresDatabase
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage
from locum.wire.runs import CreateRunQuery, CreateThreadAndRun, SubmitToolOutputs, ToolOutput
from locum.wire.threads import CreateThread
from locum.wire.tools import FunctionDefinition, FunctionTool

pytestmark = pytest.mark.slow

_TEST_S = 60
_LONG = "!pace 0.02\n!words 400"
_ENDS = {f"thread.run.{status}" for status in TERMINAL}


class Fellows:
    """A house that answers requests and drives nothing, and others that drive."""

    def __init__(self, url: str, web: Inside, workers: list[Inside], clock: LeapingClock) -> None:
        self.url = url
        self.web = web
        self.workers = workers
        self.clock = clock
        self.scope = Scope(web.house, "p")

    async def begin(self, text: str) -> Key:
        tools = (FunctionTool(FunctionDefinition(name="f")),)
        made = await assistants.create_assistant(
            self.scope, body=CreateAssistant(model="m", tools=tools)
        )
        said = CreateThread(messages=(CreateMessage(role="user", content=text),))
        run = await runs.create_thread_and_run(
            self.scope,
            body=CreateThreadAndRun(assistant_id=made.id, thread=said),
            query=CreateRunQuery(),
        )
        assert not isinstance(run, runs.RunStream)
        return "p", run.read().thread_id, run.id

    async def until(self, key: Key, name: str, *, via: Inside | None = None) -> list[Event]:
        """Listen to a run until something has been told."""
        heard = []
        async for event in (via or self.web).house.engine.follow(key):
            assert event is not None
            heard.append(event)
            if event.name == name:
                break
        return heard

    async def all(self, key: Key, *, via: Inside | None = None) -> list[Event]:
        return [event async for event in self.follow(key, via or self.web)]

    async def follow(self, key: Key, via: Inside) -> AsyncIterator[Event]:
        async for event in via.house.engine.follow(key):
            assert event is not None
            yield event

    async def status(self, key: Key) -> str:
        run = await runs.get_run(self.scope, thread_id=key[1], run_id=key[2])
        return run.read().status


def _shared(
    check: Callable[[Fellows], Awaitable[None]], *, workers: int = 1, **settings: Any
) -> None:
    async def scene() -> None:
        async with asyncio.timeout(_TEST_S), fresh_url() as url, AsyncExitStack() as stack:
            clock = LeapingClock()

            async def opened(role: str) -> Inside:
                return await stack.enter_async_context(
                    inside(clock=clock, database_url=url, roles=(role,), **settings)
                )

            crew = [await opened("worker") for _ in range(workers)]
            await check(Fellows(url, await opened("web"), crew, clock))

    asyncio.run(scene())


def test_a_run_is_heard_live_and_replayed_where_nobody_drives_it() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin("!pace 0.01\n!words 40")
        here, there = await asyncio.gather(
            fellows.all(key), fellows.all(key, via=fellows.workers[0])
        )
        assert here == there
        assert [event.number for event in here] == list(range(1, len(here) + 1))
        assert here[-1].name == "thread.run.completed"
        assert not fellows.web.house.engine.driven
        for seen in (0, 3, len(here) - 1):
            place = Place(0, seen)
            again = [one async for one in fellows.web.house.engine.follow(key, after=place)]
            assert again == here[seen:]

    _shared(check)


def test_of_those_who_cancel_a_run_that_is_driven_elsewhere_one_has_done_it() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin(_LONG)
        await fellows.until(key, "thread.message.delta")
        engines = [fellows.web.house.engine, fellows.workers[0].house.engine]
        told = await asyncio.gather(
            *(engine.cancel(key) for engine in engines * 3), return_exceptions=True
        )
        won = [one for one in told if not isinstance(one, BaseException)]
        assert [run.status for run in won] == ["cancelling"]
        assert all(isinstance(one, InvalidRequest) for one in told if one not in won)
        events = await fellows.all(key)
        assert [e.name for e in events[-4:]] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]

    _shared(check)


@pytest.mark.slow
def test_a_run_whose_driver_hears_nothing_is_taken_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin(_LONG)
        await fellows.until(key, "thread.message.delta")
        deaf = fellows.workers[0].house.engine._drives
        monkeypatch.setattr(deaf, "stop", lambda *_, **__: None)
        assert (await fellows.web.house.engine.cancel(key)).status == "cancelling"
        assert await fellows.status(key) == "cancelled"
        events = await fellows.all(key)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert events[-1].life >= 1

    _shared(check)


@pytest.mark.slow
def test_a_run_expires_when_somebody_looks_who_does_not_drive_it() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin(_LONG)
        await fellows.until(key, "thread.message.delta")
        fellows.clock.advance(600)
        assert await fellows.status(key) == "expired"
        assert (await fellows.all(key))[-1].name == "thread.run.expired"

    _shared(check)


def test_a_thread_that_is_deleted_ends_its_run_and_its_streams_wherever_they_are() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin(_LONG)
        await fellows.until(key, "thread.message.delta")
        hearing = [
            asyncio.ensure_future(fellows.all(key, via=via))
            for via in (fellows.web, fellows.workers[0])
        ]
        await threads.delete_thread(fellows.scope, thread_id=key[1])
        for ended in await asyncio.gather(*hearing, return_exceptions=True):
            assert isinstance(ended, RunGone)
        dispatch = fellows.workers[0].house.engine.dispatch
        await dispatch.driven(key, timeout_s=30)
        assert not dispatch.has(key)

    _shared(check)


def test_an_answer_that_came_in_elsewhere_lets_the_run_go_on() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin("!call f {}\n!then\n!say Thanks.")
        events = await fellows.all(key)
        assert events[-1].name == "thread.run.requires_action"
        driving = fellows.workers[0].house.engine
        await driving.dispatch.driven(key, timeout_s=_TEST_S)
        assert not driving.driven
        run = await runs.get_run(fellows.scope, thread_id=key[1], run_id=key[2])
        required = run.read().required_action
        assert required is not None
        outputs = tuple(
            ToolOutput(tool_call_id=call.id, output="sun")
            for call in required.submit_tool_outputs.tool_calls
        )
        await runs.submit_tool_outputs(
            fellows.scope,
            thread_id=key[1],
            run_id=key[2],
            body=SubmitToolOutputs(tool_outputs=outputs),
        )
        assert (await fellows.all(key))[-1].name == "thread.run.completed"

    _shared(check)


@pytest.mark.slow
def test_what_a_worker_drives_when_it_closes_goes_on_elsewhere_and_is_no_loss() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin("!pace 0.02\n!words 60")
        shown = await fellows.until(key, "thread.message.delta")
        first, second = fellows.workers
        leaving, staying = (first, second) if first.house.engine.driven else (second, first)
        await leaving.house.engine.close()
        events = await fellows.all(key)
        assert events[: len(shown)] == shown
        assert events[-1].name == "thread.run.completed"
        assert {event.life for event in events} == {0, 1}
        record = await staying.house.store.runs.record(*key)
        assert record is not None
        assert (record.attempts, record.losses) == (1, 0)

    _shared(check, workers=2)


@pytest.mark.slow
def test_a_project_has_no_more_driven_than_its_limit_by_all_together() -> None:
    async def check(fellows: Fellows) -> None:
        keys = [await fellows.begin("!pace 0.02\n!words 5") for _ in range(8)]
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, sum(one.house.engine.driven for one in fellows.workers))
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        for key in keys:
            assert (await fellows.all(key))[-1].name == "thread.run.completed"
        watching.cancel()
        # A driver is still letting go when its run is over and the next one may begin.
        assert most <= 2 * 2

    _shared(check, workers=2, max_runs_per_project=2)


@pytest.mark.slow
def test_a_run_outlives_the_loss_of_every_connection() -> None:
    async def check(fellows: Fellows) -> None:
        key = await fellows.begin("!pace 0.02\n!words 60")
        await fellows.until(key, "thread.message.delta")
        name = fellows.url.split("@/")[1].split("?")[0]
        await postgres_server().run(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        events = await fellows.all(key)
        assert events[-1].name == "thread.run.completed"
        assert [event.number for event in events] == list(range(1, len(events) + 1))

    _shared(check)


@asynccontextmanager
async def _clocks(*skews_s: float) -> AsyncIterator[list[DatabaseClock]]:
    async with fresh_url() as url, AsyncExitStack() as stack:
        database = PostgresDatabase(url, connections=1)
        stack.push_async_callback(database.close)
        clocks = [DatabaseClock(database, _Skewed(skew_s)) for skew_s in skews_s]
        for clock in clocks:
            await clock.start()
            stack.push_async_callback(clock.close)
        yield clocks


class _Skewed(LeapingClock):
    """A machine whose date is wrong, and which was started at some other time."""

    def __init__(self, skew_s: float) -> None:
        super().__init__()
        self._skew_s = skew_s

    def monotonic(self) -> float:
        return super().monotonic() + self._skew_s


def test_machines_whose_clocks_are_hours_apart_agree_about_the_time() -> None:
    async def scene() -> None:
        async with _clocks(-3600, 0, 3600) as clocks:
            times = [clock.now_ns() / 1e9 for clock in clocks]
            assert max(times) - min(times) < 1

    asyncio.run(scene())


def test_a_clock_that_has_heard_nothing_goes_by_its_own() -> None:
    own = LeapingClock()
    clock = FollowingClock(own)
    assert clock.now() == own.now()
    asked_at = clock.monotonic()
    clock.hear(500.0, asked_at=asked_at)
    assert clock.now() in {500, 501}


def test_bells_that_nobody_hears_cost_nothing() -> None:
    async def scene() -> None:
        bells = NoOthers()
        await bells.start(lambda _: None, lambda: None)
        await bells.close()

    asyncio.run(scene())
