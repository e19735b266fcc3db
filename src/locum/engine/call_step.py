"""A step of calls, which begins when no other is open: what is written before waits with it."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from locum.engine.recorder import Recorder
from locum.wire.steps import RunStep


class CallStep:
    def __init__(self, recorder: Recorder, *told: dict[str, Any]) -> None:
        self.closed = False
        self._recorder = recorder
        # What its stream will tell when it begins.
        self._held = [*told]
        self._step: RunStep | None = None

    @property
    def row(self) -> RunStep:
        assert self._step is not None
        return self._step

    @property
    def is_open(self) -> bool:
        return self._step is not None and not self.closed

    async def tell(self, delta: dict[str, Any]) -> None:
        if self._step is None:
            self._held.append(delta)
        else:
            await self._recorder.call(self._step, delta)

    async def open(self) -> None:
        """Begin it with all that was written of it so far, unless it has begun."""
        if self._step is not None:
            return
        first, *rest = self._held
        self._step = await self._recorder.open_calls(first)
        for delta in _in_one_piece(rest):
            await self._recorder.call(self._step, delta)


def _in_one_piece(deltas: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was written of a call in many pieces, in one: told at once, all would be too many."""
    for index, pieces in groupby(deltas, lambda one: None if "id" in one else one["index"]):
        if index is None:
            yield from pieces  # They begin calls.
            continue
        first, *more = pieces
        kind = first["type"]
        [(name, text)] = first[kind].items()
        yield first | {kind: {name: text + "".join(one[kind][name] for one in more)}}
