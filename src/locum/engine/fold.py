"""Deltas of a journal, added up to the object they tell of, as clients add them up.

Needed where nobody remembers: a worker was lost, and what its run had open is closed by another.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from locum.store.events import Event
from locum.wire.messages import Part
from locum.wire.steps import ToolCall


def message_parts(events: Iterable[Event], message_id: str) -> tuple[Part, ...]:
    folded: dict[int, Any] = {}
    for data in _deltas(events, "thread.message.delta", message_id):
        _merge_list(folded, data["delta"]["content"])
    return msgspec.convert(_plain(folded), tuple[Part, ...])


def step_calls(events: Iterable[Event], step_id: str) -> tuple[ToolCall, ...]:
    folded: dict[int, Any] = {}
    for data in _deltas(events, "thread.run.step.delta", step_id):
        _merge_list(folded, data["delta"]["step_details"]["tool_calls"])
    return msgspec.convert(_plain(folded), tuple[ToolCall, ...])


def _deltas(events: Iterable[Event], name: str, object_id: str) -> Iterable[dict[str, Any]]:
    for event in events:
        if event.name == name:
            data = msgspec.json.decode(event.data)
            if data["id"] == object_id:
                yield data


def _merge_list(folded: dict[int, Any], items: list[dict[str, Any]]) -> None:
    for item in items:
        _merge(folded.setdefault(item["index"], {}), item)


def _merge(folded: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        old = folded.get(key)
        if key in {"index", "type"} or old is None or value is None:
            folded[key] = _indexed(value) if old is None or value is not None else old
        elif isinstance(value, str):
            old.append(value)
        elif isinstance(value, list):
            _merge_list(old, value)
        elif isinstance(value, dict):
            _merge(old, value)
        else:
            folded[key] = old + value


def _indexed(value: Any) -> Any:
    """Lists are kept by index while they grow, and texts in pieces: an answer has very many."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        kept: dict[int, Any] = {}
        _merge_list(kept, value)
        return kept
    if isinstance(value, dict):
        return {key: _indexed(inner) for key, inner in value.items()}
    return value


def _plain(folded: dict[int, Any]) -> list[Any]:
    return [_closed(folded[index]) for index in sorted(folded)]


def _closed(value: Any) -> Any:
    """An object without what only deltas carry: indexes, and the empty quote of a citation."""
    if isinstance(value, list):
        return "".join(value)
    if not isinstance(value, dict):
        return value
    if value and all(isinstance(key, int) for key in value):
        return _plain(value)
    closed = {key: _closed(inner) for key, inner in value.items() if key != "index"}
    if closed.get("quote") == "":
        del closed["quote"]
    for key in ("annotations", "outputs", "results"):
        if closed.get(key) == {}:
            closed[key] = []
    return closed
