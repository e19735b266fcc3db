"""`locum workers`: who works on what, from the command line."""

from datetime import UTC, datetime

from locum.app import Parts, open_clock, open_database
from locum.columns import table
from locum.moving.backups import DATABASE
from locum.service import fleet
from locum.service.fleet import Fleet
from locum.settings import Settings
from locum.store.migrations import MigrationError, lacking
from locum.store.tables import Store

_STATES = ("queued", "in_progress", "requires_action", "cancelling")


async def look(settings: Settings) -> Fleet:
    if settings.database_url is None and not (settings.data / DATABASE).exists():
        return Fleet([], {}, {})
    database = open_database(settings)
    try:
        if await lacking(database):
            raise MigrationError("The database lacks migrations. Run `locum migrate` first.")
        async with open_clock(database, Parts()) as clock:
            return await fleet.look(Store(database), now=clock.now())
    finally:
        await database.close()


def lines(seen: Fleet) -> list[str]:
    """Two tables: the processes with what they drive, the projects with what they wait for."""
    processes = [("PROCESS", "DOES", "VERSION", "SINCE", "DRIVES", "FOR")]
    processes += [
        (
            one.process.name,
            one.process.roles,
            one.process.version,
            datetime.fromtimestamp(one.process.started_at, UTC).strftime("%Y-%m-%d %H:%M"),
            f"{sum(one.runs.values())} of {one.process.room}" if one.process.room else "–",
            ", ".join(f"{project_id} {runs}" for project_id, runs in sorted(one.runs.items())),
        )
        for one in seen.processes
    ]
    projects = [("PROJECT", *(state.upper().replace("_", " ") for state in _STATES), "UNHELD")]
    projects += [
        (
            project_id,
            *(str(runs.get(state, 0)) for state in _STATES),
            str(seen.unheld.get(project_id, 0)),
        )
        for project_id, runs in sorted(seen.projects.items())
    ]
    if not seen.processes:
        return ["No process lives over this database.", *_after(projects)]
    return [*table(processes), *_after(projects)]


def _after(projects: list[tuple[str, ...]]) -> list[str]:
    return ["", *table(projects)] if len(projects) > 1 else []
