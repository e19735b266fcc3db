"""Run steps: everything a run did, in order, while it happens and ever after."""

from collections.abc import Sequence
from typing import TypeVar

from locum.errors import no_such
from locum.service.deadlines import deadline, expire_if_due, is_due
from locum.service.scope import Scope
from locum.store.documents import Document, Page
from locum.wire.runs import Include
from locum.wire.steps import GetStep, ListSteps, RunStep, without_content

Told = TypeVar("Told", Document[RunStep], Page[RunStep])


async def list_steps(
    scope: Scope, *, thread_id: str, run_id: str, query: ListSteps
) -> Page[RunStep]:
    if not query.after and not query.before:
        page, state = await scope.store.steps.first_page(scope.project_id, thread_id, run_id, query)
        if state is not None and not is_due(scope, state):
            return _shown_page(page, deadline(state), query.include)
    # Whether there is such a run goes before whether there is such a cursor.
    expires_at = await expire_if_due(scope, thread_id, run_id)
    page = await scope.store.steps.page(scope.project_id, query, owner_id=run_id)
    return _shown_page(page, expires_at, query.include)


async def get_step(
    scope: Scope, *, thread_id: str, run_id: str, step_id: str, query: GetStep
) -> Document[RunStep]:
    seen = await scope.store.steps.seen(scope.project_id, thread_id, run_id, step_id)
    if seen is not None and not is_due(scope, seen[1]):
        return _shown(seen[0], deadline(seen[1]), query.include)
    expires_at = await expire_if_due(scope, thread_id, run_id)
    step = await scope.store.steps.find(scope.project_id, step_id, owner_id=run_id)
    if step is None:
        raise no_such("run step", step_id)
    return _shown(step, expires_at, query.include)


def _shown_page(
    page: Page[RunStep], expires_at: int | None, include: Sequence[Include]
) -> Page[RunStep]:
    page = _with_deadline(page, expires_at)
    return page if include else page.with_text(without_content(page.text))


def _shown(
    step: Document[RunStep], expires_at: int | None, include: Sequence[Include]
) -> Document[RunStep]:
    """The step as a reader gets it: with its run's deadline, and with content only on request."""
    step = _with_deadline(step, expires_at)
    return step if include else step.with_text(without_content(step.text))


def _with_deadline(told: Told, expires_at: int | None) -> Told:
    """No other key of a step is called so, and what people wrote has its quotes escaped."""
    if expires_at is None:
        return told
    return told.with_text(told.text.replace('"expires_at":null', f'"expires_at":{expires_at}'))
