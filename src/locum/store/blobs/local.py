"""Blobs in a directory. All work on the disk is done in threads."""

import asyncio
import errno
import itertools
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from locum.errors import StorageFull
from locum.store.blobs import PIECE_BYTES, BlobMissing, Stored

_UNFINISHED = "unfinished"
_LISTED_TOGETHER = 1000


class LocalBlobs:
    """`directory/ab/abcdef…` for a blob, `directory/unfinished/abcdef…` for one being written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / _UNFINISHED).mkdir(parents=True, exist_ok=True)

    async def create(self) -> "_LocalWriter":
        key = secrets.token_hex(16)
        temporary = self._path(f"{_UNFINISHED}/{key}")
        with _full_disk_named():
            file = await asyncio.to_thread(temporary.open, "xb", buffering=0)
        return _LocalWriter(file, key, temporary=temporary, final=self._path(key))

    async def open(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        try:
            file = await asyncio.to_thread(self._path(key).open, "rb", buffering=0)
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        with file:
            file.seek(start)
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        path = self._path(key)
        if not await asyncio.to_thread(path.exists):
            raise BlobMissing(key)
        yield path

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def stored(self) -> AsyncIterator[Stored]:
        walk = self._walk()
        while some := await asyncio.to_thread(_next_some, walk):
            for stored in some:
                yield stored

    def _walk(self) -> Iterator[Stored]:
        for folder in self._directory.iterdir():
            prefix = f"{_UNFINISHED}/" if folder.name == _UNFINISHED else ""
            for file in folder.iterdir():
                with suppress(FileNotFoundError):  # It was deleted since we listed it.
                    yield Stored(f"{prefix}{file.name}", file.stat().st_mtime)

    def _path(self, key: str) -> Path:
        folder, _, name = key.rpartition("/")
        assert name.isalnum(), "a key is one of ours, never from outside"
        assert folder in {"", _UNFINISHED}, "a key is one of ours, never from outside"
        return self._directory / (folder or name[:2]) / name


class _LocalWriter:
    def __init__(self, file: BinaryIO, key: str, *, temporary: Path, final: Path) -> None:
        self._file = file
        self._key = key
        self._temporary = temporary
        self._final = final
        self._gathered = bytearray()

    async def write(self, data: bytes) -> None:
        self._gathered += data
        if len(self._gathered) >= PIECE_BYTES:
            await self._flush()

    async def commit(self) -> str:
        await self._flush()
        with _full_disk_named():
            await asyncio.to_thread(self._finish)
        return self._key

    async def abort(self) -> None:
        await asyncio.to_thread(self._discard)

    async def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        with _full_disk_named():
            await asyncio.to_thread(_write_all, self._file, gathered)

    def _finish(self) -> None:
        with self._file:
            os.fsync(self._file.fileno())
        self._final.parent.mkdir(exist_ok=True)
        self._temporary.rename(self._final)
        for directory in (self._final.parent, self._final.parent.parent):
            _sync_directory(directory)

    def _discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def _write_all(file: BinaryIO, data: bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _sync_directory(directory: Path) -> None:
    """A new name lasts only when the directory that bears it has been written, too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _next_some(walk: Iterator[Stored]) -> list[Stored]:
    return list(itertools.islice(walk, _LISTED_TOGETHER))


@contextmanager
def _full_disk_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("The server has no space left to store this.") from error
        raise
