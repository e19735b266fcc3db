"""What a run comes to at one time: the rows and events of one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.engine.states import TERMINAL
from locum.store.database import Transaction
from locum.store.runs import Plan
from locum.store.tables import Store
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
    def states(self) -> list[Run]:
        """The states that the run comes into, one after the other."""
        return [data for _, data in self.events if isinstance(data, Run)]

    @property
    def lets_go(self) -> bool:
        """Whether nobody holds the run after it: it is over, or waits for its client."""
        if self.run is None:
            return False
        return self.released or self.run.status in _HELD_BY_NOBODY

    def fits_after(self, earlier: "Change") -> bool:
        """Whether both can be written at once: a change opens one step."""
        return self.new_step is None or earlier.new_step is None

    def after(self, earlier: "Change") -> "Change":
        """Both at once, of which the earlier has begun and opened things, and ended none."""
        return replace(
            self,
            run=self.run or earlier.run,
            new_step=self.new_step or earlier.new_step,
            new_message=self.new_message or earlier.new_message,
            events=[*earlier.events, *self.events],
        )

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


async def write_rows(tx: Transaction, store: Store, project_id: str, change: Change) -> None:
    """What is new is inserted, as it has ended if it ends with the same change."""
    ended = {step.id: (step, memory) for step, memory in change.steps}
    said = change.message
    if (message := change.new_message) is not None:
        if said is not None and said.id == message.id:
            message, said = said, None
        await store.messages.insert(
            tx,
            project_id,
            message.id,
            message,
            owner_id=message.thread_id,
            run_id=message.run_id,
            role="assistant",
        )
    if said is not None:
        await _close_message(tx, store, project_id, said)
    if change.new_step is not None:
        step, memory = ended.pop(change.new_step.id, (change.new_step, ()))
        await store.steps.insert(
            tx,
            project_id,
            step.id,
            step,
            owner_id=step.run_id,
            alone=True,
            thread_id=step.thread_id,
            memory=_encode(memory).decode(),
        )
    for step, memory in ended.values():
        await store.steps.replace(
            tx, project_id, step.id, step, owner_id=step.run_id, memory=_encode(memory).decode()
        )


async def _close_message(tx: Transaction, store: Store, project_id: str, message: Message) -> None:
    """A client may have deleted the message meanwhile, or given it metadata."""
    row = await store.messages.hold(tx, project_id, message.id, owner_id=message.thread_id)
    if row is None:
        return
    if (metadata := row.read().metadata) != message.metadata:
        raise Labelled(metadata)
    await store.messages.replace(tx, project_id, message.id, message, owner_id=message.thread_id)
