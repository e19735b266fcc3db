"""Assistants."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from locum import limits
from locum.wire.fields import (
    Description,
    Input,
    Instructions,
    Metadata,
    ModelName,
    Name,
    ReasoningEffort,
    Temperature,
    TopP,
    Unfit,
)
from locum.wire.tools import (
    AskedCodeResources,
    ResponseFormat,
    Tool,
    ToolResources,
    Tools,
)
from locum.wire.vector_stores import StoreHelper


class AskedSearchResources(Input, frozen=True, kw_only=True):
    """A list that is not named is the one there is, or an empty one."""

    vector_store_ids: (
        Annotated[tuple[str, ...], Meta(max_length=limits.STORES_PER_OWNER)] | UnsetType
    ) = UNSET


class NewSearchResources(AskedSearchResources, frozen=True, kw_only=True):
    """Either stores that exist, or one to be made."""

    vector_stores: (
        Annotated[tuple[StoreHelper, ...], Meta(max_length=limits.STORES_PER_OWNER)] | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if self.vector_store_ids and self.vector_stores:
            raise Unfit("only one of 'vector_store_ids' and 'vector_stores' may be given")


class NewToolResources(Struct, frozen=True, kw_only=True):
    """Open, as in the original: what is meant for a tool that is unknown is passed over."""

    code_interpreter: AskedCodeResources | None | UnsetType = UNSET
    file_search: NewSearchResources | None | UnsetType = UNSET


class ModifyToolResources(Struct, frozen=True, kw_only=True):
    """As new ones, but that no store is made in passing."""

    code_interpreter: AskedCodeResources | None | UnsetType = UNSET
    file_search: AskedSearchResources | None | UnsetType = UNSET


class CreateAssistant(Input, frozen=True, kw_only=True):
    model: ModelName
    name: Name | None = None
    description: Description | None = None
    instructions: Instructions | None = None
    reasoning_effort: ReasoningEffort | None = None
    tools: Tools | None = ()
    tool_resources: NewToolResources | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None


class ModifyAssistant(Input, frozen=True, kw_only=True):
    model: ModelName | UnsetType = UNSET
    name: Name | None | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    instructions: Instructions | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    tools: Tools | None | UnsetType = UNSET
    tool_resources: ModifyToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: Temperature | None | UnsetType = UNSET
    top_p: TopP | None | UnsetType = UNSET
    response_format: ResponseFormat | None | UnsetType = UNSET


class Assistant(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["assistant"] = "assistant"
    created_at: int
    name: str | None
    description: str | None
    model: str
    instructions: str | None
    tools: tuple[Tool, ...]
    top_p: float | None
    temperature: float | None
    reasoning_effort: str | None
    tool_resources: ToolResources
    metadata: dict[str, str]
    response_format: ResponseFormat


class AssistantFile(Struct, frozen=True, kw_only=True):
    """v1 only: a file attached to an assistant. Its id is the file's."""

    id: str
    object: Literal["assistant.file"] = "assistant.file"
    created_at: int
    assistant_id: str


class AttachAssistantFile(Input, frozen=True, kw_only=True):
    file_id: str
