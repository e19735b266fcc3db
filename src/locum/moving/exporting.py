"""An export: every object of a project, as it is served, in the order of its lists.

What is private to Locum, as the memory a model keeps of a tool's result, stands beside it under
the key `locum`, so that what is imported again is what was exported.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from locum.errors import no_such
from locum.moving.gathering import Tick
from locum.moving.kinds import (
    ASSISTANT_FILES,
    ASSISTANTS,
    FILE_BATCHES,
    FILES,
    MESSAGES,
    RUNS,
    STEPS,
    THREADS,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
    Kind,
)
from locum.store.blobs import BlobMissing, Blobs
from locum.store.runs import Plan
from locum.store.tables import Store
from locum.store.whole_rows import WholeRow, WholeRows

# In the order in which they are written: whoever is named comes before who names him.
_LISTS: Final[Sequence[Kind]] = (
    VECTOR_STORES,
    FILE_BATCHES,
    VECTOR_STORE_FILES,
    ASSISTANTS,
    ASSISTANT_FILES,
)
# What stays behind, whatever is asked for.
LEFT_OUT: Final = (
    "API keys: only digests of them are known; make new ones with `locum keys create`",
    "uploads that were not completed",
    "the journals of runs, from which their streams are replayed",
    "the index of vector stores: their files are read anew",
)


class Export(Struct, frozen=True, kw_only=True):
    """What to export: everything, one project, or one thread of it."""

    project_id: str | None = None
    thread_id: str | None = None
    # The values of headers of MCP servers, which are keys most often.
    secrets: bool = False


class Sink(Protocol):
    """Where an export goes."""

    def begin_project(self, project_id: str, name: str) -> None: ...

    def write(self, kind: Kind, line: str) -> None: ...

    async def write_content(self, file_id: str, pieces: AsyncIterator[bytes]) -> None: ...


class Exporter:
    def __init__(self, store: Store, blobs: Blobs, sink: Sink, *, tick: Tick) -> None:
        self._store = store
        self._rows = WholeRows(store.db)
        self._blobs = blobs
        self._sink = sink
        self._tick = tick
        self._done = 0
        self._total = 0
        # By project and kind, how many objects were written.
        self.counts: dict[str, dict[str, int]] = {}
        # What could not be written, and why.
        self.missing: list[str] = []

    async def run(self, wanted: Export) -> None:
        projects = await self._rows.projects()
        if wanted.project_id is not None:
            named = dict(projects).get(wanted.project_id, wanted.project_id)
            projects = [(wanted.project_id, named)]
        for project_id, _ in projects:
            self._total += await self._rows.count(THREADS.name, project_id)
        for project_id, name in projects:
            self.counts[project_id] = {}
            self._sink.begin_project(project_id, name)
            if wanted.thread_id is not None:
                await self._one_thread(project_id, wanted.thread_id)
                continue
            await self._files(project_id)
            for kind in _LISTS:
                async for row in self._rows.of(kind.name, project_id):
                    self._write(project_id, kind, row, _private(kind, row, wanted))
            async for thread in self._rows.of(THREADS.name, project_id):
                await self._thread(project_id, thread)

    async def _one_thread(self, project_id: str, thread_id: str) -> None:
        held = await self._store.threads.find(project_id, thread_id)
        if held is None:
            raise no_such("thread", thread_id)
        await self._thread(project_id, WholeRow(held.id, held.text, {}))

    async def _files(self, project_id: str) -> None:
        async for row in self._rows.of(FILES.name, project_id):
            self._write(project_id, FILES, row, {})
            try:
                await self._sink.write_content(row.id, self._blobs.open(row.private["blob"]))
            except BlobMissing:
                self.missing.append(f"{row.id}: its content is gone")

    async def _thread(self, project_id: str, thread: WholeRow) -> None:
        self._write(project_id, THREADS, thread, {})
        async for message in self._rows.of(MESSAGES.name, project_id, thread.id):
            self._write(project_id, MESSAGES, message, {})
        async for run in self._rows.of(RUNS.name, project_id, thread.id):
            self._write(project_id, RUNS, run, _private(RUNS, run, Export()))
            async for step in self._rows.of(STEPS.name, project_id, run.id):
                self._write(project_id, STEPS, step, _private(STEPS, step, Export()))
        self._done += 1
        self._tick("exporting threads", self._done, self._total)

    def _write(
        self, project_id: str, kind: Kind, row: WholeRow, private: Mapping[str, Any]
    ) -> None:
        line = row.document
        if private:
            line = f'{line[:-1]},"locum":{msgspec.json.encode(private).decode()}}}'
        self._sink.write(kind, line)
        counts = self.counts[project_id]
        counts[kind.name] = counts.get(kind.name, 0) + 1


def _private(kind: Kind, row: WholeRow, wanted: Export) -> dict[str, Any]:
    """What has to go along that the API does not show."""
    if kind is STEPS:
        memory = msgspec.json.decode(row.private["memory"])
        return {"memory": memory} if memory else {}
    if kind is RUNS:
        plan = msgspec.json.decode(row.private["plan"], type=Plan)
        return {"include": True} if plan.include else {}
    if kind is VECTOR_STORE_FILES and row.private["batch_id"] is not None:
        return {"batch_id": row.private["batch_id"]}
    if kind is ASSISTANTS and wanted.secrets:
        headers = msgspec.json.decode(row.private["headers"])
        return {"headers": headers} if headers else {}
    return {}
