"""Runs: asked for, looked at, answered, cancelled."""

from collections.abc import AsyncGenerator
from functools import partial

from msgspec import UNSET, Struct
from msgspec.structs import replace

from locum.engine.journal import START, Place
from locum.engine.states import ACTIVE
from locum.errors import InvalidParameter, InvalidRequest, missing, no_such
from locum.service import mcp, messages, threads, vector_stores
from locum.service.deadlines import ThreadLocked, expire_if_due, is_due, when_free
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.store.events import Event
from locum.store.runs import Plan, RunRecord
from locum.wire.assistants import Assistant
from locum.wire.fields import ModifyMetadata
from locum.wire.paging import PageQuery
from locum.wire.runs import (
    CreateRun,
    CreateRunQuery,
    CreateThreadAndRun,
    Run,
    RunOptions,
    SubmitToolOutputs,
    Truncation,
)
from locum.wire.threads import CreateThread, Thread
from locum.wire.tools import FileSearchTool, FunctionTool, Tool, ToolChoice, ToolResources

_AUTO = Truncation(type="auto")
_KINDS = {
    "code_interpreter": "CodeInterpreterTool",
    "file_search": "FileSearchTool",
    "mcp": "McpTool",
}


class RunStream(Struct, frozen=True):
    """The answer to a request that asked for a stream: events, and whether chunks show in them.

    None among the events tells of a silence that a client should not mistake for the end. Events
    are numbered for those alone who ask for them again: there are clients that break at a number.
    """

    events: AsyncGenerator[Event | None, None]
    assistant_id: str
    include: bool
    numbered: bool = False


async def create_run(
    scope: Scope, *, thread_id: str, body: CreateRun, query: CreateRunQuery
) -> Document[Run] | RunStream:
    _check_body(body)
    messages.check(body.additional_messages, param="additional_messages")
    plan = Plan(include=bool(query.include))
    await scope.house.backlog.admit(scope.project_id)
    create = partial(_create_run, scope, thread_id, body, plan)
    document, record = await when_free(scope, thread_id, create)
    return _begun(scope, document, record, stream=bool(body.stream))


async def _create_run(
    scope: Scope, thread_id: str, body: CreateRun, plan: Plan
) -> tuple[Document[Run], RunRecord]:
    async with scope.store.transaction() as tx:
        await tx.lock(thread_id)
        thread = (await scope.store.threads.get(scope.project_id, thread_id, reader=tx)).read()
        assistant = await _assistant(scope, tx, body.assistant_id)
        await messages.require_files(scope, tx, body.additional_messages or ())
        active = await scope.store.runs.active(scope.project_id, thread_id, reader=tx)
        if active is not None:
            raise ThreadLocked(
                f"Thread {thread_id} already has an active run {active}.", run_id=active
            )
        if body.additional_messages:
            await messages.append(scope, tx, thread, body.additional_messages)
            thread = (await scope.store.threads.get(scope.project_id, thread_id, reader=tx)).read()
        admitted = await _admit(scope, tx, body, assistant)
        plan = replace(plan, headers=admitted.headers, resources=assistant.tool_resources)
        run = _new_run(scope, body, assistant, thread, admitted.tools)
        if body.additional_instructions:
            run = replace(run, instructions=_joined(run.instructions, body))
        await _check(scope, tx, run, thread, plan)
        return await scope.engine.create(tx, scope.project_id, run, plan=plan)


async def create_thread_and_run(
    scope: Scope, *, body: CreateThreadAndRun, query: CreateRunQuery
) -> Document[Run] | RunStream:
    _check_body(body)
    if body.thread is not None:
        messages.check(body.thread.messages, param="thread.messages")
    plan = Plan(include=bool(query.include))
    await scope.house.backlog.admit(scope.project_id)
    async with scope.store.transaction() as tx:
        assistant = await _assistant(scope, tx, body.assistant_id)
        made = await threads.make(scope, tx, _with_resources(body))
        thread = made.read()
        admitted = await _admit(scope, tx, body, assistant)
        plan = replace(plan, headers=admitted.headers, resources=assistant.tool_resources)
        run = _new_run(scope, body, assistant, thread, admitted.tools)
        await _check(scope, tx, run, thread, plan)
        document, record = await scope.engine.create(
            tx, scope.project_id, run, plan=plan, thread=threads.shown(thread)
        )
    return _begun(scope, document, record, stream=bool(body.stream))


async def list_runs(scope: Scope, *, thread_id: str, query: PageQuery) -> Page[Run]:
    await scope.store.threads.get(scope.project_id, thread_id)
    active = await scope.store.runs.active(scope.project_id, thread_id)
    if active is not None:
        await expire_if_due(scope, thread_id, active)
    return await scope.store.runs.page(scope.project_id, query, owner_id=thread_id)


