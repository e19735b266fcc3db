"""A database that dies with its process after so many writes, and the life that follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from locum.store.database import Database, Row, Transaction

Moment = Literal["before", "after"]


class Died(BaseException):
    """The process is gone. Nothing in it may catch this and carry on."""


class MortalDatabase:
    """Passes everything on until its write number `dies_at`; from then on nothing works."""

    def __init__(
        self, database: Database, *, dies_at: int | None = None, moment: Moment = "before"
    ) -> None:
        self.dialect = database.dialect
        self.writes = 0
        self.death = asyncio.Event()
        self._database = database
        self._dies_at = dies_at
        self._moment = moment

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        self._live()
        return await self._database.fetch(sql, *values)

    async def fetch_aside(self, sql: str, *values: object) -> list[Row]:
        self._live()
        return await self._database.fetch_aside(sql, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self._live()
        self.writes += 1
        last = self.writes == self._dies_at
        async with self._database.transaction() as tx:
            yield tx
            if last and self._moment == "before":
                self.death.set()
                raise Died
        if last:
            self.death.set()
        self._live()

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        return await self._database.script(sql, unless=unless)

    async def close(self) -> None:
        await self._database.close()

    @property
    def dead(self) -> bool:
        return self.death.is_set()

    def _live(self) -> None:
        if self.dead:
            raise Died
