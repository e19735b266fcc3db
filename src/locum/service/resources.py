"""`tool_resources`: which files and stores the tools of an assistant or a thread may use."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from locum import limits
from locum.errors import array_too_long, no_such
from locum.service import store_contents, vector_stores
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.wire.assistants import (
    AskedSearchResources,
    ModifyToolResources,
    NewSearchResources,
    NewToolResources,
)
from locum.wire.messages import Attachment
from locum.wire.tools import CodeResources, SearchResources, Tool, ToolResources
from locum.wire.vector_stores import ExpiresAfter


async def resolve(
    scope: Scope,
    tx: Transaction,
    asked: NewToolResources | ModifyToolResources | None,
    *,
    current: ToolResources | None = None,
    helper_days: int | None = None,
) -> ToolResources:
    """Resources as they are stored: what exists is checked, what is to be made is made.

    `helper_days` is the life of a store made in passing; None lets it live for ever.
    """
    current = current or ToolResources()
    if asked is None:
        return current
    code, search = current.code_interpreter, current.file_search
    if asked.code_interpreter is None:
        code = UNSET
    elif asked.code_interpreter is not UNSET:
        file_ids = asked.code_interpreter.file_ids
        if not isinstance(file_ids, UnsetType):
            code = CodeResources(file_ids=_distinct(file_ids))
            await require_files(scope, code.file_ids, tx)
        elif code is UNSET:
            code = CodeResources()
    if asked.file_search is None:
        search = UNSET
    elif asked.file_search is not UNSET:
        found = await _search(scope, tx, asked.file_search, helper_days=helper_days)
        search = found or search or SearchResources()
    return ToolResources(code_interpreter=code, file_search=search)


def with_tools(resources: ToolResources, tools: Sequence[Tool]) -> ToolResources:
    """A tool that is enabled shows its resources, even when it has none."""
    enabled = {type(tool).__name__ for tool in tools}
    code, search = resources.code_interpreter, resources.file_search
    if code is UNSET and "CodeInterpreterTool" in enabled:
        code = CodeResources()
    if search is UNSET and "FileSearchTool" in enabled:
        search = SearchResources()
    return ToolResources(code_interpreter=code, file_search=search)


async def require_files(scope: Scope, file_ids: Sequence[str], tx: Transaction) -> dict[str, str]:
    """The names of files, all of which must be there."""
    return await scope.store.files.required(scope.project_id, file_ids, now=scope.now(), reader=tx)


async def attach(
    scope: Scope,
    tx: Transaction,
    resources: ToolResources,
    attachments: Sequence[Attachment],
) -> ToolResources:
    """What the attachments of a message, which are there, add to the resources of its thread."""
    for_code = [a.file_id for a in attachments if _meant_for(a, "code_interpreter")]
    for_search = [a.file_id for a in attachments if _meant_for(a, "file_search")]
    if for_code:
        resources = _add_code_files(scope, resources, for_code)
    if for_search:
        resources = await _add_search_files(scope, tx, resources, for_search)
    return resources


async def note_uses(
    scope: Scope, tx: Transaction, *, owner: str, owner_id: str, resources: ToolResources
) -> None:
    """Remember who holds which file, so that a deleted one leaves every list."""
    file_ids = () if resources.code_interpreter is UNSET else resources.code_interpreter.file_ids
    await scope.store.files.set_uses(
        tx, scope.project_id, owner=owner, owner_id=owner_id, file_ids=file_ids
    )


async def _search(
    scope: Scope,
    tx: Transaction,
    asked: AskedSearchResources,
    *,
    helper_days: int | None,
) -> SearchResources | None:
    """The stores that are named or made in passing; None if neither is asked for."""
    helpers = asked.vector_stores if isinstance(asked, NewSearchResources) else UNSET
    if asked.vector_store_ids is UNSET and helpers is UNSET:
        return None
    store_ids = () if isinstance(asked.vector_store_ids, UnsetType) else asked.vector_store_ids
    for store_id in store_ids:
        if await scope.store.vector_stores.find(scope.project_id, store_id, reader=tx) is None:
            raise no_such("vector store", store_id)
    for helper in () if isinstance(helpers, UnsetType) else helpers:
        store = await vector_stores.make(
            scope,
            tx,
            file_ids=helper.file_ids,
            chunking=None if helper.chunking_strategy is UNSET else helper.chunking_strategy,
            metadata=helper.metadata or {},
            expires_after=_days(helper_days),
        )
        store_ids = (store.id,)
    return SearchResources(vector_store_ids=store_ids)


def _add_code_files(scope: Scope, resources: ToolResources, added: Sequence[str]) -> ToolResources:
    present = () if resources.code_interpreter is UNSET else resources.code_interpreter.file_ids
    file_ids = _distinct((*present, *added))
    if scope.counts_code_files and len(file_ids) > limits.CODE_FILES:
        raise array_too_long(
            "tool_resources.code_interpreter.file_ids", len(file_ids), limit=limits.CODE_FILES
        )
    return ToolResources(
        code_interpreter=CodeResources(file_ids=file_ids), file_search=resources.file_search
    )


async def _add_search_files(
    scope: Scope, tx: Transaction, resources: ToolResources, added: Sequence[str]
) -> ToolResources:
    await store_contents.require_searchable(scope, tx, added)
    present = () if resources.file_search is UNSET else resources.file_search.vector_store_ids
    if present and await vector_stores.lives(scope, tx, present[0]):
        await vector_stores.add_files(scope, tx, present[0], added)
        return resources
    store = await vector_stores.make(
        scope, tx, file_ids=_distinct(added), expires_after=_days(scope.thread_store_days)
    )
    return ToolResources(
        code_interpreter=resources.code_interpreter,
        file_search=SearchResources(vector_store_ids=(store.id,)),
    )


def searching(vector_store_id: str) -> SearchResources:
    return SearchResources(vector_store_ids=(vector_store_id,))


def _meant_for(attachment: Attachment, tool: str) -> bool:
    return any(wanted.type == tool for wanted in attachment.tools)


def _days(days: int | None) -> ExpiresAfter | None:
    return None if days is None else ExpiresAfter(anchor="last_active_at", days=days)


def _distinct(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
