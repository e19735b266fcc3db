"""`locum keys`: who may come in, from the command line. A key is shown once, when it is made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from locum.api.auth import new_key
from locum.app import open_database
from locum.clock import SystemClock
from locum.columns import table
from locum.ids import RandomIds
from locum.service import keys
from locum.serving import migrate_by_hand
from locum.settings import Settings, make_private
from locum.store.keys import ApiKey
from locum.store.migrations import MigrationError, pending
from locum.store.tables import Store


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The tables, brought up to date where that is done without asking."""
    make_private(settings.data)
    database = open_database(settings)
    try:
        if database.dialect == "sqlite":
            await migrate_by_hand(database, settings.data)
        elif await pending(database):
            raise MigrationError("The database lacks migrations. Run `locum migrate` first.")
        yield Store(database)
    finally:
        await database.close()


async def create(
    settings: Settings, *, project: str | None, name: str, read_only: bool, expires_days: int | None
) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can read again."""
    secret, digest, hint = new_key()
    wish = keys.Wish(
        project_id=settings.project if project is None else project,
        name=name,
        read_only=read_only,
        expires_days=expires_days,
    )
    async with opened(settings) as store:
        if project is not None:
            await keys.require_project(store, project)
        key = await keys.create_key(
            store, wish, keys.Fresh(digest, hint), clock=SystemClock(), ids=RandomIds()
        )
    return key, secret


async def revoke(settings: Settings, key_id: str) -> bool:
    async with opened(settings) as store:
        return await keys.revoke_key(store, key_id, clock=SystemClock())


async def listed(settings: Settings) -> list[str]:
    """The keys as lines of a table, the oldest first."""
    async with opened(settings) as store:
        found = await store.keys.all()
    now = SystemClock().now()
    rows = [("ID", "PROJECT", "NAME", "KEY", "MAY", "CREATED", "STATE")]
    rows += [
        (
            key.id,
            key.project_id,
            key.name,
            key.hint,
            "read" if key.read_only else "read and write",
            _day(key.created_at),
            _state(key, now),
        )
        for key in found
    ]
    return table(rows)


async def projects(settings: Settings) -> list[str]:
    async with opened(settings) as store:
        return table([("ID", "NAME"), *await store.keys.projects()])


def _state(key: ApiKey, now: int) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= now else 'valid until'} {_day(key.expires_at)}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
