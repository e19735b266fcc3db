"""Real servers and workers over one PostgreSQL: killed, frozen, stopped, and asked across."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from tests.kit.fleet import Fleet, fleet

from locum.engine.states import TERMINAL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
ENDED: set[str] = set(TERMINAL)
_TAKEN_OVER_WITHIN_S = 10.0


def _texts(ships: Fleet, thread_id: str, run_id: str) -> list[tuple[str, str]]:
    client = ships.webs[-1].sdk()
    listed = client.beta.threads.messages.list(thread_id, run_id=run_id, order="asc")
    return [(str(message.status), message.content[0].text.value) for message in listed]  # type: ignore[union-attr]


def test_a_worker_that_is_killed_loses_its_run_to_another_within_ten_seconds() -> None:
    with fleet() as ships:
        words = " ".join(f"w{number}" for number in range(60))
        thread_id, run_id = ships.begin(f"!pace 0.05\n!say {words}")
        heard = []
        for event in ships.follow(thread_id, run_id, web=ships.webs[1]):
            heard.append(event)
            if len(heard) == 20:
                victim = ships.holder(run_id)
                assert victim is not None
                ships.kill(victim)
                died_at = time.monotonic()
            if event[0] == f"1.{event[0].rpartition('.')[2]}":
                break
        assert time.monotonic() - died_at < _TAKEN_OVER_WITHIN_S
        run = ships.until(thread_id, run_id, ENDED)
        assert run.status == "completed"
        (cut, part), (whole, said) = _texts(ships, thread_id, run_id)
        assert (cut, whole, said) == ("incomplete", "completed", words)
        assert words.startswith(part)
        resumed = list(ships.follow(thread_id, run_id, after=heard[-1][0]))
        everything = list(ships.follow(thread_id, run_id, web=ships.webs[1]))
        assert resumed == everything[-len(resumed) :]
        assert resumed[-1][1] == "thread.run.completed"
        ships.check()


def test_a_worker_that_was_frozen_for_longer_than_its_lease_writes_nothing_more() -> None:
    with fleet() as ships:
        thread_id, run_id = ships.begin("!pace 0.05\n!words 400")
        ships.until(thread_id, run_id, {"in_progress"})
        follower = ships.follow(thread_id, run_id)
        for _ in range(20):
            next(follower)
        zombie = ships.holder(run_id)
        assert zombie is not None
        zombie.freeze()
        for place, _, _ in follower:
            if place.startswith("1."):
                break
        zombie.thaw()
        assert ships.until(thread_id, run_id, ENDED).status == "completed"
        [(cut, _), (whole, _)] = _texts(ships, thread_id, run_id)
        assert (cut, whole) == ("incomplete", "completed")
        # It lives, under another name, and works again.
        for member in [one for one in ships.workers if one is not zombie]:
            ships.kill(member)
        thread_id, run_id = ships.begin("!say Still here.")
        assert ships.until(thread_id, run_id, ENDED).status == "completed"
        assert zombie.alive
        ships.check()


def test_a_worker_that_is_stopped_hands_over_and_no_run_counts_it_as_a_loss() -> None:
    # More workers than a run may lose.
    with fleet(workers=5, LOCUM_DRAIN_S="0.2") as ships:
        words = " ".join(f"w{number}" for number in range(200))
        thread_id, run_id = ships.begin(f"!pace 0.05\n!say {words}")
        follower = ships.follow(thread_id, run_id)
        for life in range(4):
            while next(follower)[1] != "thread.message.delta":
                """Wait until the message of this life has begun."""
            worker = ships.holder(run_id)
            assert worker is not None
            assert ships.stop(worker) == 0
            while not next(follower)[0].startswith(f"{life + 1}."):
                """Wait until another has taken it up."""
        assert ships.until(thread_id, run_id, ENDED).status == "completed"
        *cut, last = _texts(ships, thread_id, run_id)
        assert last == ("completed", words)
        assert [status for status, _ in cut] == ["incomplete"] * 4
        assert all(words.startswith(part) for _, part in cut)
        ships.check()


def test_a_run_that_waits_for_its_client_needs_no_worker_and_any_server_takes_the_answer() -> None:
    with fleet() as ships:
        thread_id, run_id = ships.begin("!call weather {}")
        waiting = ships.until(thread_id, run_id, {"requires_action"})
        for worker in ships.workers:
            ships.kill(worker)
        [call] = waiting.required_action.submit_tool_outputs.tool_calls
        answered = (
            ships.webs[1]
            .sdk()
            .beta.threads.runs.submit_tool_outputs(
                run_id,
                thread_id=thread_id,
                tool_outputs=[{"tool_call_id": call.id, "output": "sun"}],
            )
        )
        assert answered.status == "queued"
        ships.start("worker")
        assert ships.until(thread_id, run_id, ENDED).status == "completed"
        ships.check()


def test_a_run_is_cancelled_through_a_server_that_does_not_drive_it_and_only_once() -> None:
    with fleet() as ships, ThreadPoolExecutor(4) as pool:
        thread_id, run_id = ships.begin("!pace 0.05\n!words 400")
        ships.until(thread_id, run_id, {"in_progress"})

        def cancel(number: int) -> Any:
            runs = ships.webs[number % 2].sdk().beta.threads.runs
            try:
                return runs.cancel(run_id, thread_id=thread_id).status
            except openai.BadRequestError as error:
                return error.body["message"]  # type: ignore[index]

        begun = time.monotonic()
        answers = sorted(pool.map(cancel, range(4)))
        assert time.monotonic() - begun < 5
        assert answers.count("cancelling") == 1
        assert all("Cannot cancel run with status" in answer for answer in answers[:3])
        assert ships.until(thread_id, run_id, ENDED).status == "cancelled"
        ships.check()


def test_of_two_cancels_and_an_answer_that_race_one_wins() -> None:
    with fleet() as ships, ThreadPoolExecutor(3) as pool:
        for _ in range(5):
            thread_id, run_id = ships.begin("!call weather {}")
            waiting = ships.until(thread_id, run_id, {"requires_action"})
            [call] = waiting.required_action.submit_tool_outputs.tool_calls
            outputs: Any = [{"tool_call_id": call.id, "output": "sun"}]

            def act(
                number: int,
                thread_id: str = thread_id,
                run_id: str = run_id,
                outputs: Any = outputs,
            ) -> str:
                runs = ships.webs[number % 2].sdk().beta.threads.runs
                try:
                    if number < 2:
                        return runs.cancel(run_id, thread_id=thread_id).status
                    return runs.submit_tool_outputs(
                        run_id, thread_id=thread_id, tool_outputs=outputs
                    ).status
                except openai.BadRequestError:
                    return "refused"

            answers = sorted(pool.map(act, range(3)))
            # An answer that was first may be followed by a cancel of what then goes on.
            assert answers in (
                ["cancelling", "refused", "refused"],
                ["queued", "refused", "refused"],
                ["cancelling", "queued", "refused"],
            )
            ships.until(thread_id, run_id, ENDED)
        ships.check()


def test_a_thread_that_is_deleted_ends_its_streams_everywhere() -> None:
    with fleet() as ships:
        thread_id, run_id = ships.begin("!pace 0.05\n!words 400")
        ships.until(thread_id, run_id, {"in_progress"})
        follower = ships.follow(thread_id, run_id, web=ships.webs[0])
        next(follower)
        ships.webs[1].sdk().beta.threads.delete(thread_id)
        *_, last = follower
        assert last[1] == "error"
        assert "deleted" in last[2]["error"]["message"]


def test_many_runs_are_each_done_once_by_all_workers() -> None:
    with fleet() as ships, ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda n: ships.begin(f"!say {n}", web=ships.webs[n % 2]), range(40)))
        for thread_id, run_id in begun:
            assert ships.until(thread_id, run_id, ENDED).status == "completed"
        assert len(ships.check()) == 40
