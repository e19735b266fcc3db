"""Places to move between: a database and a folder of blobs, that import and export."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from examples.sample_export import write as write_sample
from tests.kit.clocks import SteppedClock
from tests.kit.databases import fresh_database
from tests.kit.mortal import Moment, MortalDatabase

from locum.moving.dumps import Wishes, import_dump
from locum.moving.exporting import Export, Exporter
from locum.moving.report import Report
from locum.moving.sinks import FolderSink
from locum.store.blobs.local import LocalBlobs
from locum.store.database import Database
from locum.store.tables import Store

PROJECT = "proj_default"
Contents = dict[str, bytes]


def quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody looks at the bar."""


class Place:
    """One installation, as the commands see it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = Store(database)
        self.folder = folder
        self.blobs = LocalBlobs(folder / "blobs")
        self._exports = 0

    async def take(
        self,
        *paths: Path,
        project: str | None = None,
        replaces: bool = False,
        dry: bool = False,
        tick: Callable[[str, int, int], None] = quiet,
    ) -> Report:
        return await import_dump(
            self.store,
            self.blobs,
            paths,
            Wishes(project_id=project, default_project_id=PROJECT, replaces=replaces, dry=dry),
            folder=self.folder / "imports",
            clock=SteppedClock(),
            tick=tick,
        )

    async def give(self, wanted: Export | None = None) -> Path:
        """An export; the folder it is in."""
        self._exports += 1
        folder = self.folder / f"export-{self._exports}"
        sink = FolderSink(folder)
        exporter = Exporter(self.store, self.blobs, sink, tick=quiet)
        await exporter.run(wanted or Export())
        sink.finish({})
        return folder

    def mortal(self, dies_at: int, moment: Moment) -> "Place":
        """The same place, in a process that will not live for long."""
        return Place(MortalDatabase(self.database, dies_at=dies_at, moment=moment), self.folder)


@asynccontextmanager
async def place(dialect: str = "sqlite") -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="locum-place-") as folder:
        async with fresh_database(dialect) as database:
            yield Place(database, Path(folder))


def contents(folder: Path) -> Contents:
    """Every file below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sample(folder: Path, *, threads: int) -> Path:
    write_sample(folder / "sample", threads=threads)
    return folder / "sample"


def at(make: Callable[[Place], Any], *, dialect: str = "sqlite") -> Any:
    """Run something at a place of its own."""

    async def run() -> Any:
        async with asyncio.timeout(60), place(dialect) as here:
            return await make(here)

    return asyncio.run(run())


def said(report: Report, kind: str | None = None) -> Sequence[str]:
    return [note.said for note in report.notes if kind in (None, note.kind)]
