"""Files that hang on an assistant or a message, as the first version of the API knew them.

A file of an assistant serves the tools it has: it is a file of its code interpreter, and one of
its vector store.
"""

from collections.abc import Sequence
from pathlib import PurePath

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from locum import limits
from locum.errors import array_too_long, no_such
from locum.service import assistants, messages, resources, store_contents, vector_stores
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.assistants import (
    Assistant,
    AssistantFile,
    AttachAssistantFile,
    CreateAssistant,
    ModifyAssistant,
)
from locum.wire.fields import Deleted
from locum.wire.messages import Attachment, AttachmentTool, MessageFile
from locum.wire.paging import PageQuery
from locum.wire.tools import (
    CodeInterpreterTool,
    CodeResources,
    FileSearchTool,
    SearchResources,
    ToolResources,
)


async def create_assistant(
    scope: Scope, *, body: CreateAssistant, file_ids: Sequence[str]
) -> Document[Assistant]:
    async with scope.store.transaction() as tx:
        created = await assistants.make(scope, tx, body)
        return await _set_files(scope, tx, created, file_ids)


async def modify_assistant(
    scope: Scope, *, assistant_id: str, body: ModifyAssistant, file_ids: Sequence[str] | None
) -> Document[Assistant]:
    """A list of files replaces the one before; without one the files stay."""
    async with scope.store.transaction() as tx:
        await tx.lock(assistant_id)
        found = await scope.store.assistants.get(scope.project_id, assistant_id, reader=tx)
        changed = await assistants.change(scope, tx, assistant_id, body)
        if file_ids is None:
            file_ids = await names(scope, assistant_id, tx)
        return await _set_files(scope, tx, changed, file_ids, before=found.read())


async def create_assistant_file(
    scope: Scope, *, assistant_id: str, body: AttachAssistantFile
) -> Document[AssistantFile]:
    async with scope.store.transaction() as tx:
        await tx.lock(assistant_id)
        found = await scope.store.assistants.get(scope.project_id, assistant_id, reader=tx)
        held = await names(scope, assistant_id, tx)
        await _set_files(scope, tx, found, [*held, body.file_id])
        return await scope.store.assistant_files.get(
            scope.project_id, body.file_id, owner_id=assistant_id, reader=tx
        )


async def list_assistant_files(
    scope: Scope, *, assistant_id: str, query: PageQuery
) -> Page[AssistantFile]:
    await scope.store.assistants.get(scope.project_id, assistant_id)
    return await scope.store.assistant_files.page(scope.project_id, query, owner_id=assistant_id)


async def get_assistant_file(
    scope: Scope, *, assistant_id: str, file_id: str
) -> Document[AssistantFile]:
    await scope.store.assistants.get(scope.project_id, assistant_id)
    return await scope.store.assistant_files.get(scope.project_id, file_id, owner_id=assistant_id)


async def delete_assistant_file(scope: Scope, *, assistant_id: str, file_id: str) -> Deleted:
    """The file itself stays; it is only no longer the assistant's."""
    async with scope.store.transaction() as tx:
        await tx.lock(assistant_id)
        found = await scope.store.assistants.get(scope.project_id, assistant_id, reader=tx)
        held = await names(scope, assistant_id, tx)
        if file_id not in held:
            raise no_such("file", file_id)
        await _set_files(scope, tx, found, [name for name in held if name != file_id])
    return Deleted(id=file_id, object="assistant.file.deleted")


async def list_message_files(
    scope: Scope, *, thread_id: str, message_id: str, query: PageQuery
) -> dict[str, object]:
    files = await _message_files(scope, thread_id, message_id)
    ids = [file.id for file in files]
    if query.order == "desc":
        ids.reverse()
        files = files[::-1]
    for cursor in (query.after, query.before):
        if cursor and cursor not in ids:
            raise no_such("file", cursor)
    first = ids.index(query.after) + 1 if query.after else 0
    last = ids.index(query.before) if query.before else len(ids)
    window = files[first:last]
    shown = window[: query.limit] if query.after or not query.before else window[-query.limit :]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": len(shown) < len(window),
    }


async def get_message_file(
    scope: Scope, *, thread_id: str, message_id: str, file_id: str
) -> MessageFile:
    for file in await _message_files(scope, thread_id, message_id):
        if file.id == file_id:
            return file
    raise no_such("file", file_id)


async def names(scope: Scope, assistant_id: str, tx: Transaction | None = None) -> list[str]:
    """The files of an assistant, oldest first."""
    files = await scope.store.assistant_files.all(
        scope.project_id, owner_id=assistant_id, reader=tx
    )
    return [file.id for file in files]


