"""A call that the model's provider carries out: it is told as it comes, and done by nobody here."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from locum.llm import protocol as llm
from locum.llm import provider_calls
from locum.tools.tool import Memory
from locum.wire.steps import CodeInterpreterCall, FunctionCall, ToolCall


class ProvidedCall:
    """As a hosted tool's call, so that its step is opened, told and closed like any other."""

    def __init__(self, begun: llm.ProviderCallBegun) -> None:
        self._begun = begun
        self._given: list[str] = []
        self._done: llm.ProviderCallDone | None = None

    def begin(self) -> dict[str, Any]:
        match self._begun.kind:
            case "code_interpreter":
                return {"input": "", "outputs": []}
            case "file_search":
                ranking = msgspec.to_builtins(provider_calls.RANKING)
                return {"ranking_options": ranking, "results": []}
        return {"name": self._begun.name, "arguments": "", "output": None}

    def write(self, arguments: str) -> dict[str, Any]:
        self._given.append(arguments)
        field = "input" if self._begun.kind == "code_interpreter" else "arguments"
        return {field: arguments}

    def end(self, done: llm.ProviderCallDone) -> dict[str, Any] | None:
        """The delta for what came of it, if streams tell it."""
        self._done = done
        match done.call:
            case CodeInterpreterCall(code_interpreter=code) if code.outputs:
                outputs = msgspec.to_builtins(code.outputs)
                return {"outputs": [{"index": at, **told} for at, told in enumerate(outputs)]}
            case FunctionCall(function=function) if function.output is not None:
                return {"output": function.output}
        return None

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        """Nothing is left to do."""
        nothing: tuple[dict[str, Any], ...] = ()
        for delta in nothing:
            yield delta

    def done(self) -> ToolCall:
        if self._done is not None:
            return self._done.call
        return provider_calls.call_of(
            self._begun.id,
            self._begun.kind,
            self._begun.name,
            "".join(self._given),
            provider_calls.Told(),
        )

    def memory(self) -> Memory:
        done = self._done
        assert done is not None
        return Memory(self._begun.id, done.name, done.arguments, done.result)
