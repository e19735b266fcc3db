"""Whether this process should be sent requests, and if not, why."""

import asyncio
from typing import Final, Literal

from locum import logs
from locum.errors import LocumError
from locum.store.migrations import lacking
from locum.store.tables import Store

Reason = Literal["draining", "database_unreachable", "migrations_pending"]

# Probes are impatient: they give up after a second or a few.
_PATIENCE_S: Final = 1.0


class Health:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._draining = False

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        """Say that the process is about to end: it is to be sent nothing new any more."""
        self._draining = True

    async def reasons(self) -> list[Reason]:
        """Why it should be sent nothing; no reason is a good sign."""
        found: list[Reason] = ["draining"] if self._draining else []
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if await lacking(self._store.db):
                    found.append("migrations_pending")
        except (LocumError, TimeoutError) as error:
            logs.warning("health.database_unreachable", reason=type(error).__name__)
            found.append("database_unreachable")
        return found