async def attachments(scope: Scope, file_ids: Sequence[str]) -> list[Attachment]:
    """Files of a message as attachments: for code all of them, for search those with text."""
    made = []
    for file_id in file_ids:
        found = await scope.store.files.find(scope.project_id, file_id)
        tools = [AttachmentTool(type="code_interpreter")]
        if found is not None and _searchable(found.read().filename):
            tools.append(AttachmentTool(type="file_search"))
        made.append(Attachment(file_id=file_id, tools=tuple(tools)))
    return made


async def _message_files(scope: Scope, thread_id: str, message_id: str) -> list[MessageFile]:
    message = (await messages.get_message(scope, thread_id=thread_id, message_id=message_id)).read()
    file_ids = dict.fromkeys(attachment.file_id for attachment in message.attachments)
    return [
        MessageFile(id=file_id, created_at=message.created_at, message_id=message.id)
        for file_id in file_ids
    ]


async def _set_files(
    scope: Scope,
    tx: Transaction,
    document: Document[Assistant],
    file_ids: Sequence[str],
    *,
    before: Assistant | None = None,
) -> Document[Assistant]:
    """Make these the files of the assistant, and give them to the tools that it has.

    Where they are the same as before, only a tool that has come since is given them.
    """
    assistant = document.read()
    file_ids = list(dict.fromkeys(file_ids))
    if len(file_ids) > limits.ASSISTANT_FILES:
        raise array_too_long("file_ids", len(file_ids), limit=limits.ASSISTANT_FILES)
    held = await names(scope, assistant.id, tx)
    # Of those that it has, one may have expired a moment ago.
    await resources.require_files(scope, [new for new in file_ids if new not in held], tx)
    for file_id in held:
        if file_id not in file_ids:
            await scope.store.assistant_files.delete(
                tx, scope.project_id, file_id, owner_id=assistant.id
            )
    for file_id in file_ids:
        if file_id not in held:
            attached = AssistantFile(id=file_id, created_at=scope.now(), assistant_id=assistant.id)
            await scope.store.assistant_files.insert(
                tx, scope.project_id, file_id, attached, owner_id=assistant.id
            )
    tools = _tools(assistant)
    if held == file_ids:
        tools -= _tools(before or assistant)
    gone = [file_id for file_id in held if file_id not in file_ids]
    if not tools and not gone:
        return document
    found = await _resources(scope, tx, assistant, file_ids, tools=tools, gone=gone)
    assistant = replace(assistant, tool_resources=resources.with_tools(found, assistant.tools))
    await resources.note_uses(scope, tx, owner="assistants", owner_id=assistant.id, resources=found)
    return await scope.store.assistants.replace(tx, scope.project_id, assistant.id, assistant)


async def _resources(
    scope: Scope,
    tx: Transaction,
    assistant: Assistant,
    file_ids: Sequence[str],
    *,
    tools: set[type],
    gone: Sequence[str],
) -> ToolResources:
    code, search = assistant.tool_resources.code_interpreter, assistant.tool_resources.file_search
    if CodeInterpreterTool in tools:
        code = CodeResources(file_ids=tuple(file_ids))
    elif code is not UNSET:
        code = CodeResources(file_ids=tuple(held for held in code.file_ids if held not in gone))
    store_id = await _store_of(scope, tx, search)
    if store_id is not None:
        await _take_out(scope, tx, store_id, gone)
    if FileSearchTool in tools and (readable := await _readable(scope, tx, file_ids)):
        if store_id is not None:
            await vector_stores.add_files(scope, tx, store_id, readable)
        else:
            store = await vector_stores.make(scope, tx, file_ids=readable)
            search = resources.searching(store.id)
    return ToolResources(code_interpreter=code, file_search=search)


async def _store_of(
    scope: Scope, tx: Transaction, search: SearchResources | UnsetType
) -> str | None:
    for store_id in () if search is UNSET else search.vector_store_ids:
        if await vector_stores.lives(scope, tx, store_id):
            return store_id
    return None


async def _take_out(
    scope: Scope, tx: Transaction, vector_store_id: str, file_ids: Sequence[str]
) -> None:
    present = await scope.store.vector_store_files.entries(
        scope.project_id, vector_store_id, list(file_ids), reader=tx
    )
    for file_id in present:
        await store_contents.take_out(scope, tx, vector_store_id, file_id)


async def _readable(scope: Scope, tx: Transaction, file_ids: Sequence[str]) -> list[str]:
    found = await scope.store.files.names(
        scope.project_id, list(file_ids), now=scope.now(), reader=tx
    )
    return [file_id for file_id in file_ids if _searchable(found.get(file_id, ""))]


def _tools(assistant: Assistant) -> set[type]:
    return {type(tool) for tool in assistant.tools}


def _searchable(filename: str) -> bool:
    return PurePath(filename).suffix.lower() in store_contents.SEARCHABLE
