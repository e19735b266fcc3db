"""A thousand runs over three workers, which are killed at random while they work."""

import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import cycle
from typing import Any

import pytest
from tests.kit.fleet import Fleet, fleet

from locum.engine.states import TERMINAL

pytestmark = pytest.mark.slow

_RUNS = 1_000
_KILLS = 20
_AT_ONCE = 24
_SEED = 20_261_125
# Long enough that a kill finds most workers in the middle of something.
_SCRIPTS = (
    "!say A short answer.",
    "!think 0.05\n!say I have thought about it.",
    "!pace 0.005\n!words 20",
    '!say Let me look.\n!call weather {"city":"Rome"}\n!then\n!pace 0.005\n!say It is {result}.',
)


class _Tally:
    """How many runs have ended; the killer strikes by this count, not by a clock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ended = 0

    def one_more(self) -> None:
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def wait_for(self, ended: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended >= ended, timeout=120)


def test_a_thousand_runs_outlive_twenty_workers(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(_SEED)  # told by its seed, not to be guessed
    with fleet(webs=2, workers=3) as ships:
        assistant_id = _assistant(ships)
        tally = _Tally()
        with ThreadPoolExecutor(_AT_ONCE + 1) as pool:
            killing = pool.submit(_kill_workers, ships, tally, chance)
            webs = cycle(ships.webs)
            ending = [
                pool.submit(_one_run, next(webs).sdk(), assistant_id, script, tally)
                for script in _scripts(chance)
            ]
            outcomes = Counter(each.result() for each in as_completed(ending))
            killing.result()
        runs = ships.check()
        report = _report(ships, runs, outcomes)
    with capsys.disabled():
        sys.stdout.write(f"\n{report}\n")
    assert len(runs) == _RUNS
    assert outcomes["completed"] + outcomes["failed"] == _RUNS
    # A run may fail only when three workers in a row have died under it.
    assert all("lost 3 times" in run["last_error"]["message"] for run in _failed(runs))
    assert outcomes["failed"] < _RUNS / 100


def _scripts(chance: random.Random) -> Iterator[str]:
    return (chance.choice(_SCRIPTS) for _ in range(_RUNS))


def _assistant(ships: Fleet) -> str:
    tools: Any = [{"type": "function", "function": {"name": "weather"}}]
    return ships.webs[0].sdk().beta.assistants.create(model="scripted", tools=tools).id


def _one_run(client: Any, assistant_id: str, script: str, tally: _Tally) -> str:
    """What a program does: begin, poll, answer, until the run has ended."""
    messages = [{"role": "user", "content": script}]
    run = client.beta.threads.create_and_run(
        assistant_id=assistant_id, thread={"messages": messages}
    )
    while True:
        run = client.beta.threads.runs.poll(run.id, thread_id=run.thread_id, poll_interval_ms=50)
        if run.status != "requires_action":
            break
        [call] = run.required_action.submit_tool_outputs.tool_calls
        run = client.beta.threads.runs.submit_tool_outputs(
            run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}],
        )
    assert run.status in TERMINAL
    tally.one_more()
    return str(run.status)


def _kill_workers(ships: Fleet, tally: _Tally, chance: random.Random) -> None:
    """Kill a worker after every so many runs, and start another in its place."""
    for number in range(1, _KILLS + 1):
        tally.wait_for(number * _RUNS // (_KILLS + 4))
        ships.kill(chance.choice(ships.workers))
        ships.start("worker")


def _failed(runs: list[Any]) -> list[Any]:
    return [run for run in runs if run["status"] == "failed"]


def _report(ships: Fleet, runs: list[Any], outcomes: Counter[str]) -> str:
    async def count(store: Any) -> tuple[int, int, int]:
        [[taken, most]] = await store.db.fetch(
            "SELECT count(*) FILTER (WHERE losses > 0), coalesce(max(losses), 0) FROM runs"
        )
        [[steps]] = await store.db.fetch("SELECT count(*) FROM steps")
        return taken, most, steps

    taken, most, steps = ships.in_store(count)
    return (
        f"{len(runs)} runs, {_KILLS} kills: {dict(outcomes)};"
        f" {taken} runs were taken over, one of them {most} times;"
        f" 0 lost, 0 stuck, 0 of {steps} steps doubled"
    )
