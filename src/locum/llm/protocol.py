"""What the engine asks of a model, and what a model tells while it speaks.

The messages have the shape of Chat Completions, the one dialect every server understands.
"""

from collections.abc import AsyncGenerator
from typing import Any, ClassVar, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType, field

from locum.wire.steps import ToolCall


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class ImageURL(Struct, frozen=True, omit_defaults=True):
    url: str
    detail: str = "auto"


class Image(Struct, frozen=True, tag_field="type", tag="image_url"):
    """A picture by address; one that is stored here comes as a `data:` URL."""

    image_url: ImageURL


Part = Text | Image


class System(Struct, frozen=True, tag_field="role", tag="system"):
    content: str


class User(Struct, frozen=True, tag_field="role", tag="user"):
    content: str | tuple[Part, ...]


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: str


class Call(Struct, frozen=True):
    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class Assistant(Struct, frozen=True, tag_field="role", tag="assistant"):
    content: str | None
    tool_calls: tuple[Call, ...] | UnsetType = UNSET


class ToolResult(Struct, frozen=True, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str


Message = System | User | Assistant | ToolResult


def call_ids(message: Message) -> list[str]:
    """The ids of the calls that were made in this message."""
    calls = message.tool_calls if isinstance(message, Assistant) else ()
    return [call.id for call in calls or ()]


class Function(Struct, frozen=True, omit_defaults=True):
    """A function as the model sees it. `kind` is ours: which tool of the run stands behind it."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    strict: bool = False


class Offer(Struct, frozen=True):
    """One function offered to the model, and the tool type behind it."""

    function: Function
    kind: Literal["function", "code_interpreter", "file_search", "mcp"] = "function"


# "none", "auto", "required", or the name of the one function that must be called.
class Named(Struct, frozen=True):
    name: str


Choice = Literal["none", "auto", "required"] | Named


class Request(Struct, frozen=True, kw_only=True):
    """One turn of a model. What is None is left to the backend."""

    model: str
    messages: tuple[Message, ...]
    offers: tuple[Offer, ...] = ()
    choice: Choice = "auto"
    parallel: bool = True
    # `{"type": "json_object"}`, `{"type": "json_schema", …}`; None asks for plain text.
    response_format: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_tokens: int | None = None


class TextDelta(Struct, frozen=True):
    text: str


class RefusalDelta(Struct, frozen=True):
    text: str


class CallBegun(Struct, frozen=True):
    """The model begins call number `index` of its turn. Indexes count 0, 1, 2 … without gaps."""

    index: int
    id: str
    name: str


class CallDelta(Struct, frozen=True):
    index: int
    arguments: str


class ProviderCallBegun(Struct, frozen=True):
    """The provider begins a call that it carries out itself; `name` only of a function."""

    id: str
    kind: Literal["code_interpreter", "file_search", "function"]
    name: str = ""


class ProviderCallDelta(Struct, frozen=True):
    """More of what the call is given: code, or arguments."""

    id: str
    text: str


class ProviderCallDone(Struct, frozen=True):
    """The call is over: as its step shows it, and what the model is to remember of it.

    The deltas before it add up to what `call` was given.
    """

    id: str
    call: ToolCall
    name: str
    arguments: str
    result: str
    error: str | None = None


class Usage(Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Finished(Struct, frozen=True):
    """The last event of every turn that did not fail; nothing follows it."""

    reason: Literal["stop", "length", "calls", "content_filter"]
    usage: Usage
    # False: counted here, because the backend gave no figures.
    counted_by_backend: bool = field(default=True)


ProviderEvent = ProviderCallBegun | ProviderCallDelta | ProviderCallDone
Event = TextDelta | RefusalDelta | CallBegun | CallDelta | ProviderEvent | Finished


class Backend(Protocol):
    """A model that can be asked. One instance serves every run; it keeps nothing between turns."""

    name: ClassVar[str]

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Speak one turn. Closing the generator, or cancelling its task, stops the model at once.

        Hold it with `contextlib.aclosing`: one that is only dropped is closed when that suits
        the garbage collector.

        A failure is raised as `ModelError`, before the first event or after any of them.
        """
        ...

    async def models(self) -> list[str]:
        """Names that `GET /v1/models` shows; raises `ModelError` when it cannot tell."""
        ...

    async def check(self) -> str:
        """One line for `locum doctor`: what answers, where. Raises `ModelError` with what to do."""
        ...

    async def close(self) -> None: ...


ErrorCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]


class ModelError(Exception):
    """A turn that failed: the run's `last_error`, in the backend's own words."""

    def __init__(self, message: str, *, code: ErrorCode = "server_error") -> None:
        super().__init__(message)
        self.message = message
        self.code: ErrorCode = code
