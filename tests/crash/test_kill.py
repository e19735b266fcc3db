"""A real server, killed by the kernel in every state a run can be in, and started again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from locum.settings import Settings
from locum.store.sqlite import SqliteDatabase
from locum.store.tables import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

WAIT_S = 20.0
TERMINAL = {"completed", "failed", "cancelled", "expired", "incomplete"}


class Process:
    """One life of `locum serve` over a directory."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locum", "serve", "--port", "0"),
                *("--data", str(directory), "--model", "scripted"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "LOCUM_SANDBOX_WARM": "0"},
        )
        assert self._process.stdout is not None
        self.url = ""
        for line in self._process.stdout:
            found = [word for word in line.split() if word.startswith("http://127.0.0.1:")]
            if found:
                self.url = found[0].rstrip("/.,").removesuffix("/v1")
                break
        assert self.url, "the server did not say where it listens"

    @property
    def sdk(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-any", max_retries=0)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def life(directory: Path) -> Iterator[Process]:
    process = Process(directory)
    try:
        yield process
    finally:
        process.stop()


def begin(process: Process, text: str) -> tuple[str, str]:
    client = process.sdk
    assistant = client.beta.assistants.create(
        model="scripted",
        tools=[{"type": "function", "function": {"name": "weather"}}],
    )
    run = client.beta.threads.create_and_run(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": text}]},
    )
    return run.thread_id, run.id


def until(process: Process, thread_id: str, run_id: str, statuses: set[str]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while True:
        run = process.sdk.beta.threads.runs.retrieve(run_id, thread_id=thread_id)
        if run.status in statuses:
            return run
        assert time.monotonic() < deadline, f"the run stays {run.status}"


def steps(process: Process, thread_id: str, run_id: str) -> list[Any]:
    listed = process.sdk.beta.threads.runs.steps.list(run_id, thread_id=thread_id, order="asc")
    return list(listed)


def events(process: Process, thread_id: str, run_id: str, after: str = "") -> list[tuple[str, str]]:
    """Number and name of every event of a run, from a resumed stream."""
    path = f"{process.url}/v1/threads/{thread_id}/runs/{run_id}/events"
    headers = {"Authorization": "Bearer sk-any"} | ({"Last-Event-ID": after} if after else {})
    told = []
    number = ""
    with httpx2.stream("GET", path, headers=headers, timeout=WAIT_S) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = line.removeprefix("id: ")
            if line.startswith("event: ") and line != "event: done":
                told.append((number, line.removeprefix("event: ")))
    return told


def test_a_run_killed_while_the_model_thinks_is_begun_again(tmp_path: Path) -> None:
    first = Process(tmp_path)
    thread_id, run_id = begin(first, "!think 1\n!say Done thinking.")
    until(first, thread_id, run_id, {"in_progress"})
    first.kill()
    with life(tmp_path) as second:
        assert until(second, thread_id, run_id, TERMINAL).status == "completed"
        assert [step.status for step in steps(second, thread_id, run_id)] == ["completed"]


def test_a_run_killed_in_the_middle_of_a_message_says_so_and_says_it_again(
    tmp_path: Path,
) -> None:
    first = Process(tmp_path)
    thread_id, run_id = begin(first, "!pace 0.05\n!say " + " ".join("abcdefghijklmnopqrst"))
    seen = _first_events(first, thread_id, run_id, 12)
    first.kill()
    with life(tmp_path) as second:
        run = until(second, thread_id, run_id, TERMINAL)
        assert run.status == "completed"
        lost, again = steps(second, thread_id, run_id)
        assert (lost.status, again.status) == ("failed", "completed")
        assert "worker" in lost.last_error.message
        listed = second.sdk.beta.threads.messages.list(thread_id, run_id=run_id, order="asc")
        cut, whole = [message.content[0].text.value for message in listed]  # type: ignore[union-attr]
        assert whole == " ".join("abcdefghijklmnopqrst")
        assert whole.startswith(cut)
        everything = events(second, thread_id, run_id)
        resumed = events(second, thread_id, run_id, after=seen[-1])
        assert resumed[-2:] == everything[-2:]
        assert resumed == [told for told in everything if _place(told[0]) > _place(seen[-1])]


def test_a_run_killed_while_it_waits_for_its_client_still_waits(tmp_path: Path) -> None:
    first = Process(tmp_path)
    thread_id, run_id = begin(first, "!call weather {}")
    waiting = until(first, thread_id, run_id, {"requires_action"})
    first.kill()
    with life(tmp_path) as second:
        again = second.sdk.beta.threads.runs.retrieve(run_id, thread_id=thread_id)
        assert again.to_dict() == waiting.to_dict()
        [call] = waiting.required_action.submit_tool_outputs.tool_calls
        second.sdk.beta.threads.runs.submit_tool_outputs(
            run_id, thread_id=thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "sun"}]
        )
        assert until(second, thread_id, run_id, TERMINAL).status == "completed"
        done = steps(second, thread_id, run_id)
        assert [step.status for step in done] == ["completed", "completed"]
        assert done[0].step_details.tool_calls[0].function.output == "sun"


