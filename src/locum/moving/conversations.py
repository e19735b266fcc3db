"""Every thread as a conversation with its items, and every run as a response: lines of JSON."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from locum.moving import responses
from locum.moving.exporting import Export
from locum.moving.gathering import Tick
from locum.moving.kinds import MESSAGES, RUNS, STEPS, THREADS
from locum.store.tables import Store
from locum.store.whole_rows import WholeRow, WholeRows
from locum.wire.messages import Message
from locum.wire.runs import Run
from locum.wire.steps import MessageCreation, RunStep
from locum.wire.threads import Thread

# The lists that are written, each a file of its own in a folder.
CONVERSATIONS: Final = "conversations"
ITEMS: Final = "conversation_items"
RESPONSES: Final = "responses"
LEFT_OUT: Final = (
    "assistants: their model, instructions and tools stand in every response",
    "attachments of messages: their files are among the tools of the responses",
    "what was searched for: the Assistants API never told",
)

Write = Callable[[str, dict[str, Any]], None]
_threads: Final = msgspec.json.Decoder(Thread)
_messages: Final = msgspec.json.Decoder(Message)
_runs: Final = msgspec.json.Decoder(Run)
_steps: Final = msgspec.json.Decoder(RunStep)


class ConversationExporter:
    def __init__(self, store: Store, write: Write, *, now: int, tick: Tick) -> None:
        self._store = store
        self._rows = WholeRows(store.db)
        self._write = write
        self._now = now
        self._tick = tick
        self._done = 0
        self._total = 0
        self.counts: dict[str, int] = {CONVERSATIONS: 0, ITEMS: 0, RESPONSES: 0}

    async def run(self, wanted: Export) -> None:
        projects = [project_id for project_id, _ in await self._rows.projects()]
        if wanted.project_id is not None:
            projects = [wanted.project_id]
        for project_id in projects:
            self._total += await self._rows.count(THREADS.name, project_id)
        for project_id in projects:
            if wanted.thread_id is not None:
                held = await self._store.threads.get(project_id, wanted.thread_id)
                await self._thread(project_id, held.read())
                continue
            async for row in self._rows.of(THREADS.name, project_id):
                await self._thread(project_id, _threads.decode(row.document))

    async def _thread(self, project_id: str, thread: Thread) -> None:
        """Messages in their order, and before each what the run called that wrote it."""
        self._tell(CONVERSATIONS, responses.conversation(thread))
        runs = _Ahead(self._rows.of(RUNS.name, project_id, thread.id))
        written: set[str] = set()
        async for row in self._rows.of(MESSAGES.name, project_id, thread.id):
            message = _messages.decode(row.document)
            while (run := await runs.peek()) is not None and _comes_before(run, message):
                written |= await self._run(project_id, thread, await runs.next())
            if message.id in written:
                written.discard(message.id)
            else:
                self._item(thread, await self._said(project_id, message))
        while await runs.peek() is not None:
            await self._run(project_id, thread, await runs.next())
        self._done += 1
        self._tick("exporting threads", self._done, self._total)

    async def _run(self, project_id: str, thread: Thread, run: Run) -> set[str]:
        """The items of a run, then its response; the messages that were among them."""
        items: list[dict[str, Any]] = []
        written: set[str] = set()
        async for row in self._rows.of(STEPS.name, project_id, run.id):
            step = _steps.decode(row.document)
            if isinstance(step.step_details, MessageCreation):
                message_id = step.step_details.message_creation.message_id
                held = await self._store.messages.find(project_id, message_id, owner_id=thread.id)
                if held is not None:
                    items.append(await self._said(project_id, held.read()))
                    written.add(message_id)
            else:
                items += responses.call_items(step)
        for item in items:
            self._item(thread, item)
        resources = [thread.tool_resources]
        assistant = await self._store.assistants.find(project_id, run.assistant_id)
        if assistant is not None:
            resources.append(assistant.read().tool_resources)
        self._tell(RESPONSES, responses.response(run, items, resources=resources))
        return written

    async def _said(self, project_id: str, message: Message) -> dict[str, Any]:
        cited = responses.cited_files(message)
        names = await self._store.files.names(
            project_id, sorted(cited), now=self._now, reader=self._store.db
        )
        return responses.message_item(message, names)

    def _item(self, thread: Thread, item: dict[str, Any]) -> None:
        owner = responses.conversation_id(thread.id)
        self._tell(ITEMS, {"conversation_id": owner, "item": item})

    def _tell(self, name: str, value: dict[str, Any]) -> None:
        self._write(name, value)
        self.counts[name] += 1


class _Ahead:
    """Runs one after the other, the next of which can be looked at before it is taken."""

    def __init__(self, rows: AsyncIterator[WholeRow]) -> None:
        self._rows = rows
        self._next: Run | None = None

    async def peek(self) -> Run | None:
        if self._next is None:
            row = await anext(self._rows, None)
            self._next = None if row is None else _runs.decode(row.document)
        return self._next

    async def next(self) -> Run:
        run, self._next = self._next, None
        assert run is not None, "it was looked at before"
        return run


def _comes_before(run: Run, message: Message) -> bool:
    """Whether a run stands before a message: it wrote it, or was over when that was said."""
    return run.id == message.run_id or run.created_at < message.created_at
