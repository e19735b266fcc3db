"""What a dump is made of: files, folders and archives, read in pieces and trusted in nothing."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Protocol, Self

import msgspec
from msgspec import Struct

# The file that says of which project a folder is.
MARKER: Final = "project.json"
_LINE_BYTES: Final = 64 * 1024 * 1024
_DOCUMENT_BYTES: Final = 512 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
# Text shrinks twenty-fold; what shrinks further than this, and is large, is meant to hurt.
_MOST_RATIO: Final = 300
_HARMLESS_BYTES: Final = 1024 * 1024 * 1024
_LINES: Final = (".jsonl", ".ndjson")
_JSON: Final = (".json", *_LINES)
_BOM: Final = b"\xef\xbb\xbf"
# What goes wrong in archives: damage, passwords, ways of packing that are not known.
_UNREADABLE: Final = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_decoder: Final = msgspec.json.Decoder()


class SourceError(Exception):
    """A source that cannot be read at all; the message says which and why."""


class Entry(Struct, frozen=True):
    """A file of a dump, known by a path that `Sources.open` takes."""

    path: str
    name: str
    size: int
    # Whether whoever imports has named this very file, and not a folder or an archive of it.
    is_source: bool = False

    @property
    def is_json(self) -> bool:
        return self.name.lower().endswith(_JSON)


class Found(Struct, frozen=True):
    """A value that stands at a place, or why there is none."""

    where: str
    value: object
    problem: str | None = None


class _Source(Protocol):
    def entries(self) -> Iterator[tuple[str, int]]: ...

    def open(self, name: str) -> IO[bytes]: ...

    def close(self) -> None: ...


class Sources:
    """All sources of an import together; a context manager, for archives are held open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._sources: list[_Source] = []
        self._held = ExitStack()

    def __enter__(self) -> Self:
        for path in self._paths:
            source = _opened(path)
            self._held.callback(source.close)
            self._sources.append(source)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def entries(self) -> list[Entry]:
        """Every file. What says of which project a folder is comes first in it."""
        found = [
            Entry(f"{index}:{name}", name, size, isinstance(source, _Single))
            for index, source in enumerate(self._sources)
            for name, size in source.entries()
        ]
        return sorted(found, key=lambda entry: _order(entry.path))

    def open(self, path: str) -> IO[bytes]:
        """A file of the dump, or one that was made of it: `@` and its path."""
        if path.startswith("@"):
            return Path(path[1:]).open("rb")
        index, _, name = path.partition(":")
        return self._sources[int(index)].open(name)

    def values(self, entry: Entry) -> Generator[Found, None, None]:
        try:
            with self.open(entry.path) as file:
                yield from _values(file, entry)
        except _UNREADABLE as error:
            yield Found(entry.name, None, f"it cannot be read: {error}")

    def fingerprint(self) -> list[tuple[str, int]]:
        """What tells this dump from another, without reading it."""
        named = [(str(path.resolve()), _changed(path)) for path in self._paths]
        return [*named, *((entry.path, entry.size) for entry in self.entries())]


def _opened(path: Path) -> _Source:
    if path.is_dir():
        return _Folder(path)
    if not path.exists():
        raise SourceError(f"There is no {path}.")
    if zipfile.is_zipfile(path):
        return _Archive(path)
    return _Single(path)


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


class _Single:
    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> Iterator[tuple[str, int]]:
        yield self._path.name, self._path.stat().st_size

    def open(self, _: str) -> IO[bytes]:
        return self._path.open("rb")

    def close(self) -> None: ...


class _Folder:
    """Links are not followed: they may lead out of the folder, or round in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> Iterator[tuple[str, int]]:
        for folder, names, files in os.walk(self._path):
            names[:] = sorted(name for name in names if not name.startswith((".", "__MACOSX")))
            for name in files:
                file = Path(folder) / name
                if file.is_file() and not file.is_symlink() and not name.startswith("."):
                    yield file.relative_to(self._path).as_posix(), file.stat().st_size

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")

    def close(self) -> None: ...


class _Archive:
    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise SourceError(f"{path} is not a whole archive: {error}.") from error
        together = sum(info.file_size for info in self._zip.infolist())
        if together > _HARMLESS_BYTES and together > self._size * _MOST_RATIO:
            self._zip.close()
            raise SourceError(
                f"{path} would unpack to {together} bytes from {self._size}, which no dump does."
                " Unpack it yourself if you trust it, and import the folder."
            )

    def entries(self) -> Iterator[tuple[str, int]]:
        for info in self._zip.infolist():
            hidden = any(part.startswith((".", "__MACOSX")) for part in info.filename.split("/"))
            if not info.is_dir() and not hidden:
                yield info.filename, info.file_size

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)

    def close(self) -> None:
        self._zip.close()


def _order(path: str) -> tuple[list[str], bool, str]:
    folder, _, name = path.rpartition("/")
    return folder.split("/"), name != MARKER, name


# ------------------------------------------------------------------------ JSON in a file


def _values(file: IO[bytes], entry: Entry) -> Iterator[Found]:
    if entry.name.lower().endswith(_LINES):
        yield from _lines(file, entry.name, b"")
        return
    # A file of one document is read whole; one of many lines is not, whatever its name.
    first, complaint = _line(file)
    if complaint is None and first is not None and (value := _whole_line(first)) is not None:
        rest = file.read(_CHUNK_BYTES)
        if rest.strip():
            yield Found(f"{entry.name}:1", value)
            yield from _lines(file, entry.name, rest, number=1)
        else:
            yield Found(entry.name, value)
        return
    if entry.size > _DOCUMENT_BYTES:
        problem = f"one JSON text of more than {_DOCUMENT_BYTES} bytes: write one object a line"
        yield Found(entry.name, None, problem)
        return
    text = (first or b"") + file.read(_DOCUMENT_BYTES + 1)
    if len(text) <= _DOCUMENT_BYTES:
        yield _decoded(text, entry.name)
    else:
        yield Found(entry.name, None, "it is larger than it was said to be")


def _whole_line(line: bytes) -> object | None:
    """The object that a first line is, if it is one."""
    found = _decoded(line, "")
    return found.value if found.problem is None and isinstance(found.value, dict | list) else None


def _line(file: IO[bytes]) -> tuple[bytes | None, str | None]:
    line = file.readline(_LINE_BYTES + 1)
    if len(line) > _LINE_BYTES:
        return line, "too long"
    return line, None


def _lines(file: IO[bytes], name: str, begun: bytes, *, number: int = 0) -> Iterator[Found]:
    ahead = begun
    while True:
        number += 1
        line, ahead = _next_line(file, ahead)
        if not line:
            return
        if len(line) > _LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(_LINE_BYTES)
            problem = f"the line is longer than {_LINE_BYTES} bytes"
            yield Found(f"{name}:{number}", None, problem)
        elif line.strip():
            yield _decoded(line, f"{name}:{number}")


def _next_line(file: IO[bytes], ahead: bytes) -> tuple[bytes, bytes]:
    """The next line, beginning with what has been read ahead; and what is left of that."""
    line, found, rest = ahead.partition(b"\n")
    if found:
        return line + found, rest
    return ahead + file.readline(_LINE_BYTES + 1 - len(ahead)), b""


def _decoded(text: bytes, where: str) -> Found:
    try:
        return Found(where, _decoder.decode(text.removeprefix(_BOM)))
    except msgspec.DecodeError as error:
        return Found(where, None, f"it is not JSON: {error}")
    except RecursionError:
        return Found(where, None, "it is nested too deeply")
