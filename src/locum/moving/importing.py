"""An import: what was staged goes into the database, owners before what hangs on them.

Every transaction leaves whole objects and lists that are in order, and is noted in the staging
area after it has committed. Whoever is stopped in between finds the objects again by their ids.
"""

from array import array
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from locum.clock import Clock
from locum.moving.contents import Contents
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
from locum.moving.store_files import StoreFiles
from locum.moving.writing import REFUSED, Writer
from locum.store.database import AlreadyExists, Reader, Transaction
from locum.store.staging import Staged, Staging
from locum.store.tables import Store

_TOGETHER: Final = 200

Item = tuple[Kind, Staged]
S = TypeVar("S", list[tuple[Kind, int]], "array[int]")


class Importer:
    def __init__(
        self,
        store: Store,
        staging: Staging,
        *,
        writer: Writer,
        contents: Contents,
        clock: Clock,
        dry: bool,
        tick: Tick,
    ) -> None:
        self._store = store
        self._staging = staging
        self._writer = writer
        self._contents = contents
        self._store_files = StoreFiles(store, writer)
        self._clock = clock
        self._dry = dry
        self._tick = tick
        self._done = staging.settled()
        self._total = staging.total()

    async def run(self) -> None:
        for project_id in self._staging.projects():
            if not self._dry:
                await self._ensure_project(project_id)
            await self._files(project_id)
            await self._list(project_id, VECTOR_STORES)
            await self._stores(project_id)
            await self._list(project_id, ASSISTANTS)
            for assistant_id in self._staging.owners(project_id, ASSISTANT_FILES.name):
                await self._hanging(project_id, ASSISTANT_FILES, assistant_id, on=ASSISTANTS)
            for number in self._listed(project_id, THREADS):
                await self._thread(project_id, number)
            await self._left_over(project_id)

    # --------------------------------------------------------------------- each kind

    async def _files(self, project_id: str) -> None:
        for number in self._listed(project_id, FILES):
            staged = self._staging.fetch([number])[0]
            state = await self._contents.write_file(project_id, staged, now=self._clock.now())
            self._settle([(number, state)])

    async def _list(self, project_id: str, kind: Kind) -> None:
        for numbers in _chunks(self._listed(project_id, kind)):
            items = [(kind, one) for one in self._staging.fetch(numbers)]
            self._settle(await self._write(project_id, items))

    async def _stores(self, project_id: str) -> None:
        owners = [
            *self._staging.owners(project_id, VECTOR_STORE_FILES.name),
            *self._staging.owners(project_id, FILE_BATCHES.name),
        ]
        for store_id in dict.fromkeys(owners):
            await self._hanging(project_id, FILE_BATCHES, store_id, on=VECTOR_STORES)
            await self._hanging(project_id, VECTOR_STORE_FILES, store_id, on=VECTOR_STORES)

    async def _hanging(self, project_id: str, kind: Kind, owner_id: str, *, on: Kind) -> None:
        """A list that hangs on something else than a thread."""
        numbers = self._listed(project_id, kind, owner_id)
        table = self._store.vector_stores if on is VECTOR_STORES else self._store.assistants
        there = await table.find(project_id, owner_id)
        if there is None and not self._dry:
            self._refuse(kind, numbers, f"its {kind.owner} did not come along")
            return
        for some in _chunks(numbers):
            items = [(kind, one) for one in self._staging.fetch(some)]
            self._settle(await self._write(project_id, items, lock=owner_id))

    async def _thread(self, project_id: str, number: int) -> None:
        """A thread with its messages, its runs, and their steps.

        The thread counts as done when all of it is: whoever was stopped in between goes on here.
        """
        thread = self._staging.fetch([number])[0]
        fresh = await self._store.threads.find(project_id, thread.id) is None
        state: str | None = None
        # A thread with nothing on it is written, too.
        for some in [*_chunks(self._of_thread(project_id, thread.id))] or [[]]:
            items = [(kind, self._staging.fetch([one])[0]) for kind, one in some]
            if state is None:
                items.insert(0, (THREADS, thread))
            if state == REFUSED:
                for kind, staged in items:
                    self._writer.note(kind, staged.id, "not imported: its thread was not")
                states = [(staged.number, REFUSED) for _, staged in items]
            else:
                states = await self._write(project_id, items, lock=thread.id, fresh=fresh)
            if state is None:
                state = states.pop(0)[1]
            self._settle(states)
        assert state is not None
        self._settle([(number, state)])

    def _of_thread(self, project_id: str, thread_id: str) -> list[tuple[Kind, int]]:
        """What is still to be written of a thread, in order."""
        waiting = set(self._listed(project_id, RUNS, thread_id))
        found = [(MESSAGES, one) for one in self._listed(project_id, MESSAGES, thread_id)]
        runs = self._staging.listed(
            project_id, RUNS.name, thread_id, sort=self._sorts(project_id), settled=True
        )
        for run in runs:
            if run in waiting:
                found.append((RUNS, run))
            run_id = self._staging.fetch([run])[0].id
            found += [(STEPS, one) for one in self._listed(project_id, STEPS, run_id)]
        return found

    async def _left_over(self, project_id: str) -> None:
        """Objects whose owner is not in the dump; it may be here already."""
        for run_id in self._staging.owners(project_id, STEPS.name):
            for some in _chunks(self._listed(project_id, STEPS, run_id)):
                steps = self._staging.fetch(some)
                thread_id = msgspec.json.decode(steps[0].document).get("thread_id")
                if await self._store.runs.find(project_id, run_id, owner_id=str(thread_id)):
                    items = [(STEPS, one) for one in steps]
                    self._settle(await self._write(project_id, items, lock=run_id))
                else:
                    self._refuse(STEPS, some, "its run did not come along")
        for kind in (MESSAGES, RUNS):
            for thread_id in self._staging.owners(project_id, kind.name):
                numbers = self._listed(project_id, kind, thread_id)
                self._refuse(kind, numbers, "its thread did not come along")

    # ------------------------------------------------------------------------ writing

    async def _write(
        self, project_id: str, items: Sequence[Item], *, lock: str = "", fresh: bool = False
    ) -> list[tuple[int, str]]:
        """Some objects in one transaction. Somebody else may be making the same ones."""
        try:
            return await self._written(project_id, items, lock=lock, fresh=fresh)
        except AlreadyExists:
            return await self._written(project_id, items, lock=lock, fresh=False)

    async def _written(
        self, project_id: str, items: Sequence[Item], *, lock: str, fresh: bool
    ) -> list[tuple[int, str]]:
        states: list[tuple[int, str]] = []
        now = self._clock.now()
        self._staging.begin()
        try:
            async with self._transaction() as (reader, tx):
                if lock and tx is not None:
                    await tx.lock(lock)
                for kind, staged in items:
                    if items[0][0] is THREADS and states and states[0][1] == REFUSED:
                        self._writer.note(kind, staged.id, "not imported: its thread was not")
                        states.append((staged.number, REFUSED))
                        continue
                    write = self._store_files if kind is VECTOR_STORE_FILES else self._writer
                    state = await write.write(
                        reader, tx, project_id, kind, staged, now=now, fresh=fresh
                    )
                    states.append((staged.number, state))
                if tx is not None and items[0][0] is VECTOR_STORE_FILES:
                    await self._store_files.recount(tx, project_id, lock)
        except BaseException:
            # What was noted of it will be noted again.
            self._staging.roll_back()
            raise
        self._staging.commit()
        return states

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[tuple[Reader, Transaction | None]]:
        if self._dry:
            yield self._store.db, None
        else:
            async with self._store.transaction() as tx:
                yield tx, tx

    def _settle(self, states: Sequence[tuple[int, str]]) -> None:
        self._staging.begin()
        self._staging.settle(states)
        self._staging.commit()
        self._done += len(states)
        self._tick("importing", self._done, self._total)

    def _refuse(self, kind: Kind, numbers: Iterable[int], why: str) -> None:
        refused = self._staging.fetch(numbers)
        for staged in refused:
            self._writer.note(kind, staged.id, f"not imported: {why}")
        self._settle([(staged.number, REFUSED) for staged in refused])

    def _listed(self, project_id: str, kind: Kind, owner_id: str = "") -> "array[int]":
        return self._staging.listed(project_id, kind.name, owner_id, sort=self._sorts(project_id))

    def _sorts(self, project_id: str) -> bool:
        return self._staging.fact(f"ordered/{project_id}") is None

    async def _ensure_project(self, project_id: str) -> None:
        name = self._staging.fact(f"name/{project_id}") or project_id
        async with self._store.transaction() as tx:
            await self._store.keys.ensure_project(tx, project_id, name=name, now=self._clock.now())


def _chunks(items: S) -> Iterator[S]:
    for start in range(0, len(items), _TOGETHER):
        yield items[start : start + _TOGETHER]
