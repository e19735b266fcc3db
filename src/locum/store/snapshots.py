"""An SQLite file copied while others write to it, and a copy looked at before it is trusted."""

import sqlite3
from contextlib import closing
from pathlib import Path

_HELD = "SELECT blob FROM files UNION SELECT blob FROM upload_parts"
_HOLDERS = "SELECT id, blob FROM files UNION SELECT id, blob FROM upload_parts"


def snapshot(path: Path, target: Path) -> None:
    """Copy the database as it is at one moment. Writers go on meanwhile: the log keeps theirs."""
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        # All pages in one step, so in one read of the source: in several, a writer in another
        # process would make it begin anew for ever.
        source.backup(copy, pages=-1)
        # A file of its own, with no log that would have to go along.
        copy.execute("PRAGMA journal_mode = DELETE")


def damage(path: Path) -> str | None:
    """What is wrong with a database file, in SQLite's words; None when nothing is."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            rows = database.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    told = [str(row[0]) for row in rows]
    return None if told == ["ok"] else "; ".join(told[:3])


def held_blobs(path: Path) -> set[str]:
    """The keys of every blob that a row of the database holds."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return {row[0] for row in database.execute(_HELD)}


def holders(path: Path, blobs: set[str]) -> list[str]:
    """The ids of the files and parts of uploads that hold these blobs."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(_HOLDERS).fetchall()
    return sorted(row[0] for row in rows if row[1] in blobs)
