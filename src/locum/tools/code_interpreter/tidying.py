"""What sessions keep no longer than the database does: all of a deleted thread, copies of files.

A thread takes its session along when it is deleted, unless a process dies at that moment; and a
call takes away what its run may no longer see, unless no call comes. Each process looks after its
own directory, at its start and then every few minutes.
"""

from collections import defaultdict
from collections.abc import Awaitable, Mapping

from locum import logs
from locum.chores import Chore
from locum.clock import Clock
from locum.store.tables import Store
from locum.tools.code_interpreter.sandbox import Kept, Sandbox


class Tidying(Chore):
    every_s = 600.0
    failed = "sandbox.not_tidied"

    def __init__(self, sandbox: Sandbox, *, store: Store, clock: Clock) -> None:
        self._sandbox = sandbox
        self._store = store
        self._clock = clock

    async def once(self) -> None:
        of_projects: dict[str, dict[str, Kept]] = defaultdict(dict)
        for key, kept in (await self._sandbox.kept()).items():
            if kept is None:
                await _try(self._sandbox.keep_only(key, ()))
            else:
                of_projects[kept.owner.project_id][key] = kept
        for project_id, sessions in of_projects.items():
            await self._tidy(project_id, sessions)

    async def _tidy(self, project_id: str, sessions: Mapping[str, Kept]) -> None:
        threads = await self._store.threads.known(
            project_id, [kept.owner.thread_id for kept in sessions.values()]
        )
        files = await self._store.files.names(
            project_id,
            sorted({file_id for kept in sessions.values() for file_id in kept.of}),
            now=self._clock.now(),
            reader=self._store.db,
        )
        for key, kept in sessions.items():
            if kept.owner.thread_id not in threads:
                await _try(self._sandbox.forget(key))
            elif not kept.of <= files.keys():
                await _try(self._sandbox.keep_only(key, files.keys()))


async def _try(chore: Awaitable[object]) -> None:
    """One session that cannot be tidied leaves the others theirs."""
    try:
        await chore
    except OSError as error:
        logs.warning("sandbox.not_tidied", reason=type(error).__name__)
