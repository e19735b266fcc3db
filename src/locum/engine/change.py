"""What a run comes to at one time: the rows and events of one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.engine.states import TERMINAL
from locum.store.runs import Plan
from locum.tools.tool import Memory
from locum.wire.messages import Message
from locum.wire.runs import Run
from locum.wire.steps import RunStep

_encode = msgspec.json.encode
_HELD_BY_NOBODY = TERMINAL | {"requires_action"}


class Labelled(Exception):
    """A client has given the message other metadata than its last event would tell."""

    def __init__(self, metadata: dict[str, str]) -> None:
        super().__init__()
        self.metadata = metadata


class Change(Struct, kw_only=True):
    """Rows of one transaction. What is new is inserted, what is old replaced."""

    run: Run | None = None
    plan: Plan | None = None
    # Whether the run is given back to the queue with it.
    released: bool = False
    new_step: RunStep | None = None
    new_message: Message | None = None
    steps: Sequence[tuple[RunStep, Sequence[Memory]]] = ()
    message: Message | None = None
    events: Sequence[tuple[str, Struct]] = ()

    @property
    def has_rows(self) -> bool:
        """Whether more is written than the run itself and its events."""
        return bool(self.new_step or self.new_message or self.steps or self.message)

    @property
    def lets_go(self) -> bool:
        """Whether nobody holds the run after it: it is over, or waits for its client."""
        if self.run is None:
            return False
        return self.released or self.run.status in _HELD_BY_NOBODY

    def columns(self, now: int) -> dict[str, Any]:
        """What it changes in the row of its run."""
        columns: dict[str, Any] = {}
        if self.run is not None:
            columns["status"] = self.run.status
            columns["document"] = _encode(self.run).decode()
            if self.run.status in TERMINAL:
                columns["ended_at"] = now
            if self.lets_go:
                columns["leased_by"] = None
        if self.plan is not None:
            columns["plan"] = _encode(self.plan).decode()
        return columns

    def labelled(self, metadata: dict[str, str]) -> "Change":
        """The same, of a message with this metadata."""
        assert self.message is not None
        message = replace(self.message, metadata=metadata)
        events = [(name, message if data is self.message else data) for name, data in self.events]
        return replace(self, message=message, events=events)
