"""Threads: what messages and runs hang on."""

from msgspec import UNSET

from locum import limits
from locum.service import messages, resources
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.fields import Deleted
from locum.wire.threads import CreateThread, ListThreads, ModifyThread, Thread
from locum.wire.tools import CodeResources, ToolResources


async def create_thread(scope: Scope, *, body: CreateThread) -> Document[Thread]:
    messages.check(body.messages, param="messages")
    async with scope.store.transaction() as tx:
        return await make(scope, tx, body)


async def make(scope: Scope, tx: Transaction, body: CreateThread) -> Document[Thread]:
    """A thread with its first messages, which were checked, as part of a larger transaction."""
    found = await resources.resolve(
        scope, tx, body.tool_resources, helper_days=limits.THREAD_STORE_LIFE_DAYS
    )
    thread = Thread(
        id=scope.new_id("thread"),
        created_at=scope.now(),
        metadata=body.metadata or {},
        tool_resources=found,
    )
    document = await scope.store.threads.add(tx, scope.project_id, thread)
    await resources.note_uses(
        scope, tx, owner="threads", owner_id=thread.id, resources=thread.tool_resources
    )
    if body.messages:
        await messages.require_files(scope, tx, body.messages)
        await messages.append(scope, tx, thread, body.messages)
        document = await scope.store.threads.get(scope.project_id, thread.id, reader=tx)
    return document


async def list_threads(scope: Scope, *, query: ListThreads) -> Page[Thread]:
    """Ours, beyond the original: it never told a client which threads it had."""
    return await scope.store.threads.labelled(scope.project_id, query, query.metadata)


async def get_thread(scope: Scope, *, thread_id: str) -> Thread:
    thread = (await scope.store.threads.get(scope.project_id, thread_id)).read()
    return shown(thread)


async def modify_thread(scope: Scope, *, thread_id: str, body: ModifyThread) -> Document[Thread]:
    async with scope.store.transaction() as tx:
        await tx.lock(thread_id)
        old = (await scope.store.threads.get(scope.project_id, thread_id, reader=tx)).read()
        asked = None if body.tool_resources is UNSET else body.tool_resources
        found = await resources.resolve(
            scope,
            tx,
            asked,
            current=old.tool_resources,
        )
        thread = Thread(
            id=old.id,
            created_at=old.created_at,
            metadata=old.metadata if body.metadata is UNSET else body.metadata or {},
            tool_resources=found,
        )
        await resources.note_uses(
            scope, tx, owner="threads", owner_id=thread.id, resources=thread.tool_resources
        )
        return await scope.store.threads.change(tx, scope.project_id, thread)


async def delete_thread(scope: Scope, *, thread_id: str) -> Deleted:
    """Messages, runs and steps go with it; files and vector stores stay. A run on it ends."""
    async with scope.store.transaction() as tx:
        await tx.lock(thread_id)
        run_id = await scope.store.runs.active(scope.project_id, thread_id, reader=tx)
        await scope.store.threads.remove(tx, scope.project_id, thread_id)
        await scope.store.files.set_uses(
            tx, scope.project_id, owner="threads", owner_id=thread_id, file_ids=()
        )
    await scope.engine.forget(scope.project_id, thread_id=thread_id, run_id=run_id)
    return Deleted(id=thread_id, object="thread.deleted")


def shown(thread: Thread) -> Thread:
    """The thread as reading it shows it: with an empty code interpreter when it has nothing.

    The original did so for GET and in streams, not for POST.
    """
    if thread.tool_resources != ToolResources():
        return thread
    return Thread(
        id=thread.id,
        created_at=thread.created_at,
        metadata=thread.metadata,
        tool_resources=ToolResources(code_interpreter=CodeResources()),
    )