async def list_project_runs(scope: Scope, *, query: PageQuery) -> Page[Run]:
    """Ours, beyond the original: the runs of all threads, for whoever watches over them."""
    return await scope.store.runs.of_project.page(scope.project_id, query)


async def find_run(scope: Scope, *, run_id: str) -> Document[Run]:
    """Ours, beyond the original: a run of which only the id is known, as logs tell it."""
    found = await scope.store.runs.of_project.get(scope.project_id, run_id)
    await expire_if_due(scope, found.read().thread_id, run_id)
    return await scope.store.runs.of_project.get(scope.project_id, run_id)


async def get_run(scope: Scope, *, thread_id: str, run_id: str) -> Document[Run]:
    seen = await scope.store.runs.seen(scope.project_id, thread_id, run_id)
    if seen is not None and not is_due(scope, seen[1]):
        return seen[0]
    await expire_if_due(scope, thread_id, run_id)
    return await scope.store.runs.get(scope.project_id, run_id, owner_id=thread_id)


async def modify_run(
    scope: Scope, *, thread_id: str, run_id: str, body: ModifyMetadata
) -> Document[Run]:
    await expire_if_due(scope, thread_id, run_id)
    async with scope.store.transaction() as tx:
        await tx.lock(run_id)
        run = (
            await scope.store.runs.get(scope.project_id, run_id, owner_id=thread_id, reader=tx)
        ).read()
        if run.status in ACTIVE:
            raise InvalidRequest(f"Cannot update run with status '{run.status}'.")
        if body.metadata is not UNSET:
            run = replace(run, metadata=body.metadata or {})
        return await scope.store.runs.replace(tx, scope.project_id, run.id, run, owner_id=thread_id)


async def cancel_run(scope: Scope, *, thread_id: str, run_id: str) -> Run:
    await expire_if_due(scope, thread_id, run_id)
    return await scope.engine.cancel((scope.project_id, thread_id, run_id))


async def submit_tool_outputs(
    scope: Scope, *, thread_id: str, run_id: str, body: SubmitToolOutputs
) -> Run | RunStream:
    await expire_if_due(scope, thread_id, run_id)
    key = (scope.project_id, thread_id, run_id)
    run, before = await scope.engine.submit(key, body.tool_outputs)
    if not body.stream:
        return run
    return await _stream(scope, key, after=before)


class FollowQuery(Struct, frozen=True, kw_only=True):
    """Where a resumed stream begins: after this event, or from the start."""

    after: str | None = None


async def follow_run(scope: Scope, *, thread_id: str, run_id: str, query: FollowQuery) -> RunStream:
    """Ours, beyond the original: the events of a run from any place, and then live."""
    await expire_if_due(scope, thread_id, run_id)
    after = Place.read(query.after) if query.after else START
    if after is None:
        raise InvalidParameter(
            f"Invalid 'after': '{query.after}'. Expected the id of an event of this run.",
            param="after",
        )
    stream = await _stream(scope, (scope.project_id, thread_id, run_id), after=after)
    return replace(stream, numbered=True)


async def _stream(scope: Scope, key: tuple[str, str, str], *, after: Place) -> RunStream:
    """A later stream of a run. The request that created the run decided what it includes."""
    record = await scope.store.runs.record(*key)
    if record is None:
        raise no_such("run", key[2])
    return _stream_of(scope, record.run, include=record.plan.include, after=after)


def _stream_of(scope: Scope, run: Run, *, include: bool, after: Place = START) -> RunStream:
    events = scope.engine.follow(
        (scope.project_id, run.thread_id, run.id),
        after=after,
        silence_s=scope.house.settings.keep_alive_s or None,
    )
    return RunStream(events, run.assistant_id, include)


# ---------------------------------------------------------------------- creating


def _check_body(body: RunOptions) -> None:
    """What the types of a body do not say; whatever exists, this is wrong."""
    if not body.assistant_id.startswith("asst"):
        raise InvalidParameter(
            f"Invalid 'assistant_id': '{body.assistant_id}'."
            " Expected an ID that begins with 'asst'.",
            param="assistant_id",
        )
    choice, truncation = body.tool_choice, body.truncation_strategy or _AUTO
    if isinstance(choice, ToolChoice) and choice.type == "function" and choice.function is UNSET:
        raise missing("tool_choice.function")
    if truncation.type == "last_messages" and truncation.last_messages is None:
        raise missing("truncation_strategy.last_messages")


