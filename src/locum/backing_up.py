"""`locum backup` and `locum restore`: all that is kept in SQLite, in a folder or a file."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from locum import __version__
from locum.clock import SystemClock
from locum.moving.backups import (
    DATABASE,
    RESTORING,
    BackupError,
    Manifest,
    back_up,
    copied,
    packed,
    unpacked,
    verified,
)
from locum.moving.gathering import Tick
from locum.serving import alone
from locum.settings import Settings
from locum.store.migrations import pending
from locum.store.sqlite import SqliteDatabase

__all__ = ["BackupError", "backup", "restore"]

_BLOBS: Final = "blobs"
_UNPACKED: Final = ".unpacked-"
_PACKED: Final = (".tar", ".tar.gz", ".tgz")
_ON_POSTGRES: Final = (
    "The data is in PostgreSQL, which has tools of its own for this: see docs/how-to/back-up.md."
)


def backup(settings: Settings, target: Path, *, tick: Tick) -> list[str]:
    """Make a backup that appears when it is whole; a server may be running."""
    if settings.database_url is not None:
        raise BackupError(_ON_POSTGRES)
    if target.exists():
        raise BackupError(f"{target} is there already. Choose a name that is not.")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        manifest = back_up(
            settings.data,
            folder,
            blobs_at=settings.blobs_url,
            locum=__version__,
            now=SystemClock().now(),
            tick=tick,
        )
        if target.name.endswith(_PACKED):
            packed(folder, target)
        else:
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = [f"{target} holds the database and {len(manifest.files) - 1} files."]
    if manifest.blobs_at is not None:
        told.append(f"The bytes of files are not in it: they are at {manifest.blobs_at}.")
    return told


async def restore(settings: Settings, source: Path, *, force: bool, tick: Tick) -> list[str]:
    """Put a backup in the place of what is here. Nothing is touched before all is verified."""
    if settings.database_url is not None:
        raise BackupError(_ON_POSTGRES)
    data = settings.data
    with alone(data), _after_others(data), _unpacked(source, data) as folder:
        manifest = verified(folder, tick=tick)
        if manifest.blobs_at != settings.blobs_url:
            raise BackupError(
                f"The files of this backup are at {manifest.blobs_at or 'its own side'}, but"
                f" blobs_url is {settings.blobs_url or 'not set'}. Set it as it was."
            )
        ready = Path(tempfile.mkdtemp(prefix=RESTORING, dir=data))
        try:
            copied(folder, manifest, ready)
            await _check_migrations(ready / DATABASE)
            kept = _make_room(data, force=force)
            _put_in_place(ready, data)
        finally:
            shutil.rmtree(ready, ignore_errors=True)
    told = [f"{data} is as it was when the backup was made, with {_files(manifest)} files."]
    if kept is not None:
        told.append(f"What was there before lies in {kept}.")
    return told


@contextmanager
def _after_others(data: Path) -> Iterator[None]:
    """What an interrupted restore has left goes when another one is whole."""
    left = [*data.glob(f"{RESTORING}*"), *data.glob(f"{_UNPACKED}*")]
    yield
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _unpacked(source: Path, data: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise BackupError(f"There is no {source}.")
    with tempfile.TemporaryDirectory(prefix=_UNPACKED, dir=data) as folder:
        unpacked(source, Path(folder))
        yield Path(folder)


async def _check_migrations(path: Path) -> None:
    """Raises when a newer version of Locum has written the database."""
    database = SqliteDatabase(path)
    try:
        await pending(database)
    finally:
        await database.close()


def _make_room(data: Path, *, force: bool) -> Path | None:
    """Set aside what is here; nothing is deleted."""
    names = [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"]
    found = [data / name for name in names if (data / name).exists()]
    blobs = data / _BLOBS
    if blobs.exists() and any(path.is_file() for path in blobs.rglob("*")):
        found.append(blobs)
    else:
        shutil.rmtree(blobs, ignore_errors=True)
    if not found:
        return None
    if not force:
        raise BackupError(f"{data} holds data already. --force sets it aside first.")
    kept = Path(tempfile.mkdtemp(prefix="before-restore-", dir=data))
    for path in found:
        path.rename(kept / path.name)
    return kept


def _put_in_place(ready: Path, data: Path) -> None:
    """The database last: where there is one, its files are there, too."""
    if (ready / _BLOBS).exists():
        (ready / _BLOBS).rename(data / _BLOBS)
    (ready / DATABASE).rename(data / DATABASE)


def _files(manifest: Manifest) -> int:
    return len(manifest.files) - 1
