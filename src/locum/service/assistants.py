"""Assistants: who answers, how, and with which tools."""

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from locum.service import mcp, resources
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.assistants import Assistant, CreateAssistant, ModifyAssistant
from locum.wire.fields import Deleted
from locum.wire.paging import PageQuery

T = TypeVar("T")

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0


async def create_assistant(scope: Scope, *, body: CreateAssistant) -> Document[Assistant]:
    async with scope.store.transaction() as tx:
        return await make(scope, tx, body)


async def make(scope: Scope, tx: Transaction, body: CreateAssistant) -> Document[Assistant]:
    """A new assistant, as part of a larger transaction."""
    admitted = await mcp.admit(scope, tx, body.tools or ())
    tools = admitted.tools
    found = await resources.resolve(scope, tx, body.tool_resources)
    assistant = Assistant(
        id=scope.new_id("asst"),
        created_at=scope.now(),
        name=body.name,
        description=body.description,
        model=body.model,
        instructions=body.instructions,
        tools=tools,
        top_p=DEFAULT_TOP_P if body.top_p is None else body.top_p,
        temperature=DEFAULT_TEMPERATURE if body.temperature is None else body.temperature,
        reasoning_effort=body.reasoning_effort,
        tool_resources=resources.with_tools(found, tools),
        metadata=body.metadata or {},
        response_format="auto" if body.response_format is None else body.response_format,
    )
    await resources.note_uses(
        scope,
        tx,
        owner="assistants",
        owner_id=assistant.id,
        resources=assistant.tool_resources,
    )
    return await scope.store.assistants.insert(
        tx, scope.project_id, assistant.id, assistant, headers=_json(admitted.headers)
    )


async def list_assistants(scope: Scope, *, query: PageQuery) -> Page[Assistant]:
    return await scope.store.assistants.page(scope.project_id, query)


async def get_assistant(scope: Scope, *, assistant_id: str) -> Document[Assistant]:
    return await scope.store.assistants.get(scope.project_id, assistant_id)


async def modify_assistant(
    scope: Scope, *, assistant_id: str, body: ModifyAssistant
) -> Document[Assistant]:
    """Change what is named; null clears, or brings back the default."""
    async with scope.store.transaction() as tx:
        return await change(scope, tx, assistant_id, body)


async def change(
    scope: Scope, tx: Transaction, assistant_id: str, body: ModifyAssistant
) -> Document[Assistant]:
    """A changed assistant, as part of a larger transaction."""
    await tx.lock(assistant_id)
    old = (await scope.store.assistants.get(scope.project_id, assistant_id, reader=tx)).read()
    tools = old.tools
    columns = {}
    if body.tools is not UNSET:
        admitted = await mcp.admit(scope, tx, body.tools or (), before=old)
        tools, columns["headers"] = admitted.tools, _json(admitted.headers)
    asked = None if body.tool_resources is UNSET else body.tool_resources
    found = await resources.resolve(scope, tx, asked, current=old.tool_resources)
    assistant = Assistant(
        id=old.id,
        created_at=old.created_at,
        name=_changed(body.name, old.name),
        description=_changed(body.description, old.description),
        model=_changed(body.model, old.model),
        instructions=_changed(body.instructions, old.instructions),
        tools=tools,
        top_p=_or(_changed(body.top_p, old.top_p), DEFAULT_TOP_P),
        temperature=_or(_changed(body.temperature, old.temperature), DEFAULT_TEMPERATURE),
        reasoning_effort=_changed(body.reasoning_effort, old.reasoning_effort),
        tool_resources=resources.with_tools(found, tools),
        metadata=_or(_changed(body.metadata, old.metadata), {}),
        response_format=_or(_changed(body.response_format, old.response_format), "auto"),
    )
    await resources.note_uses(
        scope,
        tx,
        owner="assistants",
        owner_id=assistant.id,
        resources=assistant.tool_resources,
    )
    return await scope.store.assistants.replace(
        tx, scope.project_id, assistant.id, assistant, **columns
    )


async def delete_assistant(scope: Scope, *, assistant_id: str) -> Deleted:
    """Threads, messages and runs stay; a new run with it finds no assistant."""
    async with scope.store.transaction() as tx:
        await scope.store.assistants.delete(tx, scope.project_id, assistant_id)
        await scope.store.files.set_uses(
            tx, scope.project_id, owner="assistants", owner_id=assistant_id, file_ids=()
        )
    return Deleted(id=assistant_id, object="assistant.deleted")


def _json(headers: mcp.Headers) -> str:
    return msgspec.json.encode(headers).decode()


def _changed(new: T | UnsetType, old: T) -> T:
    return old if isinstance(new, UnsetType) else new


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