async def _assistant(scope: Scope, tx: Transaction, assistant_id: str) -> Assistant:
    return (await scope.store.assistants.get(scope.project_id, assistant_id, reader=tx)).read()


async def _admit(
    scope: Scope, tx: Transaction, body: RunOptions, assistant: Assistant
) -> mcp.Admitted:
    """The tools of the run. What its assistant may use, the operator may have forbidden since."""
    tools = assistant.tools if body.tools is None else body.tools
    return await mcp.admit(scope, tx, tools, before=assistant)


def _new_run(
    scope: Scope,
    body: RunOptions,
    assistant: Assistant,
    thread: Thread,
    tools: tuple[Tool, ...],
) -> Run:
    now = scope.now()
    return Run(
        id=scope.new_id("run"),
        created_at=now,
        assistant_id=assistant.id,
        thread_id=thread.id,
        status="queued",
        started_at=None,
        expires_at=now + scope.house.settings.run_life_s,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        required_action=None,
        last_error=None,
        model=body.model or assistant.model,
        instructions=assistant.instructions if body.instructions is None else body.instructions,
        tools=tools,
        tool_resources=ToolResources(),
        metadata=body.metadata or {},
        temperature=assistant.temperature if body.temperature is None else body.temperature,
        top_p=assistant.top_p if body.top_p is None else body.top_p,
        reasoning_effort=body.reasoning_effort or assistant.reasoning_effort,
        max_completion_tokens=body.max_completion_tokens,
        max_prompt_tokens=body.max_prompt_tokens,
        truncation_strategy=body.truncation_strategy or _AUTO,
        incomplete_details=None,
        usage=None,
        response_format=body.response_format or assistant.response_format,
        tool_choice=body.tool_choice or "auto",
        parallel_tool_calls=body.parallel_tool_calls is not False,
    )


def _joined(instructions: str | None, body: CreateRun) -> str | None:
    if not instructions:
        return body.additional_instructions
    return f"{instructions}\n{body.additional_instructions}"


async def _check(scope: Scope, tx: Transaction, run: Run, thread: Thread, plan: Plan) -> None:
    _check_choice(run.tool_choice, run.tools)
    if any(isinstance(tool, FileSearchTool) for tool in run.tools):
        await _check_stores(scope, tx, plan.resources, thread.tool_resources)
    if run.instructions or scope.runs_on_nothing:
        return
    if not await scope.store.has_user_message(tx, scope.project_id, thread.id):
        raise InvalidRequest(
            "Run creation requires a Thread with a user message or an assistant with instructions.",
            code="invalid_thread",
        )


def _check_choice(choice: object, tools: tuple[Tool, ...]) -> None:
    """A tool can be chosen only when the run has it."""
    if not isinstance(choice, ToolChoice):
        return
    if choice.type == "function":
        assert choice.function is not UNSET
        names = {tool.function.name for tool in tools if isinstance(tool, FunctionTool)}
        known = choice.function.name in names
        wanted = choice.function.name
    else:
        known = any(type(tool).__name__ == _KINDS[choice.type] for tool in tools)
        wanted = choice.type
    if not known:
        raise InvalidParameter(
            f"Invalid value for 'tool_choice': '{wanted}' is not among the tools of this run.",
            param="tool_choice",
        )


async def _check_stores(scope: Scope, tx: Transaction, *held: ToolResources) -> None:
    """A store that has expired cannot be searched; one that has not lives on from now."""
    store_ids = {
        store_id
        for resources in held
        if resources.file_search is not UNSET
        for store_id in resources.file_search.vector_store_ids
    }
    for store_id in sorted(store_ids):  # As whoever deletes a file of them locks them.
        await vector_stores.touch(scope, tx, store_id)


def _with_resources(body: CreateThreadAndRun) -> CreateThread:
    """`tool_resources` of the request are the new thread's as well, tool by tool."""
    asked = body.thread or CreateThread()
    if body.tool_resources is None:
        return asked
    resources, more = asked.tool_resources, vector_stores.as_new(body.tool_resources)
    if resources is None:
        return replace(asked, tool_resources=more)
    if more.code_interpreter is not UNSET:
        resources = replace(resources, code_interpreter=more.code_interpreter)
    if more.file_search is not UNSET:
        resources = replace(resources, file_search=more.file_search)
    return replace(asked, tool_resources=resources)


def _begun(
    scope: Scope, document: Document[Run], record: RunRecord, *, stream: bool
) -> Document[Run] | RunStream:
    """The transaction has committed: let the run go."""
    scope.engine.offer(record)
    if not stream:
        return document
    return _stream_of(scope, record.run, include=record.plan.include)
