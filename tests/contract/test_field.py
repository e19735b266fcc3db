"""What the field gets wrong, where no other test says it: each a behaviour of ours."""

import re
import time

from tests.contract.requirements import covers
from tests.kit.http import Http
from tests.kit.talk import Talk, function, outline


@covers("field:ids")
def test_ids_have_the_prefixes_and_the_length_that_clients_check(talk: Talk) -> None:
    run = talk.run("!call f", tools=[function("f")])
    [step] = talk.steps(run)
    [message] = talk.messages(run["thread_id"])
    call = step["step_details"]["tool_calls"][0]
    ids = [run["assistant_id"], run["thread_id"], run["id"], step["id"], message["id"], call["id"]]
    prefixes = ["asst", "thread", "run", "step", "msg", "call"]
    for object_id, prefix in zip(ids, prefixes, strict=True):
        assert re.fullmatch(f"{prefix}_[0-9A-Za-z]{{24}}", object_id)


@covers("field:timestamps")
def test_timestamps_are_whole_seconds(talk: Talk) -> None:
    run = talk.run("hello")
    [step] = talk.steps(run)
    for thing in (run, step, *talk.messages(run["thread_id"])):
        for key, value in thing.items():
            if key.endswith("_at") and value is not None:
                assert type(value) is int
                assert value == 1_761_861_537


@covers("field:requires_action_is_no_end")
def test_a_run_that_waits_does_not_say_it_is_completed(talk: Talk) -> None:
    frames = talk.frames("!call f", tools=[function("f")])
    assert outline(frames)[-2:] == ["thread.run.requires_action", "done"]
    assert "thread.run.completed" not in outline(frames)


@covers("field:no_blocking")
def test_a_stream_that_waits_for_its_model_holds_nobody_up(http: Http, talk: Talk) -> None:
    streams = [talk.open("!think 60") for _ in range(20)]
    runs = [stream.until("thread.run.in_progress")[0].data for stream in streams]
    assert http.get("/v1/assistants").status == 200
    assert talk.run("hello")["status"] == "completed"
    for stream, run in zip(streams, runs, strict=True):
        talk.cancel(run)
        stream.close()


@covers("field:cancel_interrupts")
def test_a_cancellation_does_not_wait_for_the_model(talk: Talk) -> None:
    run = talk.until(talk.begin("!think 3600"), "in_progress")
    begun = time.monotonic()
    talk.cancel(run)
    assert talk.until(run, "cancelled")["status"] == "cancelled"
    # The one bound on real time in this suite: the model would think for an hour.
    assert time.monotonic() - begun < 10
    assert not any(step["status"] == "completed" for step in talk.steps(run))


@covers("field:no_instructions")
def test_an_assistant_without_instructions_answers(talk: Talk) -> None:
    assert talk.run("hello")["status"] == "completed"


@covers("field:path_shadowing")
def test_creating_thread_and_run_is_no_thread_called_runs(http: Http, talk: Talk) -> None:
    answer = http.post("/v1/threads/runs", {})
    assert answer.error["param"] == "assistant_id"
    assert http.get("/v1/threads/runs").error["param"] == "thread_id"


@covers("field:usage")
def test_every_step_says_what_it_cost_and_the_run_says_the_sum(talk: Talk) -> None:
    text = "!say a\n!usage 30 20 10 5\n!call f\n!then\n!say b\n!usage 7 3 2 1"
    run = talk.run(text, tools=[function("f")])
    run = talk.until(talk.submit(run, ["x"]).json, "completed")
    steps = [step["usage"] for step in talk.steps(run)]
    assert len(steps) == 3
    assert run["usage"] == {
        "prompt_tokens": 37,
        "completion_tokens": 23,
        "total_tokens": 60,
        "prompt_token_details": {"cached_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert sum(usage[key] for usage in steps) == run["usage"][key]
