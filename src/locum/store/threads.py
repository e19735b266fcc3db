"""The threads table, and the labels by which lists of threads are filtered."""

import hashlib
from collections.abc import Sequence

from locum.store.database import Reader, Transaction
from locum.store.documents import Document, Documents, Page
from locum.store.events import EventTable
from locum.wire.paging import PageQuery
from locum.wire.threads import Thread

# Runs first: whoever writes for a run has locked its row before all others, and so must we,
# or two would wait for each other.
_CHILDREN = ("runs", "steps", "messages")
_ASKED_TOGETHER = 500


class ThreadTable(Documents[Thread]):
    def __init__(self, reader: Reader, events: EventTable) -> None:
        super().__init__(reader, table="threads", noun="thread", type=Thread)
        self._events = events

    async def add(self, tx: Transaction, project_id: str, thread: Thread) -> Document[Thread]:
        added = await self.insert(tx, project_id, thread.id, thread)
        await _label(tx, project_id, thread)
        return added

    async def change(self, tx: Transaction, project_id: str, thread: Thread) -> Document[Thread]:
        changed = await self.replace(tx, project_id, thread.id, thread)
        await _unlabel(tx, project_id, thread.id)
        await _label(tx, project_id, thread)
        return changed

    async def remove(self, tx: Transaction, project_id: str, thread_id: str) -> None:
        """Remove a thread with all that hangs on it."""
        await self.delete(tx, project_id, thread_id)
        await _unlabel(tx, project_id, thread_id)
        await self._events.forget(tx, project_id, thread_id)
        await tx.execute(
            "DELETE FROM tombstones WHERE project_id = $1 AND list IN ($2, $3)",
            project_id,
            f"messages/{thread_id}",
            f"runs/{thread_id}",
        )
        for table in _CHILDREN:
            await tx.execute(
                f"DELETE FROM {table} WHERE project_id = $1 AND thread_id = $2",
                project_id,
                thread_id,
            )

    async def known(self, project_id: str, thread_ids: Sequence[str]) -> set[str]:
        """Those of the given threads that are there."""
        found: set[str] = set()
        for start in range(0, len(thread_ids), _ASKED_TOGETHER):
            some = thread_ids[start : start + _ASKED_TOGETHER]
            places = ", ".join(f"${number}" for number in range(2, len(some) + 2))
            rows = await self._reader.fetch(
                f"SELECT id FROM threads WHERE project_id = $1 AND id IN ({places})",
                project_id,
                *some,
            )
            found.update(row[0] for row in rows)
        return found

    async def labelled(
        self, project_id: str, query: PageQuery, metadata: dict[str, str]
    ) -> Page[Thread]:
        """The page of those threads whose metadata has all these pairs."""
        narrowed = "".join(
            f" AND EXISTS (SELECT 1 FROM thread_labels l WHERE l.project_id = threads.project_id"
            f" AND l.thread_id = threads.id AND l.label = '{_digest(key, value)}')"
            for key, value in metadata.items()
        )
        return await self.page(project_id, query, narrowed=narrowed)


async def _label(tx: Transaction, project_id: str, thread: Thread) -> None:
    for key, value in thread.metadata.items():
        await tx.execute(
            "INSERT INTO thread_labels (project_id, label, thread_id) VALUES ($1, $2, $3)",
            project_id,
            _digest(key, value),
            thread.id,
        )


async def _unlabel(tx: Transaction, project_id: str, thread_id: str) -> None:
    await tx.execute(
        "DELETE FROM thread_labels WHERE project_id = $1 AND thread_id = $2",
        project_id,
        thread_id,
    )


def _digest(key: str, value: str) -> str:
    text = f"{len(key)}:{key}={value}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
