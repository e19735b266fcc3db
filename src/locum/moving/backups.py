"""Backups of SQLite and blobs: a folder, or a tar of it, that says of itself what is in it.

The database is copied first, as it is at one moment, and then the blobs its rows hold. A blob
that is gone by then was deleted meanwhile, and its row too: so the database is copied anew, until
nothing is missing. No row of a backup ever lacks its blob.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from locum.moving.gathering import BACKUP, EXPORT, Tick
from locum.store import snapshots

DATABASE: Final = "locum.db"
# How the name of a folder begins in which a restore makes ready what takes the place of what is
# there.
RESTORING: Final = ".restoring-"
_MANIFEST: Final = "manifest.json"
_VERSION: Final = 1
_PIECE_BYTES: Final = 1024 * 1024
_MOST_ROUNDS: Final = 20
_MOST_NAMED: Final = 5
_BLOB: Final = re.compile(r"blobs/[a-z0-9]{2}/[a-z0-9]{32}\Z")


class BackupError(Exception):
    """There is no backup to be made, or none to be trusted; the message says why."""


class Sum(Struct, frozen=True):
    bytes: int
    sha256: str


class _Head(Struct, frozen=True):
    """What tells apart the folders that Locum writes."""

    object: str = ""


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    object: str = BACKUP
    version: int = _VERSION
    locum: str
    made_at: int
    # Where the blobs are when they are not in the backup.
    blobs_at: str | None
    files: dict[str, Sum]


def back_up(
    data: Path, folder: Path, *, blobs_at: str | None, locum: str, now: int, tick: Tick
) -> Manifest:
    """Fill an empty folder with a backup; a server may be writing meanwhile."""
    if not (data / DATABASE).exists():
        raise BackupError(f"There is no {data / DATABASE}. Name the folder with --data.")
    copied: dict[str, Sum] = {}
    gone: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        (folder / DATABASE).unlink(missing_ok=True)
        snapshots.snapshot(data / DATABASE, folder / DATABASE)
        held = set() if blobs_at else snapshots.held_blobs(folder / DATABASE)
        # A row goes before its blob does, so one that is still there is no deletion under way.
        if lost := held & gone:
            raise _lost(snapshots.holders(folder / DATABASE, lost))
        gone = _copy_blobs(data, folder, held, copied, tick)
        if not gone:
            break
    else:
        raise BackupError("Files are deleted faster than they can be copied. Try again.")
    wanted = {_place(key) for key in held}
    for name in copied.keys() - wanted:
        (folder / name).unlink()
    files = {name: copied[name] for name in sorted(wanted)}
    with (folder / DATABASE).open("rb") as database:
        files[DATABASE] = _sum(database)
    manifest = Manifest(locum=locum, made_at=now, blobs_at=blobs_at, files=files)
    (folder / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    for name in (*files, _MANIFEST):
        _sync(folder / name)
    return manifest


def _copy_blobs(
    data: Path, folder: Path, held: set[str], copied: dict[str, Sum], tick: Tick
) -> set[str]:
    """Copy what is not copied yet; the keys of what was gone."""
    gone = set()
    for number, key in enumerate(sorted(held), start=1):
        name = _place(key)
        if name not in copied:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                with (data / name).open("rb") as source, (folder / name).open("wb") as target:
                    copied[name] = _sum(source, target)
            except FileNotFoundError:
                gone.add(key)
        tick("copying files", number, len(held))
    return gone


def _lost(ids: list[str]) -> BackupError:
    named = ", ".join(ids[:_MOST_NAMED]) + (" and others" if len(ids) > _MOST_NAMED else "")
    return BackupError(
        f"The bytes of {named} are lost: they are not among the blobs. Delete what names them,"
        " or put them back."
    )


def packed(folder: Path, target: Path) -> None:
    """The folder as one file; compressed when its name says so."""
    mode = "w:gz" if target.name.endswith((".gz", ".tgz")) else "w:"
    unfinished = target.with_name(f".{target.name}.unfinished")
    # It holds what the data folder holds, which nobody else may read either.
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600, exist_ok=False)
    with tarfile.open(unfinished, mode) as archive:  # type: ignore[call-overload]  # one of two
        for path in _files(folder):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
    _sync(unfinished)
    unfinished.rename(target)


def unpacked(archive: Path, folder: Path) -> None:
    """Take out of a tar what a backup may hold, and nothing else."""
    try:
        with tarfile.open(archive) as source:
            for member in source:
                if not member.isfile() or not _may_hold(member.name):
                    raise BackupError(f"{archive} holds '{member.name}', which no backup does.")
                taken = source.extractfile(member)
                assert taken is not None
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with taken, target.open("wb") as file:
                    shutil.copyfileobj(taken, file, _PIECE_BYTES)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{archive} is no whole backup: {error}.") from error


def verified(folder: Path, *, tick: Tick) -> Manifest:
    """What the backup says of itself, once everything in it has been seen to be so."""
    try:
        text = (folder / _MANIFEST).read_bytes()
        if msgspec.json.decode(text, type=_Head).object == EXPORT:
            raise BackupError(f"{folder} is an export, which `locum import` takes in.")
        manifest = msgspec.json.decode(text, type=Manifest)
    except FileNotFoundError as error:
        raise BackupError(f"{folder} has no {_MANIFEST}: it is no whole backup.") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"The {_MANIFEST} of {folder} cannot be read: {error}.") from error
    if manifest.object != BACKUP or manifest.version > _VERSION:
        raise BackupError(f"{folder} is no backup that this version of Locum knows.")
    for number, (name, told) in enumerate(manifest.files.items(), start=1):
        if not _may_hold(name):
            raise BackupError(f"The backup names '{name}', which no backup holds.")
        try:
            with (folder / name).open("rb") as file:
                found = _sum(file)
        except FileNotFoundError as error:
            raise BackupError(f"{name} is missing in the backup.") from error
        if found != told:
            raise BackupError(f"{name} is not what was backed up: its checksum differs.")
        tick("checking files", number, len(manifest.files))
    _check_database(folder, manifest)
    return manifest


def _check_database(folder: Path, manifest: Manifest) -> None:
    if DATABASE not in manifest.files:
        raise BackupError("The backup has no database.")
    wrong = snapshots.damage(folder / DATABASE)
    if wrong is not None:
        raise BackupError(f"The database of the backup is damaged: {wrong}.")
    if manifest.blobs_at is None:
        lacking = {
            _place(key) for key in snapshots.held_blobs(folder / DATABASE)
        } - manifest.files.keys()
        if lacking:
            raise BackupError(f"The backup lacks {len(lacking)} files that its database names.")


def copied(folder: Path, manifest: Manifest, target: Path) -> None:
    """What was verified, at another place."""
    for name in manifest.files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
        _sync(target / name)


def _place(key: str) -> str:
    return f"blobs/{key[:2]}/{key}"


def _may_hold(name: str) -> bool:
    return name in {DATABASE, _MANIFEST} or _BLOB.match(name) is not None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sum(source: BinaryIO, target: BinaryIO | None = None) -> Sum:
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return Sum(size, digest.hexdigest())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
