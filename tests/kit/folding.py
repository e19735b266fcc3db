"""What a run told, held against what its rows say: the rules that no run may break."""

import json
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta

from locum.engine.states import NEXT, TERMINAL
from locum.store.events import Event

_STEP_ENDS = {"completed", "failed", "cancelled", "expired"}
_MESSAGE_ENDS = {"completed", "incomplete"}


class Told:
    """The events of a run, read once from the first to the last."""

    def __init__(self, events: list[Event]) -> None:
        self.names = [event.name for event in events]
        self.objects = [json.loads(event.data) for event in events]
        self.numbers = [event.number for event in events]
        self.steps: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self.sums: dict[str, Any] = {}
        self.run: Any = None
        for name, data in zip(self.names, self.objects, strict=True):
            self._hear(name, data)

    def _hear(self, name: str, data: Any) -> None:
        kind, _, change = name.rpartition(".")
        if change == "delta":
            assert data["id"] in {**self.steps, **self.messages}, "a delta before its object"
            known = self.sums.setdefault(data["id"], {})
            self.sums[data["id"]] = accumulate_delta(known, data["delta"])
        elif kind == "thread.run.step":
            self._move(self.steps, data, change, _STEP_ENDS)
        elif kind == "thread.message":
            self._move(self.messages, data, change, _MESSAGE_ENDS)
            opened = [m for m in self.messages.values() if m["status"] == "in_progress"]
            assert len(opened) <= 1, "two messages open at once"
        elif kind == "thread.run":
            self._move_run(data, change)

    def _move(self, held: dict[str, Any], data: Any, change: str, ends: set[str]) -> None:
        known = held.get(data["id"])
        if change == "created":
            assert known is None
            assert data["status"] == "in_progress"
        elif change == "in_progress":
            assert known == data
        else:
            assert change in ends
            assert known is not None
            assert known["status"] == "in_progress", f"{known['status']} -> {change}"
            assert data["status"] == change
        held[data["id"]] = data

    def _move_run(self, data: Any, change: str) -> None:
        status = "queued" if change == "created" else change
        assert data["status"] == status
        before: Any = None if self.run is None else self.run["status"]
        if change == "created":
            assert before is None
        elif not (before == status == "queued"):
            assert status in NEXT[before], f"{before} -> {status}"
        assert before not in TERMINAL, "something happened after the end"
        self.run = data


def hold_together(told: Told, *, run: Any, steps: list[Any], messages: list[Any]) -> None:
    """Events against rows: nothing said that a list would not say, and nothing left out."""
    assert told.numbers == list(range(1, len(told.numbers) + 1))
    assert run["status"] in TERMINAL
    assert run["expires_at"] is None
    assert {**told.run, "tool_resources": None} == {**run, "tool_resources": None}
    assert [step["id"] for step in steps] == list(told.steps), "steps out of order"
    assert [message["id"] for message in messages] == list(told.messages)
    for step in steps:
        assert {**told.steps[step["id"]], "expires_at": None} == step
        assert step["status"] in _STEP_ENDS
        if step["type"] == "tool_calls":
            folded = _plain(told.sums[step["id"]])["step_details"]
            assert _without_outputs(folded) == _without_outputs(step["step_details"])
    for message in messages:
        assert told.messages[message["id"]] == message
        assert _plain(told.sums[message["id"]])["content"] == message["content"]
    assert told.run["usage"] == _sum([step["usage"] for step in steps if step["usage"]])


def _without_outputs(details: Any) -> Any:
    """Outputs of functions come from the client; no delta tells of them."""
    return [
        {**call, "function": {**call["function"], "output": None}} for call in details["tool_calls"]
    ]


def _sum(usages: list[Any]) -> Any:
    keys = ("prompt_tokens", "completion_tokens", "total_tokens")
    total: dict[str, Any] = {key: sum(usage[key] for usage in usages) for key in keys}
    for key, inner in (
        ("prompt_token_details", "cached_tokens"),
        ("completion_tokens_details", "reasoning_tokens"),
    ):
        total[key] = {inner: sum(usage[key][inner] for usage in usages)}
    return total


def _plain(value: Any) -> Any:
    """Lists in the order of their indexes, and without them."""
    if isinstance(value, list):
        return [_plain(item) for item in sorted(value, key=lambda item: item["index"])]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key != "index"}
    return value
