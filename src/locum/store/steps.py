"""The steps table."""

from locum.store.database import Reader
from locum.store.documents import Document, Documents, Page, page_of
from locum.store.runs import RunState
from locum.wire.paging import PageQuery
from locum.wire.steps import RunStep, text_of


class StepTable(Documents[RunStep]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="steps", noun="run step", type=RunStep, owner="run_id")

    async def first_page(
        self, project_id: str, thread_id: str, run_id: str, query: PageQuery
    ) -> tuple[Page[RunStep], RunState | None]:
        """The page of a query without cursors, with the state of the run, in one statement.

        This is what clients poll.
        """
        assert not query.after
        assert not query.before
        rows = await self._reader.fetch(
            page_of(
                "steps",
                "project_id = $1 AND run_id = $3",
                ascending=query.order == "asc",
                most="$4",
                beside=", (SELECT status || ' ' || expires_at FROM runs"
                " WHERE project_id = $1 AND thread_id = $2 AND id = $3)",
            ),
            project_id,
            thread_id,
            run_id,
            query.limit,
        )
        told = rows[0][3] if rows else None
        return self._page(rows), RunState.read(told) if told else None

    async def seen(
        self, project_id: str, thread_id: str, run_id: str, step_id: str
    ) -> tuple[Document[RunStep], RunState] | None:
        """The step with the state of its run, in one statement."""
        rows = await self._reader.fetch(
            "SELECT steps.id, steps.document, runs.status, runs.expires_at FROM steps, runs"
            " WHERE runs.project_id = $1 AND runs.thread_id = $2 AND runs.id = $3"
            " AND steps.project_id = $1 AND steps.run_id = $3 AND steps.id = $4",
            project_id,
            thread_id,
            run_id,
            step_id,
        )
        return (self._document(rows[0]), RunState(*rows[0][2:])) if rows else None

    def _text(self, document: RunStep) -> str:
        return text_of(document)
