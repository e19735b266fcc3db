"""The steps table."""

from locum.store.database import Reader
from locum.store.documents import Documents, Page
from locum.store.runs import RunState
from locum.wire.paging import PageQuery
from locum.wire.steps import RunStep


class StepTable(Documents[RunStep]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="steps", noun="run step", type=RunStep, owner="run_id")

    async def first_page(
        self, project_id: str, thread_id: str, run_id: str, query: PageQuery
    ) -> tuple[Page[RunStep], RunState | None]:
        """The page of a query without cursors, with the state of the run, in one statement.

        This is what clients poll. Where there are no steps, nothing is known of the run either.
        """
        assert not query.after
        assert not query.before
        rows = await self._reader.fetch(
            "SELECT id, document, (SELECT status || ' ' || expires_at FROM runs"
            " WHERE project_id = $1 AND thread_id = $2 AND id = $3)"
            " FROM steps WHERE project_id = $1 AND run_id = $3"
            f" ORDER BY seq {'ASC' if query.order == 'asc' else 'DESC'} LIMIT $4",
            project_id,
            thread_id,
            run_id,
            query.limit + 1,
        )
        told = rows[0][2] if rows else None
        return self._page(rows, query.limit), RunState.read(told) if told else None
