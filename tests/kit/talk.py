"""Assistants, threads and runs in a line each, for tests that are about what comes after."""

import json
from itertools import groupby
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta
from tests.kit.http import Answer, Frame, Http, Stream

# Polls are quick; beside other tests code may take some seconds to be begun.
_MOST_POLLS = 50_000
ENDED = ("completed", "incomplete", "failed", "cancelled", "expired")


class Talk:
    """Speaks to a server over plain HTTP, and expects to be understood."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def assistant(self, **body: Any) -> str:
        return str(_good(self.http.post("/v1/assistants", {"model": "scripted", **body}))["id"])

    def thread(self, *texts: str, **body: Any) -> str:
        messages = [{"role": "user", "content": text} for text in texts]
        return str(_good(self.http.post("/v1/threads", {"messages": messages, **body}))["id"])

    def message(self, thread_id: str, text: str) -> Any:
        body = {"role": "user", "content": text}
        return _good(self.http.post(f"/v1/threads/{thread_id}/messages", body))

    def begin(self, text: str, *, tools: list[Any] | None = None, **body: Any) -> Any:
        """A run on a new thread in which a user has said `text`."""
        assistant_id = self.assistant(tools=tools or [])
        path = f"/v1/threads/{self.thread(text)}/runs"
        return _good(self.http.post(path, {"assistant_id": assistant_id, **body}))

    def run(self, text: str, **options: Any) -> Any:
        """The same, when it has nothing more to do."""
        return self.until(self.begin(text, **options), *ENDED, "requires_action")

    def open(self, text: str, *, tools: list[Any] | None = None, **body: Any) -> Stream:
        """A stream of such a run, still coming."""
        path = f"/v1/threads/{self.thread(text)}/runs"
        asked = {"assistant_id": self.assistant(tools=tools or []), "stream": True, **body}
        return self.http.stream("POST", path, asked)

    def frames(self, text: str, *, tools: list[Any] | None = None, **body: Any) -> list[Frame]:
        """All its events."""
        asked = {"assistant_id": self.assistant(tools=tools or []), **body}
        return self.http.frames(f"/v1/threads/{self.thread(text)}/runs", asked)

    def submit(self, run: Any, outputs: list[str], **body: Any) -> Answer:
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        answers = [
            {"tool_call_id": call["id"], "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]
        return self.http.post(
            f"{path_of(run)}/submit_tool_outputs", {"tool_outputs": answers, **body}
        )

    def submit_frames(self, run: Any, outputs: list[str]) -> list[Frame]:
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        answers = [
            {"tool_call_id": call["id"], "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]
        return self.http.frames(f"{path_of(run)}/submit_tool_outputs", {"tool_outputs": answers})

    def cancel(self, run: Any) -> Answer:
        return self.http.post(f"{path_of(run)}/cancel")

    def until(self, run: Any, *statuses: str) -> Any:
        """Read the run until it has one of these statuses."""
        for _ in range(_MOST_POLLS):
            read = self.read(run)
            if read["status"] in statuses:
                return read
        raise AssertionError(f"still {read['status']}, never one of {statuses}")

    def read(self, run: Any) -> Any:
        return _good(self.http.get(path_of(run)))

    def steps(self, run: Any, query: str = "order=asc") -> list[Any]:
        return list(_good(self.http.get(f"{path_of(run)}/steps?{query}"))["data"])

    def messages(self, thread_id: str, query: str = "order=asc") -> list[Any]:
        return list(_good(self.http.get(f"/v1/threads/{thread_id}/messages?{query}"))["data"])


def path_of(run: Any) -> str:
    return f"/v1/threads/{run['thread_id']}/runs/{run['id']}"


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def outline(frames: list[Frame]) -> list[str]:
    """The names of events in order, with any number of deltas in a row told once."""
    return [
        f"{name} ×n" if name.endswith(".delta") else name
        for name, group in groupby(frame.event for frame in frames)
        for _ in ([1] if name.endswith(".delta") else group)
    ]


def last(frames: list[Frame], event: str) -> Any:
    """The object of the last event of that name."""
    return [frame.data for frame in frames if frame.event == event][-1]


def folded(frames: list[Frame], event: str) -> dict[str, Any]:
    """Deltas added up per object as the official client adds them, without their indexes."""
    sums: dict[str, Any] = {}
    for frame in frames:
        if frame.event == event:
            data = json.loads(frame.text)
            known = sums.setdefault(data["id"], {})
            sums[data["id"]] = accumulate_delta(known, data["delta"])
    return {key: _plain(value) for key, value in sums.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in sorted(value, key=lambda item: item["index"])]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key != "index"}
    return value


def _good(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json
