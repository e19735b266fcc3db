"""What an import has read and not yet written: a file beside the data, sorted, and resumable.

A dump may hold its objects in any order and be larger than memory. They are gathered here first,
so that every list can be written in its own order, and whoever is stopped knows what is done.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    number      INTEGER PRIMARY KEY,
    project_id  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    owner_id    TEXT NOT NULL,
    id          TEXT NOT NULL,
    thread_id   TEXT,
    created_at  INTEGER,
    state       TEXT,
    document    BLOB NOT NULL,
    UNIQUE (project_id, kind, owner_id, id)
);
CREATE INDEX IF NOT EXISTS records_of_thread ON records (project_id, thread_id);
CREATE INDEX IF NOT EXISTS records_by_state ON records (kind, state);
CREATE TABLE IF NOT EXISTS notes (
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    said   TEXT NOT NULL,
    times  INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, id, said)
);
CREATE TABLE IF NOT EXISTS contents (
    project_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    path        TEXT NOT NULL,
    PRIMARY KEY (project_id, file_id)
);
"""


class Record(Struct, frozen=True, kw_only=True):
    """One object of a dump. `owner_id` is empty where the project itself is the owner."""

    project_id: str
    kind: str
    owner_id: str
    id: str
    thread_id: str | None
    created_at: int | None
    document: bytes


class Staged(Struct, frozen=True):
    number: int
    id: str
    document: bytes


class Note(Struct, frozen=True):
    """Something to be told of an object, or of a place in the dump; `times` when it repeats."""

    kind: str
    id: str
    said: str
    times: int


class Staging:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        # Whatever the machine loses of this is read again from the dump.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def clear(self) -> None:
        """Forget everything: what was gathered before was not gathered to its end."""
        for table in ("facts", "records", "notes", "contents"):
            self._db.execute(f"DELETE FROM {table}")

    def begin(self) -> None:
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def roll_back(self) -> None:
        self._db.execute("ROLLBACK")

    # ----------------------------------------------------------------------- facts

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def note(self, kind: str, object_id: str, said: str) -> None:
        self._db.execute(
            "INSERT INTO notes (kind, id, said) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id, said) DO UPDATE SET times = times + 1",
            (kind, object_id, said),
        )

    def notes(self) -> Iterator[Note]:
        for row in self._db.execute("SELECT kind, id, said, times FROM notes ORDER BY rowid"):
            yield Note(*row)

    # --------------------------------------------------------------------- records

    def add(self, record: Record) -> bytes | None:
        """Keep a record; what was kept before under its id, if something was."""
        try:
            self._db.execute(
                "INSERT INTO records"
                " (project_id, kind, owner_id, id, thread_id, created_at, document)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.project_id,
                    record.kind,
                    record.owner_id,
                    record.id,
                    record.thread_id,
                    record.created_at,
                    record.document,
                ),
            )
        except sqlite3.IntegrityError:
            rows = self._db.execute(
                "SELECT document FROM records"
                " WHERE project_id = ? AND kind = ? AND owner_id = ? AND id = ?",
                (record.project_id, record.kind, record.owner_id, record.id),
            ).fetchall()
            return bytes(rows[0][0])
        return None

    def holds(self, project_id: str, kind: str, object_id: str) -> bool:
        """Whether an object that hangs on nothing but its project has been kept."""
        return bool(
            self._db.execute(
                "SELECT 1 FROM records"
                " WHERE project_id = ? AND kind = ? AND owner_id = '' AND id = ?",
                (project_id, kind, object_id),
            ).fetchone()
        )

    def projects(self) -> list[str]:
        rows = self._db.execute("SELECT DISTINCT project_id FROM records ORDER BY project_id")
        return [row[0] for row in rows]

    def listed(
        self,
        project_id: str,
        kind: str,
        owner_id: str = "",
        *,
        sort: bool,
        settled: bool = False,
    ) -> "array[int]":
        """The numbers of records, in the order of their list; those still to be written."""
        scope = (project_id, kind, owner_id)
        where = "project_id = ? AND kind = ? AND owner_id = ?"
        order = "number"
        if sort:
            # Clients list the newest first; within one second, that is all there is to know.
            ends = [
                self._db.execute(
                    f"SELECT created_at FROM records WHERE {where} AND created_at IS NOT NULL"
                    f" ORDER BY number {direction} LIMIT 1",
                    scope,
                ).fetchone()
                for direction in ("ASC", "DESC")
            ]
            falls = None not in ends and ends[0][0] > ends[1][0]
            order = f"created_at, number {'DESC' if falls else 'ASC'}"
        rows = self._db.execute(
            f"SELECT number FROM records WHERE {where}{'' if settled else ' AND state IS NULL'}"
            f" ORDER BY {order}",
            scope,
        )
        return array("q", (row[0] for row in rows))

    def fetch(self, numbers: Iterable[int]) -> list[Staged]:
        found = []
        for number in numbers:
            row = self._db.execute(
                "SELECT number, id, document FROM records WHERE number = ?", (number,)
            ).fetchone()
            found.append(Staged(*row))
        return found

    def settle(self, states: Iterable[tuple[int, str]]) -> None:
        self._db.executemany(
            "UPDATE records SET state = ? WHERE number = ?",
            [(state, number) for number, state in states],
        )

    def orphaned_threads(self) -> list[tuple[str, str, int | None]]:
        """Threads that objects name and the dump lacks: project, id, and when they began."""
        return list(
            self._db.execute(
                "SELECT project_id, thread_id, MIN(created_at) FROM records held"
                " WHERE thread_id IS NOT NULL AND kind <> 'threads' AND NOT EXISTS"
                " (SELECT 1 FROM records WHERE project_id = held.project_id AND kind = 'threads'"
                " AND owner_id = '' AND id = held.thread_id)"
                " GROUP BY project_id, thread_id ORDER BY MIN(number)"
            )
        )

    def owners(self, project_id: str, kind: str) -> list[str]:
        """What the pending records of a kind hang on."""
        rows = self._db.execute(
            "SELECT owner_id FROM records WHERE project_id = ? AND kind = ? AND state IS NULL"
            " GROUP BY owner_id ORDER BY MIN(number)",
            (project_id, kind),
        )
        return [row[0] for row in rows]

    def total(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM records").fetchone()[0])

    def settled(self) -> int:
        return int(
            self._db.execute("SELECT COUNT(*) FROM records WHERE state IS NOT NULL").fetchone()[0]
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """How many records of each kind are in each state; '' is still to be written."""
        counted: dict[str, dict[str, int]] = {}
        for kind, state, count in self._db.execute(
            "SELECT kind, COALESCE(state, ''), COUNT(*) FROM records GROUP BY kind, state"
        ):
            counted.setdefault(kind, {})[state] = count
        return counted

    # -------------------------------------------------------------------- contents

    def set_content(self, project_id: str, file_id: str, path: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", (project_id, file_id, path)
        )

    def content(self, project_id: str, file_id: str) -> str | None:
        row = self._db.execute(
            "SELECT path FROM contents WHERE project_id IN (?, '') AND file_id = ?"
            " ORDER BY project_id DESC",
            (project_id, file_id),
        ).fetchone()
        return None if row is None else str(row[0])
