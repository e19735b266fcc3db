"""Numbered migrations, forward only, each with a checksum; one folder per database.

A migration adds, so that the processes of an older version go on beside it while they are replaced
one by one. One that does more has a name that begins with `breaking_`: older versions refuse it.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

from msgspec import Struct

from locum.store.database import Database

_BREAKING = "breaking_"


class Migration(Struct, frozen=True):
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationError(Exception):
    """The database and this version of Locum do not fit; the message says what to do."""


def known(dialect: str) -> list[Migration]:
    folder = resources.files("locum.store.migrations") / dialect
    found = [
        Migration(number=int(file.name[:4]), name=file.name[5:-4], sql=file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.number)


async def pending(database: Database) -> list[Migration]:
    """What is still to be applied; raises when the database has what we cannot live with."""
    await database.script(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL);"
    )
    rows = await database.fetch("SELECT number, checksum, name FROM migrations")
    applied = {row[0]: row[1] for row in rows}
    ours = known(database.dialect)
    newest = ours[-1].number
    for number, _, name in rows:
        if number > newest and name.startswith(_BREAKING):
            raise MigrationError(
                f"The database has migration {number} ({name}), which this version of Locum does"
                " not know and cannot live with. Run a newer version, or restore a backup."
            )
    for migration in ours:
        if migration.number in applied and applied[migration.number] != migration.checksum:
            raise MigrationError(
                f"Migration {migration.number} ({migration.name}) was changed after it was applied."
                " Reinstall Locum; migrations are never edited."
            )
    return [migration for migration in ours if migration.number not in applied]


async def lacking(database: Database) -> int:
    """How many migrations of ours the database has not seen; only looks, so it may be asked often.

    A newer version may have brought more than we know of: it lets us go on until we are replaced.
    """
    applied = {row[0] for row in await database.fetch("SELECT number FROM migrations")}
    return sum(migration.number not in applied for migration in known(database.dialect))


def breaks(todo: Sequence[Migration]) -> bool:
    """Whether a process of the version before could not go on beside it. A new file has none."""
    return any(one.name.startswith(_BREAKING) for one in todo) and todo[0].number > 1


async def migrate(database: Database) -> list[Migration]:
    """Bring the database up to this version; the migrations that were applied."""
    applied = []
    for migration in await pending(database):
        # The record is part of the same transaction as the change it records. Another process
        # may have been quicker since we looked.
        done = await database.script(
            f"{migration.sql}\n"
            "INSERT INTO migrations (number, name, checksum)"
            f" VALUES ({migration.number}, '{migration.name}', '{migration.checksum}');",
            unless=f"SELECT 1 FROM migrations WHERE number = {migration.number}",
        )
        if done:
            applied.append(migration)
    return applied
