"""The one interface by which hosted tools enter a run.

A tool is offered to the model as a function. While the model writes a call, the tool turns
what is written into step deltas; when it is written, the tool does it; afterwards it says what
the step shows and what the model is told. The engine knows nothing else of any tool.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from locum.wire.runs import Run
from locum.wire.steps import ToolCall

Kind = Literal["code_interpreter", "file_search", "mcp"]


class Setting(Struct, frozen=True, kw_only=True):
    """The run a call belongs to, and what it may use."""

    project_id: str
    run: Run
    file_ids: tuple[str, ...] = ()
    vector_store_ids: tuple[str, ...] = ()
    # Those of them that are the thread's own.
    thread_store_ids: tuple[str, ...] = ()
    # What MCP servers are sent, by label; the run itself shows only the names of headers.
    headers: dict[str, dict[str, str]] = field(default_factory=dict)


class Function(Struct, frozen=True):
    """How the model sees the tool. `notes` go to the end of its instructions."""

    name: str
    description: str
    parameters: dict[str, Any]
    notes: str = ""


class Memory(Struct, frozen=True, omit_defaults=True):
    """What the model is to remember of a call, in this run and in later ones."""

    call_id: str
    name: str
    arguments: str
    result: str
    # Markers the model may quote, each with the file it stands for.
    citations: dict[str, str] = field(default_factory=dict)
    # Files the call has written, by the path the model knows them by.
    paths: dict[str, str] = field(default_factory=dict)
    # Pictures the call has shown; the next message begins with them.
    images: tuple[str, ...] = ()


class Call(Protocol):
    """One call, from its first letter to its result."""

    def begin(self) -> dict[str, Any]:
        """The first delta of the call, but for its index, id and type."""
        ...

    def write(self, arguments: str) -> dict[str, Any] | None:
        """The delta for another piece of the model's arguments, if it shows."""
        ...

    def run(self) -> AsyncGenerator[dict[str, Any], None]:
        """Do it; each delta as it comes. Closing the generator stops the work at once.

        A failure of what was asked is a result like any other. `ToolFailed` ends the step.
        """
        ...

    def done(self) -> ToolCall:
        """The call as its finished step shows it."""
        ...

    def memory(self) -> Memory: ...


class Tool(Protocol):
    @property
    def kind(self) -> Kind: ...

    async def functions(self, setting: Setting) -> Sequence[Function]:
        """What is offered in this run; nothing when the run's tools do not ask for it."""
        ...

    async def open(self, setting: Setting, *, call_id: str, name: str, context_item: int) -> Call:
        """A call the model begins. `context_item` numbers it among the calls of the thread."""
        ...

    async def forget(self, project_id: str, thread_id: str) -> None:
        """The thread is deleted: keep nothing of it."""
        ...


class ToolFailed(Exception):
    """The tool itself is broken: the step fails with these words, the model goes on."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
