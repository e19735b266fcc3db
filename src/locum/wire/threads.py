"""Threads."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from locum.wire.assistants import ModifyToolResources, NewToolResources
from locum.wire.fields import Input, Metadata
from locum.wire.messages import NewMessages
from locum.wire.paging import PageQuery
from locum.wire.tools import ToolResources


class CreateThread(Input, frozen=True, kw_only=True):
    messages: NewMessages | None = None
    tool_resources: NewToolResources | None = None
    metadata: Metadata | None = None


class ModifyThread(Input, frozen=True, kw_only=True):
    tool_resources: ModifyToolResources | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class ListThreads(PageQuery, frozen=True, kw_only=True):
    """Ours, beyond the original: it never listed threads. `metadata[key]=value` filters."""

    metadata: dict[str, str] = field(default_factory=dict)


class Thread(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread"] = "thread"
    created_at: int
    metadata: dict[str, str]
    tool_resources: ToolResources
