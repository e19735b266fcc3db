"""Who works on what: the processes over this database, and the runs that each of them drives."""

from typing import Any

from msgspec import Struct

from locum.store.processes import Process
from locum.store.tables import Store


class Working(Struct, frozen=True):
    """A living process, and how many runs of each project it drives, as the runs' rows say."""

    process: Process
    runs: dict[str, int]


class Fleet(Struct, frozen=True):
    processes: list[Working]
    # For each project its runs that have not ended, by state, and those of them that nobody drives.
    projects: dict[str, dict[str, int]]
    unheld: dict[str, int]


async def look(store: Store, *, now: int) -> Fleet:
    """The fleet as the database knows it; a process that died is in it for some seconds more."""
    processes = await store.processes.alive(now)
    held = await store.leases.shares()
    living = {process.name for process in processes}
    unheld: dict[str, int] = {}
    for (name, project_id), runs in held.items():
        if name not in living:
            unheld[project_id] = unheld.get(project_id, 0) + runs
    return Fleet(
        processes=[Working(process, _of(held, process.name)) for process in processes],
        projects=await store.runs.alive_by_project(),
        unheld=unheld,
    )


def shown(fleet: Fleet) -> dict[str, Any]:
    """The fleet as it is told to programs."""
    return {
        "object": "list",
        "data": [
            {
                "id": one.process.name,
                "object": "admin.worker",
                "host": one.process.host,
                "pid": one.process.pid,
                "roles": one.process.roles.split(","),
                "version": one.process.version,
                "started_at": one.process.started_at,
                "room": one.process.room,
                "runs": one.runs,
            }
            for one in fleet.processes
        ],
        "unheld": fleet.unheld,
    }


def _of(held: dict[tuple[str, str], int], name: str) -> dict[str, int]:
    return {project_id: runs for (holder, project_id), runs in held.items() if holder == name}
