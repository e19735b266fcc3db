"""A call of a function that nobody has, in a run whose client has none: the model is told so.

A model may name what it saw earlier in its thread: the tool of a server that is down today.
"""

from collections.abc import AsyncGenerator
from typing import Any

from locum.tools.tool import Memory, ToolFailed
from locum.wire.steps import FunctionCall, FunctionDone, ToolCall


class UnknownCall:
    """As a hosted tool's call, of a tool that always fails."""

    def __init__(self, call_id: str, name: str) -> None:
        self._call_id = call_id
        self._name = name
        self._written: list[str] = []

    def begin(self) -> dict[str, Any]:
        return {"name": self._name, "arguments": "", "output": None}

    def write(self, arguments: str) -> dict[str, Any]:
        self._written.append(arguments)
        return {"arguments": arguments}

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        nothing: tuple[dict[str, Any], ...] = ()
        for delta in nothing:
            yield delta
        raise ToolFailed(f"There is no function '{self._name}' in this run.")

    def done(self) -> ToolCall:
        called = FunctionDone(self._name, "".join(self._written), None)
        return FunctionCall(id=self._call_id, function=called)

    def memory(self) -> Memory:
        return Memory(self._call_id, self._name, "".join(self._written), "[no output]")