def test_a_run_that_costs_every_worker_its_life_fails_and_says_why(tmp_path: Path) -> None:
    process = Process(tmp_path)
    thread_id, run_id = begin(process, "!think 600\n!say Never.")
    for _ in range(3):
        until(process, thread_id, run_id, {"in_progress"})
        process.kill()
        process = Process(tmp_path)
    try:
        run = until(process, thread_id, run_id, TERMINAL)
        assert run.status == "failed"
        assert run.last_error.code == "server_error"
        assert "lost 3 times" in run.last_error.message
        process.sdk.beta.threads.messages.create(thread_id, role="user", content="still usable")
    finally:
        process.stop()


def test_a_stream_that_was_cut_by_the_kill_resumes_with_exactly_what_was_missed(
    tmp_path: Path,
) -> None:
    first = Process(tmp_path)
    thread_id, run_id = begin(first, "!call weather {}")
    until(first, thread_id, run_id, {"requires_action"})
    before = events(first, thread_id, run_id)
    first.kill()
    with life(tmp_path) as second:
        for index, (number, _) in enumerate(before[:-1]):
            assert events(second, thread_id, run_id, after=number) == before[index + 1 :]


def test_the_session_of_a_thread_that_was_deleted_just_before_the_kill_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUM_SANDBOX", "unsafe-subprocess")
    first = Process(tmp_path)
    assistant = first.sdk.beta.assistants.create(
        model="scripted", tools=[{"type": "code_interpreter"}]
    )
    message: Any = {"role": "user", "content": "!python _ = open('own', 'w').write('x')"}
    kept, deleted = (
        first.sdk.beta.threads.create_and_run_poll(
            assistant_id=assistant.id, thread={"messages": [message]}, poll_interval_ms=20
        ).thread_id
        for _ in range(2)
    )
    first.kill()
    assert len(list(tmp_path.glob("sandbox/sessions/*/own"))) == 2

    # The row goes first, then the process that was to remove the files.
    async def delete() -> None:
        database = SqliteDatabase(tmp_path / "locum.db", durable=False)
        async with database.transaction() as tx:
            await Store(database).threads.remove(tx, Settings().project, deleted)
        await database.close()

    asyncio.run(delete())
    with life(tmp_path) as second:
        deadline = time.monotonic() + WAIT_S
        while len(list(tmp_path.glob("sandbox/sessions/*"))) > 1:
            assert second.sdk.beta.threads.retrieve(kept)
            assert time.monotonic() < deadline, "the session stays"
        second.sdk.beta.threads.messages.create(
            kept, role="user", content="!python import os; print(os.listdir())"
        )
        run = second.sdk.beta.threads.runs.create_and_poll(
            thread_id=kept, assistant_id=assistant.id, poll_interval_ms=20
        )
        [step] = [s for s in steps(second, kept, run.id) if s.type == "tool_calls"]
        [output] = step.step_details.tool_calls[0].code_interpreter.outputs
        assert output.logs == "['own']\n"


def _first_events(process: Process, thread_id: str, run_id: str, count: int) -> list[str]:
    path = f"{process.url}/v1/threads/{thread_id}/runs/{run_id}/events"
    numbers: list[str] = []
    with httpx2.stream(
        "GET", path, headers={"Authorization": "Bearer sk-any"}, timeout=WAIT_S
    ) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                numbers.append(line.removeprefix("id: "))
            if len(numbers) == count:
                break
    return numbers


def _place(text: str) -> tuple[int, int]:
    life_number, _, number = text.rpartition(".")
    return int(life_number or 0), int(number)
