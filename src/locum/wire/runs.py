"""Runs: how one is asked for, and what it tells of itself."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from locum import limits
from locum.wire.fields import (
    Input,
    Instructions,
    Metadata,
    ModelName,
    ReasoningEffort,
    Temperature,
    TopP,
)
from locum.wire.messages import NewMessages
from locum.wire.threads import CreateThread
from locum.wire.tools import (
    AskedToolResources,
    Choice,
    ResponseFormat,
    Tool,
    ToolResources,
    Tools,
)

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]
RunErrorCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
Include = Literal["step_details.tool_calls[*].file_search.results[*].content"]


# ---------------------------------------------------------------- what is asked


class Truncation(Input, frozen=True, kw_only=True):
    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Meta(ge=1)] | None = None


class RunOptions(Input, frozen=True, kw_only=True):
    """What both ways of creating a run have in common; null is as good as absent."""

    assistant_id: str
    model: ModelName | None = None
    reasoning_effort: ReasoningEffort | None = None
    instructions: Instructions | None = None
    tools: Tools | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: Annotated[int, Meta(ge=limits.MIN_PROMPT_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=limits.MIN_COMPLETION_TOKENS)] | None = None
    truncation_strategy: Truncation | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None


class CreateRun(RunOptions, frozen=True, kw_only=True):
    additional_instructions: Instructions | None = None
    additional_messages: NewMessages | None = None


class CreateThreadAndRun(RunOptions, frozen=True, kw_only=True):
    thread: CreateThread | None = None
    tool_resources: AskedToolResources | None = None


class CreateRunQuery(Struct, frozen=True, kw_only=True):
    include: tuple[Include, ...] = field(default=(), name="include[]")


class ToolOutput(Input, frozen=True, kw_only=True):
    tool_call_id: str | None = None
    output: str | None = None


class SubmitToolOutputs(Input, frozen=True, kw_only=True):
    tool_outputs: Annotated[tuple[ToolOutput, ...], Meta(max_length=limits.TOOL_OUTPUTS)]
    stream: bool | None = None


# -------------------------------------------------------------- what is answered


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: str


class RequiredCall(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class RequiredCalls(Struct, frozen=True):
    tool_calls: tuple[RequiredCall, ...]


class RequiredAction(Struct, frozen=True, kw_only=True):
    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    submit_tool_outputs: RequiredCalls


class RunError(Struct, frozen=True):
    code: RunErrorCode
    message: str


class RunIncompleteDetails(Struct, frozen=True):
    reason: Literal["max_completion_tokens", "max_prompt_tokens", "content_filter"]


class CachedTokens(Struct, frozen=True):
    cached_tokens: int = 0


class ReasoningTokens(Struct, frozen=True):
    reasoning_tokens: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    # "token" without an s: the original's own inconsistency.
    prompt_token_details: CachedTokens = CachedTokens()
    completion_tokens_details: ReasoningTokens = ReasoningTokens()

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            prompt_token_details=CachedTokens(
                self.prompt_token_details.cached_tokens + other.prompt_token_details.cached_tokens
            ),
            completion_tokens_details=ReasoningTokens(
                self.completion_tokens_details.reasoning_tokens
                + other.completion_tokens_details.reasoning_tokens
            ),
        )


class Run(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread.run"] = "thread.run"
    created_at: int
    assistant_id: str
    thread_id: str
    status: RunStatus
    started_at: int | None
    expires_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    required_action: RequiredAction | None
    last_error: RunError | None
    model: str
    instructions: str | None
    tools: tuple[Tool, ...]
    tool_resources: ToolResources
    metadata: dict[str, str]
    temperature: float | None
    top_p: float | None
    reasoning_effort: str | None
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    truncation_strategy: Truncation
    incomplete_details: RunIncompleteDetails | None
    usage: Usage | None
    response_format: ResponseFormat
    tool_choice: Choice
    parallel_tool_calls: bool
