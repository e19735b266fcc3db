"""The files of one session, read and written by the server beside code that may plant anything.

Every name is walked from a directory that is open already, never through a link. A file is what is
regular and has one name, which can be printed and is not too long; a FIFO or a device is never
waited for.
"""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.nameless import nameless_bytes
from locum.tools.code_interpreter.sandbox import Written

_DEEPEST = 32
# Ten thousand of the longest that there are would take eighty megabytes to list.
_LONGEST_PATH = 1024
# No print, as Python sees it: spaces of other widths, and what joins letters in Persian or Hindi.
_HARMLESS = re.compile("[\u00a0\u1680\u2000-\u200a\u200c\u200d\u202f\u205f\u3000]")
_CHUNK = 1 << 20
_ALL = stat.S_IRWXU


def _flags(*names: str) -> int:
    """Zero where the system has none of them: such a one imports this, and never runs it."""
    return sum(getattr(os, name, 0) for name in names)


_DIRECTORY = _flags("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
# Without O_NONBLOCK, opening a FIFO waits for its writer.
_FILE = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")


class Usage(Struct, frozen=True):
    size_bytes: int
    entries: int
    too_deep: bool
    nameless_bytes: int | None = 0
    """Of files that were removed, and that processes still hold; None where too much is mapped."""


class Laid(Struct, frozen=True, array_like=True):
    """A file as the server has put it there. One that was changed since is its code's own."""

    name: str
    inode: int
    size_bytes: int
    modified_ns: int

    def is_at(self, path: str, status: os.stat_result) -> bool:
        """Under its name, or another that its code has given it."""
        return (
            stat.S_ISREG(status.st_mode)
            and (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.modified_ns)
            and (path == self.name or status.st_ino == self.inode)
        )


_Coming = Callable[[Laid], None]


class DataDirectory:
    """What is `/mnt/data` within; `path` without."""

    def __init__(self, path: Path, *, owner: int | None, limits: Limits) -> None:
        self.path = path
        self._owner = owner
        self._largest = limits.disk_bytes
        self._most = limits.disk_entries
        self._mappings = limits.mappings

    async def put(
        self, name: str, source: Path, *, through: Path, coming: _Coming | None = None
    ) -> None:
        """A whole copy or none: it is made in another place of the same file system.

        `coming` hears of it before it is there, in a thread of its own.
        """
        await asyncio.to_thread(self._put, name, source, through, coming)

    async def files(self) -> dict[str, Written]:
        return await asyncio.to_thread(self._files)

    async def usage(self, holders: Collection[int] = ()) -> Usage:
        return await asyncio.to_thread(self._usage, holders)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Raises `FileNotFoundError` for what is not one of `files()`."""
        descriptor, size = await asyncio.to_thread(self._open, name)
        return _chunks(descriptor, size)

    async def shrink(self, *, to: int) -> None:
        """Remove what was written last until the rest fits. Only while nothing runs within."""
        await asyncio.to_thread(self._shrink, to)

    async def make(self) -> None:
        """Make it, or make what is there the session's user's."""
        await asyncio.to_thread(self._make)

    async def disown(self) -> None:
        """Close the directory to a later session that is given the same user."""
        if self._owner is not None:
            with _opened(self.path) as top:
                os.fchown(top, 0, 0)
                # Its code may have opened it to everybody.
                os.fchmod(top, _ALL)

    def move(self, path: Path) -> None:
        """To another place in the same file system; what is bound to it follows."""
        self.path = self.path.rename(path)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None:
            self._give(self._owner)

    def _give(self, owner: int) -> None:
        with _opened(self.path) as top:
            os.fchown(top, owner, owner)
            for entry in _walk(top):
                os.chown(entry.name, owner, owner, dir_fd=entry.directory, follow_symlinks=False)

    def _put(self, name: str, source: Path, through: Path, coming: _Coming | None = None) -> None:
        assert _is_segment(name), name
        target = os.open(through, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        try:
            with source.open("rb") as from_file, os.fdopen(target, "wb") as to_file:
                while chunk := from_file.read(_CHUNK):
                    to_file.write(chunk)
                if self._owner is not None:
                    os.fchown(to_file.fileno(), self._owner, self._owner)
                to_file.flush()
                state = os.fstat(to_file.fileno())
            with _opened(self.path) as top:
                if coming is not None:
                    coming(Laid(name, state.st_ino, state.st_size, state.st_mtime_ns))
                _clear_way(top, name)
                os.rename(through, name, dst_dir_fd=top)
        except BaseException:
            through.unlink(missing_ok=True)
            raise

    def _files(self) -> dict[str, Written]:
        found: dict[str, Written] = {}
        with _opened(self.path) as top:
            for entry in _walk(top):
                if len(found) == self._most:
                    break
                if self._is_file(entry.status) and _can_be_told(entry.path):
                    found[entry.path] = Written(entry.status.st_size, entry.status.st_mtime_ns)
        return found

    def _is_file(self, status: os.stat_result) -> bool:
        return (
            stat.S_ISREG(status.st_mode)
            and status.st_nlink == 1
            and status.st_size <= self._largest
        )

    def _open(self, name: str) -> tuple[int, int]:
        *directories, last = name.split("/")
        if len(directories) > _DEEPEST or not all(map(_is_segment, (*directories, last))):
            raise FileNotFoundError(name)
        try:
            with _descended(self.path, directories) as directory:
                descriptor = os.open(last, _FILE, dir_fd=directory)
        except OSError as error:
            raise FileNotFoundError(name) from error
        status = os.fstat(descriptor)
        if not self._is_file(status):
            os.close(descriptor)
            raise FileNotFoundError(name)
        return descriptor, status.st_size

    def _usage(self, holders: Collection[int] = ()) -> Usage:
        size = entries = 0
        nameless = nameless_bytes(holders, beside=self.path, most=self._mappings)
        with _opened(self.path) as top:
            for entry in _walk(top):
                entries += 1
                size += _size(entry.status)
                if entry.too_deep:
                    return Usage(size, entries, too_deep=True, nameless_bytes=nameless)
                if entries > self._most:
                    break
        return Usage(size, entries, too_deep=False, nameless_bytes=nameless)

    def _shrink(self, to: int) -> None:
        usage = self._usage()
        if usage.too_deep or usage.entries > self._most:
            # No list of so many names is worth its memory.
            with _opened(self.path) as top:
                _empty(top)
            return
        with _opened(self.path) as top:
            files = [
                (entry.status.st_ctime_ns, entry.path, _size(entry.status))
                for entry in _walk(top)
                if not stat.S_ISDIR(entry.status.st_mode)
            ]
        size = usage.size_bytes
        for _, path, freed in sorted(files, reverse=True):
            if size <= to:
                return
            *directories, last = path.split("/")
            with _descended(self.path, directories) as directory:
                os.unlink(last, dir_fd=directory)
            size -= freed


class _Entry(Struct, frozen=True):
    directory: int
    """Open only until the next entry is asked for."""

    name: str
    path: str
    status: os.stat_result
    too_deep: bool


def _size(status: os.stat_result) -> int:
    """Holes count as if they were full: what reads such a file finds them full."""
    return max(status.st_size, status.st_blocks * 512)


def _walk(directory: int, prefix: str = "", depth: int = 0) -> Iterator[_Entry]:
    """Each entry below, links unfollowed; a directory too deep is told and not entered."""
    with suppress(FileNotFoundError, PermissionError), os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            path = prefix + entry.name
            too_deep = is_directory and depth == _DEEPEST
            yield _Entry(directory, entry.name, path, status, too_deep)
            if is_directory and not too_deep:
                with suppress(OSError), _opened(entry.name, directory) as child:
                    yield from _walk(child, f"{path}/", depth + 1)


@contextmanager
def _opened(path: str | Path, directory: int | None = None) -> Iterator[int]:
    try:
        descriptor = os.open(path, _DIRECTORY, dir_fd=directory)
    except PermissionError:
        # Code that runs as our own user can lock a directory against us, and fill it.
        _unlock(path, directory)
        descriptor = os.open(path, _DIRECTORY, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and status.st_mode & _ALL != _ALL:
            # It may be listed, which is not yet to see or to remove what is in it.
            os.fchmod(descriptor, _ALL)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _descended(top: Path, directories: list[str]) -> Iterator[int]:
    current = os.open(top, _DIRECTORY)
    try:
        for name in directories:
            below = os.open(name, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _can_be_told(path: str) -> bool:
    return len(path) <= _LONGEST_PATH and _HARMLESS.sub("", path).isprintable()


def _is_segment(name: str) -> bool:
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name


async def _chunks(descriptor: int, size: int) -> AsyncIterator[bytes]:
    # As many bytes as were there at first: code that goes on writing must not feed us for ever.
    try:
        while size > 0:
            chunk = await asyncio.to_thread(os.read, descriptor, min(size, _CHUNK))
            if not chunk:
                return
            size -= len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def take_away(path: Path, laid: Collection[Laid]) -> set[str]:
    """Remove what was put there, as far as it is unchanged; where it was. Not while code runs."""
    found: set[str] = set()
    with suppress(FileNotFoundError), _opened(path) as top:
        for entry in _walk(top):
            if any(one.is_at(entry.path, entry.status) for one in laid):
                os.unlink(entry.name, dir_fd=entry.directory)
                found.add(entry.path)
    return found


def remove_tree(path: Path) -> None:
    """Delete a directory however deep, wide or unreadable its code has made it."""
    with suppress(FileNotFoundError):
        with _opened(path) as top:
            _empty(top)
        path.rmdir()


def _empty(top: int) -> None:
    """Without recursion and with two descriptors: a directory within is first moved to the top."""
    while names := os.listdir(top):
        for name in names:
            _clear_way(top, name)


def _unlock(path: str | Path, directory: int | None) -> None:
    """Take the right to enter a directory, and never what a link in its place points at."""
    handle = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(_ALL)
    finally:
        os.close(handle)


def _clear_way(top: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=top)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        _flatten(top, name)


def _flatten(top: int, name: str) -> None:
    """Remove one directory; the directories in it are moved up and removed in their turn."""
    unseen = [name]
    while unseen:
        current = unseen.pop()
        with _opened(current, top) as below:
            for entry in os.listdir(below):  # noqa: PTH208
                try:
                    os.unlink(entry, dir_fd=below)
                except IsADirectoryError:
                    moved = f".{token_hex(8)}"
                    _unlock(entry, below)
                    os.rename(entry, moved, src_dir_fd=below, dst_dir_fd=top)
                    unseen.append(moved)
        os.rmdir(current, dir_fd=top)
