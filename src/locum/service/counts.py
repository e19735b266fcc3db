"""Figures that stand in the database: of runs that have not ended, for `/metrics`."""

import asyncio
from typing import Final

from locum import logs
from locum.engine.states import ACTIVE
from locum.errors import LocumError
from locum.service.scope import House

_PATIENCE_S: Final = 2.0


async def count_alive(house: House) -> None:
    """Set the gauges of runs; while the database cannot say, they say that nobody knows."""
    counts: dict[str, float] = dict.fromkeys(ACTIVE, float("nan"))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            projects = await house.store.runs.alive_by_project()
            counts = {
                status: sum(runs.get(status, 0) for runs in projects.values()) for status in ACTIVE
            }
    except (LocumError, TimeoutError) as error:
        logs.warning("metrics.incomplete", reason=type(error).__name__)
    for status, runs in counts.items():
        house.metrics.runs.alive.labels(status).set(runs)
