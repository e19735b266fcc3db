"""A hosted tool whose calls are counted and timed, by its kind."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from locum.clock import Clock
from locum.metrics import Metrics
from locum.tools.tool import Call, Function, Kind, Memory, Setting, Tool, ToolFailed
from locum.wire.steps import ToolCall


class MeteredTool:
    def __init__(self, tool: Tool, *, metrics: Metrics, clock: Clock) -> None:
        self._tool = tool
        self._metrics = metrics
        self._clock = clock

    @property
    def kind(self) -> Kind:
        return self._tool.kind

    async def functions(self, setting: Setting) -> Sequence[Function]:
        return await self._tool.functions(setting)

    async def open(self, setting: Setting, *, call_id: str, name: str, context_item: int) -> Call:
        call = await self._tool.open(setting, call_id=call_id, name=name, context_item=context_item)
        return _MeteredCall(call, kind=self.kind, metrics=self._metrics, clock=self._clock)

    async def forget(self, project_id: str, thread_id: str) -> None:
        await self._tool.forget(project_id, thread_id)


class _MeteredCall:
    def __init__(self, call: Call, *, kind: Kind, metrics: Metrics, clock: Clock) -> None:
        self._call = call
        self._kind = kind
        self._metrics = metrics
        self._clock = clock

    def begin(self) -> dict[str, Any]:
        return self._call.begin()

    def write(self, arguments: str) -> dict[str, Any] | None:
        return self._call.write(arguments)

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        begun = self._clock.monotonic()
        outcome = "stopped"
        try:
            async with aclosing(self._call.run()) as deltas:
                async for delta in deltas:
                    yield delta
            outcome = "done"
        except ToolFailed:
            outcome = "failed"
            raise
        finally:
            self._metrics.tools.calls.labels(self._kind, outcome).inc()
            took_s = self._clock.monotonic() - begun
            self._metrics.tools.seconds.labels(self._kind).observe(took_s)

    def done(self) -> ToolCall:
        return self._call.done()

    def memory(self) -> Memory:
        return self._call.memory()
