"""Deltas of a journal that nobody remembers, added up: what a crash leaves to who comes after."""

from typing import Any

import msgspec

from locum.engine import fold
from locum.store.events import Event
from locum.wire.messages import Refusal, Text
from locum.wire.steps import FunctionCall, FunctionDone


def told(name: str, object_id: str, delta: dict[str, Any]) -> Event:
    data = msgspec.json.encode({"id": object_id, "delta": delta}).decode()
    return Event(number=1, life=0, name=name, data=data)


def said(part: dict[str, Any]) -> Event:
    return told("thread.message.delta", "msg_1", {"content": [part]})


def called(function: dict[str, Any], **call: str) -> Event:
    call_delta = {"index": 0, "type": "function", "function": function, **call}
    delta = {"step_details": {"tool_calls": [call_delta]}}
    return told("thread.run.step.delta", "step_1", delta)


def test_a_very_long_answer_is_added_up_piece_by_piece() -> None:
    """Were each piece added to a text of megabytes, no server would come up for minutes."""
    piece = "word " * 400
    first = {"index": 0, "type": "text", "text": {"value": "", "annotations": []}}
    more = said({"index": 0, "type": "text", "text": {"value": piece}})
    refusal = said({"index": 1, "type": "refusal", "refusal": piece})
    text, refused = fold.message_parts([said(first), *[more] * 20_000, *[refusal] * 3], "msg_1")
    assert isinstance(text, Text)
    assert isinstance(refused, Refusal)
    assert (text.text.value, text.text.annotations) == (piece * 20_000, ())
    assert refused.refusal == piece * 3


def test_what_was_not_said_yet_is_nothing_and_what_was_is_kept() -> None:
    deltas = [
        called({"name": "f", "arguments": "", "output": None}, id="call_1"),
        called({"arguments": "{"}),
        called({"arguments": "}", "output": None}),
    ]
    open_call = FunctionCall(id="call_1", function=FunctionDone("f", "{}", None))
    assert fold.step_calls(deltas, "step_1") == (open_call,)
    answered = FunctionCall(id="call_1", function=FunctionDone("f", "{}", "18"))
    assert fold.step_calls([*deltas, called({"output": "18"})], "step_1") == (answered,)
