"""`locum import`, `export`, `backup` and `restore`: opened, carried out, and told of."""

import argparse
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Final, TextIO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum import __version__
from locum.app import open_blobs, open_database
from locum.clock import SystemClock
from locum.moving.backups import DATABASE
from locum.moving.conversations import LEFT_OUT as RESPONSES_LACK
from locum.moving.conversations import ConversationExporter
from locum.moving.dumps import Wishes, import_dump
from locum.moving.exporting import LEFT_OUT, Export, Exporter
from locum.moving.live import Live, LiveError
from locum.moving.pulling import Puller, thread_ids
from locum.moving.report import Report, lines
from locum.moving.sinks import FolderSink, LinesFolder, StreamSink
from locum.moving.sources import SourceError
from locum.serving import alone, migrate_by_hand
from locum.settings import Settings, make_private
from locum.store.blobs import Blobs
from locum.store.migrations import MigrationError, migrate, pending
from locum.store.tables import Store
from locum.store.whole_rows import WholeRows

__all__ = [
    "Bar",
    "ExportWishes",
    "ImportWishes",
    "LiveError",
    "SourceError",
    "export_from",
    "import_into",
]

_UNFINISHED: Final = "imports"
_BAR_CHARS: Final = 30
_REDRAWN_S: Final = 0.1


class ImportWishes(Struct, frozen=True, kw_only=True):
    """What `locum import` was told."""

    sources: tuple[Path, ...]
    # A server that still answers, what it is shown, and the threads to ask it for.
    url: str | None
    key: str | None
    api_version: str | None
    threads: tuple[str, ...]
    project: str | None
    replaces: bool
    dry: bool
    report: Path | None

    @classmethod
    def of(cls, given: argparse.Namespace, settings: Settings) -> "ImportWishes":
        if not given.source and given.url is None:
            raise SourceError("Name what to import: a dump, or a server with --from.")
        key_file: Path | None = given.key_file
        return cls(
            sources=tuple(given.source),
            url=given.url,
            key=settings.import_key if key_file is None else key_file.read_text("utf-8").strip(),
            api_version=given.api_version,
            threads=tuple(given.threads),
            project=given.project,
            replaces=given.replace,
            dry=given.dry_run,
            report=given.report,
        )


class Told(Struct, frozen=True):
    """What to say of a move, and whether all came along that was meant to."""

    lines: Sequence[str]
    is_whole: bool


class Bar:
    """A line that fills, on a terminal; elsewhere nothing."""

    def __init__(self, out: TextIO) -> None:
        self._out = out if out.isatty() else None
        self._drawn_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._out is None or (done < total and now - self._drawn_at < _REDRAWN_S):
            return
        self._drawn_at = now
        if total:
            filled = min(_BAR_CHARS, _BAR_CHARS * done // total)
            bar = "█" * filled + "·" * (_BAR_CHARS - filled)
            told = f"{what} {bar} {done}/{total}"
        else:
            told = f"{what} {done}"
        self._out.write(f"\r\x1b[K{told}{chr(10) if total and done >= total else ''}")
        self._out.flush()


async def import_into(settings: Settings, wishes: ImportWishes, *, tick: Bar) -> Told:
    """Import; with SQLite no server may run meanwhile, for one process has the file to itself."""
    if wishes.report is not None:
        # An import may take hours, and what it tells is not to be lost at its end.
        wishes.report.open("ab").close()
    async with _opened(settings, changes=not wishes.dry) as (store, blobs):
        pulled = [] if wishes.url is None else [await _pulled(settings, wishes, wishes.url, tick)]
        told = await import_dump(
            store,
            blobs,
            [*wishes.sources, *pulled],
            Wishes(
                project_id=wishes.project,
                default_project_id=settings.project,
                replaces=wishes.replaces,
                dry=wishes.dry,
            ),
            folder=settings.data / _UNFINISHED,
            clock=SystemClock(),
            tick=tick,
        )
        for folder in pulled:
            shutil.rmtree(folder)
    if wishes.report is not None:
        _write_json(wishes.report, told)
    return Told(list(lines(told)), told.is_whole)


async def _pulled(settings: Settings, wishes: ImportWishes, url: str, tick: Bar) -> Path:
    """What a server has given, in a folder; one that was begun is gone on with, by the same key."""
    named = thread_ids(wishes.threads)
    words = (url, wishes.key or "", wishes.api_version or "", *named)
    asked = hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
    folder = settings.data / _UNFINISHED / f"pulled-{asked}"
    try:
        async with Live(url, key=wishes.key, api_version=wishes.api_version) as live:
            await Puller(live, folder, tick=tick).run(named)
    except* LiveError as group:
        raise _first(group) from group
    return folder


def _first(group: BaseExceptionGroup[LiveError]) -> LiveError:
    """The first of the errors that several tasks have met."""
    for error in group.exceptions:
        return error if isinstance(error, LiveError) else _first(error)
    raise AssertionError(group)


class ExportWishes(Struct, frozen=True, kw_only=True):
    """What `locum export` was told; no folder is the standard output."""

    folder: Path | None
    wanted: Export
    as_responses: bool

    @classmethod
    def of(cls, given: argparse.Namespace) -> "ExportWishes":
        return cls(
            folder=None if str(given.target) == "-" else given.target,
            wanted=Export(
                project_id=given.project,
                thread_id=given.thread,
                secrets=given.secrets,
            ),
            as_responses=given.to == "responses",
        )


async def export_from(
    settings: Settings, wishes: ExportWishes, *, out: IO[bytes], tick: Bar
) -> Told:
    """Export, also while a server is running. A folder appears when it is whole."""
    wanted = wishes.wanted
    if wanted.thread_id is not None and wanted.project_id is None:
        wanted = replace(wanted, project_id=settings.project)
    if wishes.as_responses:
        return await _export_responses(settings, wishes.folder, wanted, out, tick)
    async with _to_export(settings, wanted) as (store, blobs):
        if wishes.folder is None:
            exporter = Exporter(store, blobs, StreamSink(out), tick=tick)
            await exporter.run(wanted)
        else:
            exporter = await _export_folder(store, blobs, wishes.folder, wanted, tick)
    told = [
        f"{project_id}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
        for project_id, counts in exporter.counts.items()
    ]
    told += [f"! {missing}" for missing in exporter.missing]
    return Told(told, is_whole=not exporter.missing)


async def _export_responses(
    settings: Settings, folder: Path | None, wanted: Export, out: IO[bytes], tick: Bar
) -> Told:
    """As conversations and responses. In one stream, a line says which it is."""
    unfinished = None if folder is None else _begun(folder)
    lines = None if unfinished is None else LinesFolder(unfinished)

    def write(name: str, value: dict[str, Any]) -> None:
        if lines is not None:
            lines.write(name, value)
        else:
            out.write(msgspec.json.encode(value) + b"\n")

    try:
        async with _to_export(settings, wanted) as (store, _):
            exporter = ConversationExporter(store, write, now=SystemClock().now(), tick=tick)
            await exporter.run(wanted)
    finally:
        if lines is not None:
            lines.close()
    if folder is not None and unfinished is not None:
        _finish(unfinished, folder)
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in exporter.counts.items())
    lacking = (f"! left out: {what}" for what in RESPONSES_LACK)
    return Told([told, *lacking], is_whole=True)


