"""One thing goes wrong at a time: a worker, a web process, the network, the database, a clock."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from tests.kit.databases import PostgresServer
from tests.kit.fleet import Fleet, Member, fleet
from tests.kit.partition import wire

pytestmark = pytest.mark.slow

_ENDED = {"completed", "failed", "cancelled", "expired", "incomplete"}
_WORDS = " ".join(f"word{n}" for n in range(1, 41))
_LONG = f"!pace 0.1\n!say {_WORDS}"
_SEEN_BEFORE = 12
_RACES, _TOGETHER_S = 8, 10
_UNAVAILABLE = 503
_TOO_LATE = ("Cannot cancel run", "do not accept tool outputs")
_MOST_TRIES, _TRY_EVERY_S = 300, 0.1


def test_a_killed_worker_is_replaced_by_another(
    record_property: Callable[[str, object], None],
) -> None:
    with fleet(webs=1, workers=2) as ships:
        run = ships.begin(_LONG)
        _holder_of(ships, run).kill()
        began = time.monotonic()
        with closing(ships.follow(*run)) as told:
            next(place for place, _, _ in told if "." in place)
        record_property("taken over after, in seconds", round(time.monotonic() - began, 1))
        assert ships.until(*run, _ENDED).status == "completed"
        ships.check()


def test_a_worker_killed_at_every_recorded_write_loses_nothing() -> None:
    script = '!say Let me look.\n!call weather {"city":"Rome"}\n!then\n!say It is {result}.'
    with fleet(webs=1, workers=3) as ships:
        for at in range(3, _writes_of(ships, script)):
            run = ships.begin(script)
            with ThreadPoolExecutor(1) as pool:
                killing = pool.submit(_kill_at, ships, run, at)
                _answer_until_ended(ships, run)
                if killing.result():
                    ships.start("worker")
        ships.check()


def test_a_frozen_worker_can_write_nothing_when_it_wakes() -> None:
    with fleet(webs=1, workers=2) as ships:
        run = ships.begin(_LONG)
        frozen = _holder_of(ships, run)
        frozen.freeze()
        assert ships.until(*run, _ENDED).status == "completed"
        told = _events(ships, run)
        frozen.thaw()
        _stop_all_workers_but(ships, frozen)
        again = ships.begin("!say Awake.")
        assert ships.until(*again, _ENDED).status == "completed"
        assert _events(ships, run) == told
        ships.check()


def test_a_worker_cut_off_from_the_database_loses_its_run_and_comes_back() -> None:
    with fleet(webs=1, workers=0) as ships, wire(ships.server.directory) as line:
        [cut_off] = ships.start("worker", LOCUM_DATABASE_URL=line.url(ships.database))
        run = ships.begin(_LONG)
        _wait_for_words(ships, run, 5)
        line.cut()
        [other] = ships.start("worker")
        assert ships.until(*run, _ENDED).status == "completed"
        told = _events(ships, run)
        line.mend()
        ships.stop(other)
        again = ships.begin("!say Mended.")
        assert ships.until(*again, _ENDED).status == "completed"
        assert cut_off.alive
        assert _events(ships, run) == told
        ships.check()


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_database_that_goes_and_comes_back_loses_no_run(how: str) -> None:
    server = PostgresServer()
    try:
        with fleet(server, webs=2, workers=2) as ships:
            runs = [ships.begin(_LONG) for _ in range(4)]
            waiting = ships.begin('!call weather {"city":"Rome"}\n!then\n!say {result}')
            ships.until(*waiting, {"requires_action"})
            _wait_for_words(ships, runs[-1], 3)
            server.restart(killed=how == "killed")
            for run in runs:
                assert _ended(ships, run).status == "completed"
            _answer_until_ended(ships, waiting)
            assert all(member.alive for member in ships.members)
            ships.check()
    finally:
        server.stop()


def test_a_stream_whose_server_dies_goes_on_at_another() -> None:
    with fleet(webs=2, workers=1) as ships:
        first, second = ships.webs
        run = ships.begin(_LONG, web=first)
        with closing(ships.follow(*run, web=first)) as told:
            seen = [next(told) for _ in range(_SEEN_BEFORE)]
            ships.kill(first)
            with pytest.raises(httpx2.TransportError):
                seen += told
        rest = list(ships.follow(*run, web=second, after=seen[-1][0]))
        assert [*seen, *rest] == list(ships.follow(*run, web=second))
        ships.check()


@pytest.mark.parametrize("skew_s", [3600, -3600])
def test_a_worker_whose_clock_is_wrong_by_an_hour_disturbs_nobody(
    tmp_path: Path, skew_s: int
) -> None:
    with fleet(webs=1, workers=1) as ships:
        before = ships.begin(_LONG)
        _wait_for_words(ships, before, 3)
        [skewed] = ships.start("worker", **_wrong_by(tmp_path, skew_s))
        waiting = ships.begin('!call weather {"city":"Rome"}')
        waits = ships.until(*waiting, {"requires_action"})
        assert ships.until(*before, _ENDED).status == "completed"
        _stop_all_workers_but(ships, skewed)
        after = ships.until(*ships.begin("!say On time."), _ENDED)
        assert after.status == "completed"
        assert abs(after.started_at - waits.created_at) < 600
        assert after.completed_at >= after.started_at >= after.created_at - 1
        ships.webs[0].sdk().beta.threads.runs.cancel(waiting[1], thread_id=waiting[0])
        assert ships.until(*waiting, _ENDED).status == "cancelled"
        ships.check()


def test_of_two_cancels_and_a_submit_at_two_servers_one_wins() -> None:
    with fleet(webs=2, workers=1) as ships, ThreadPoolExecutor(3) as pool:
        first, second = ships.webs
        for _ in range(_RACES):
            run = ships.begin('!call weather {"city":"Rome"}\n!then\n!say {result}')
            waiting = ships.until(*run, {"requires_action"})
            together = threading.Barrier(3)
            asked = [
                pool.submit(_cancel, first, waiting, together),
                pool.submit(_cancel, second, waiting, together),
                pool.submit(_submit, second, waiting, together),
            ]
            outcomes = [each.result() for each in asked]
            ended = ships.until(*run, _ENDED)
            assert outcomes[:2].count("cancelled") == (ended.status == "cancelled")
            assert ended.status == "cancelled" or outcomes[2] == "submitted"
        ships.check()


# ------------------------------------------------------------------------- what they share


def _holder_of(ships: Fleet, run: tuple[str, str]) -> Member:
    """The worker that is in the middle of a message."""
    _wait_for_words(ships, run, 5)
    holder = ships.holder(run[1])
    assert holder is not None
    return holder


def _wait_for_words(ships: Fleet, run: tuple[str, str], count: int) -> None:
    deltas = 0
    with closing(ships.follow(*run)) as told:
        for _, name, _ in told:
            deltas += name == "thread.message.delta"
            if deltas == count:
                return
    raise AssertionError("the run ended before it had said so much")


def _events(ships: Fleet, run: tuple[str, str]) -> list[tuple[str, str, Any]]:
    return list(ships.follow(*run))


def _writes_of(ships: Fleet, script: str) -> int:
    """How many events a run that nobody disturbs has written."""
    run = ships.begin(script)
    _answer_until_ended(ships, run)
    return len(_events(ships, run))


def _kill_at(ships: Fleet, run: tuple[str, str], number: int) -> bool:
    """Kill whoever carries the run when its event of this number is seen; whether one did."""
    for _ in range(2):  # The stream pauses where the client is asked.
        with closing(ships.follow(*run)) as told:
            reached = any(int(place.rpartition(".")[2]) >= number for place, _, _ in told)
        if reached:
            holder = ships.holder(run[1])
            if holder is not None:
                ships.kill(holder)
            return holder is not None
    return False


def _ended(ships: Fleet, run: tuple[str, str]) -> Any:
    return _patiently(lambda: ships.until(*run, _ENDED))


def _answer_until_ended(ships: Fleet, run: tuple[str, str]) -> None:
    thread_id, run_id = run
    while True:
        seen = _patiently(lambda: ships.until(*run, {*_ENDED, "requires_action"}))
        if seen.status != "requires_action":
            assert seen.status == "completed"
            return
        [call] = seen.required_action.submit_tool_outputs.tool_calls
        outputs: Any = [{"tool_call_id": call.id, "output": "sunny"}]
        ships.webs[0].sdk(max_retries=5).beta.threads.runs.submit_tool_outputs(
            run_id, thread_id=thread_id, tool_outputs=outputs
        )


def _stop_all_workers_but(ships: Fleet, one: Member) -> None:
    for worker in [each for each in ships.workers if each is not one]:
        assert ships.stop(worker) == 0


def _patiently(ask: Callable[[], Any]) -> Any:
    """What the server answers once it can reach its database again."""
    for _ in range(_MOST_TRIES):
        try:
            return ask()
        except openai.InternalServerError as error:
            if error.status_code != _UNAVAILABLE:
                raise
            time.sleep(_TRY_EVERY_S)
    raise AssertionError("the database did not come back")


def _cancel(web: Member, run: Any, together: threading.Barrier) -> str:
    together.wait(_TOGETHER_S)
    return _in_time(
        "cancelled",
        lambda: web.sdk().beta.threads.runs.cancel(run.id, thread_id=run.thread_id),
    )


def _submit(web: Member, run: Any, together: threading.Barrier) -> str:
    [call] = run.required_action.submit_tool_outputs.tool_calls
    outputs: Any = [{"tool_call_id": call.id, "output": "sunny"}]
    together.wait(_TOGETHER_S)
    return _in_time(
        "submitted",
        lambda: web.sdk().beta.threads.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=outputs
        ),
    )


def _in_time(what: str, ask: Callable[[], object]) -> str:
    """What was done; who came too late is told so in the API's own words, and never otherwise."""
    try:
        ask()
    except openai.BadRequestError as error:
        if not any(words in error.message for words in _TOO_LATE):
            raise
        return "too late"
    return what


def _wrong_by(directory: Path, skew_s: int) -> Any:
    """An environment in which Python tells another time."""
    (directory / "sitecustomize.py").write_text(
        "import time\n"
        f"_time, _time_ns = time.time, time.time_ns\n"
        f"time.time = lambda: _time() + {skew_s}\n"
        f"time.time_ns = lambda: _time_ns() + {skew_s} * 10**9\n",
        "utf-8",
    )
    return {"PYTHONPATH": str(directory)}
