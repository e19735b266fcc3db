"""Deadlines of runs, and so of their locks: who comes upon one that has passed ends the run."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from locum.engine.states import ACTIVE
from locum.errors import InvalidRequest, NotFound, no_such
from locum.service.scope import Scope
from locum.store.runs import RunState

T = TypeVar("T")


class ThreadLocked(InvalidRequest):
    """A run is active on the thread."""

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


async def when_free(scope: Scope, thread_id: str, work: Callable[[], Awaitable[T]]) -> T:
    """Do what raises `ThreadLocked`; once more when the time of the run that is active is up.

    Runs are ended in transactions of their own, so never within `work`.
    """
    try:
        return await work()
    except ThreadLocked as locked:
        with suppress(NotFound):  # It was deleted since, with its thread.
            if await expire_if_due(scope, thread_id, locked.run_id) is not None:
                raise
    return await work()


async def expire_if_due(scope: Scope, thread_id: str, run_id: str) -> int | None:
    """The deadline of a run that is still alive; one whose time is up is ended first.

    Raises when there is no such run, or no such thread.
    """
    state = await scope.store.runs.state(scope.project_id, thread_id, run_id)
    if state is None:
        await scope.store.threads.get(scope.project_id, thread_id)
        raise no_such("run", run_id)
    if not is_due(scope, state):
        return deadline(state)
    await scope.engine.expire((scope.project_id, thread_id, run_id))
    return None


def is_due(scope: Scope, state: RunState) -> bool:
    return state.status in ACTIVE and state.expires_at <= scope.now()


def deadline(state: RunState) -> int | None:
    return state.expires_at if state.status in ACTIVE else None