async def _export_folder(
    store: Store, blobs: Blobs, folder: Path, wanted: Export, tick: Bar
) -> Exporter:
    unfinished = _begun(folder)
    sink = FolderSink(unfinished)
    try:
        exporter = Exporter(store, blobs, sink, tick=tick)
        await exporter.run(wanted)
        sink.finish(
            {
                "locum": __version__,
                "exported_at": SystemClock().now(),
                "projects": exporter.counts,
                "left_out": [*LEFT_OUT, *exporter.missing],
            }
        )
    finally:
        sink.close()
    _finish(unfinished, folder)
    return exporter


def _begun(folder: Path) -> Path:
    """Where what is to become a folder is made. What a stopped one has left there is removed."""
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder} is not empty. Choose a folder that is not there yet.")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


def _finish(unfinished: Path, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
    unfinished.rename(folder)


@asynccontextmanager
async def _to_export(settings: Settings, wanted: Export) -> AsyncIterator[tuple[Store, Blobs]]:
    """What is here. Where a folder or a project is mistyped, an export would hold nothing."""
    database = settings.data / DATABASE
    if settings.database_url is None and not database.exists():
        raise SourceError(f"There is no {database}. Name the folder with --data.")
    async with _opened(settings, changes=False) as (store, blobs):
        if wanted.project_id is not None and wanted.thread_id is None:
            known = [*await store.keys.projects(), *await WholeRows(store.db).projects()]
            # Whoever shows no key is in a project of everybody's, which holds nothing at first.
            names = {Settings().project} | {project_id for project_id, _ in known}
            if wanted.project_id not in names:
                raise SourceError(f"There is no project '{wanted.project_id}' here.")
        yield store, blobs


@asynccontextmanager
async def _opened(settings: Settings, *, changes: bool) -> AsyncIterator[tuple[Store, Blobs]]:
    """The tables and the blobs; alone with them where SQLite is to be changed."""
    make_private(settings.data)
    is_sqlite = settings.database_url is None
    with alone(settings.data) if is_sqlite and changes else nullcontext():
        database = open_database(settings)
        try:
            if is_sqlite and changes:
                await migrate(database)
            elif is_sqlite:
                await migrate_by_hand(database, settings.data)
            elif await pending(database):
                raise MigrationError("The database lacks migrations. Run `locum migrate` first.")
            yield Store(database), open_blobs(settings)
        finally:
            await database.close()


def _write_json(path: Path, told: Report) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
