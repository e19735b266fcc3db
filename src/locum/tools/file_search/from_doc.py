"""DOC, as Word wrote it from 1997 to 2003: the text of its piece table, without its looks.

An OLE compound file is a small FAT file system; the stream `WordDocument` begins with a header
that says where in the table stream the pieces of the text are listed.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from locum.tools.file_search.from_doc_looks import BLANK, as_shown
from locum.tools.file_search.reading import Limits, Unreadable, tidy, too_much_text

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END_OF_CHAIN = 0xFFFFFFFA
_HEADER_FATS = 109
_SMALL_SECTOR = 64
_ENTRY_BYTES, _LONGEST_NAME = 128, 64
# What no entry of a directory is: none is beside or below another one.
_NO_ENTRY = 0xFFFFFFFF
_WORD = 0xA5EC
_WORD_95 = 0xA5DC
_ENCRYPTED, _SECOND_TABLE = 0x0100, 0x0200
_CLX_AT = 0x01A2
_PIECES = 2
_COMPRESSED = 1 << 30
# Word's marks in the text: ends of cells, breaks, field codes and what they show.
_MARKS = str.maketrans({"\x07": "\t", "\r": "\n", "\x0b": "\n", "\x0c": "\n\n", "\x1e": "-"})


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    data = file.read(limits.unzipped_bytes + 1)
    if len(data) > limits.unzipped_bytes:
        raise Unreadable("The file is too large to be read as a Word document.")
    if not data.startswith(_MAGIC):
        raise Unreadable("The file's extension says DOC, but it is not a Word 97–2003 document.")
    try:
        text = _text(_Compound(data), limits).replace(BLANK, "")
        yield tidy(_without_fields(text).translate(_MARKS))
    except (struct.error, IndexError, KeyError, UnicodeDecodeError):
        raise Unreadable("The file could not be parsed as a Word document.") from None


def _text(compound: "_Compound", limits: Limits) -> str:
    main = compound.stream("WordDocument")
    magic, flags = struct.unpack_from("<H8xH", main)
    if magic == _WORD_95:
        raise Unreadable("The file was written by a Word older than that of 1997.")
    if magic != _WORD:
        raise Unreadable("The file could not be parsed as a Word document.")
    if flags & _ENCRYPTED:
        raise Unreadable("The file is encrypted; a password would be needed.")
    table = compound.stream("1Table" if flags & _SECOND_TABLE else "0Table")
    shown = as_shown(main, table)
    start, size = struct.unpack_from("<II", main, _CLX_AT)
    pieces = _piece_table(table[start : start + size])
    count = (len(pieces) - 4) // 12
    text: list[str] = []
    chars = 0
    for number in range(count):
        first, after = struct.unpack_from("<II", pieces, number * 4)
        (place,) = struct.unpack_from("<I", pieces, (count + 1) * 4 + number * 8 + 2)
        chars += max(0, after - first)
        if chars > limits.text_chars:
            raise too_much_text(limits)
        text.append(_piece(shown, place, after - first))
    return "".join(text)


def _piece(main: bytearray, place: int, chars: int) -> str:
    if place & _COMPRESSED:
        at = (place & ~_COMPRESSED) // 2
        return main[at : at + chars].decode("cp1252", "replace")
    return main[place : place + chars * 2].decode("utf-16-le", "replace")


def _piece_table(clx: bytes) -> bytes:
    """Skip the formatting runs that stand before the pieces."""
    at = 0
    while clx[at] == 1:
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if clx[at] != _PIECES:
        raise Unreadable("The file could not be parsed as a Word document.")
    (size,) = struct.unpack_from("<I", clx, at + 1)
    return clx[at + 5 : at + 5 + size]


def _without_fields(text: str) -> str:
    """Keep what a field shows (from 14 to 15, in hex), drop its code (from 13 to 14)."""
    if "\x13" not in text:
        return text
    kept: list[str] = []
    codes = 0
    for letter in text:
        if letter == "\x13":
            codes += 1
        elif letter in "\x14\x15":
            # A field without a result ends its code at the end mark; one level either way.
            codes = max(0, codes - (letter == "\x14" or codes > 0))
        elif not codes:
            kept.append(letter)
    return "".join(kept)


class _Compound:
    """The streams of an OLE compound file, followed sector by sector, never in circles."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        (shift,) = struct.unpack_from("<H", data, 30)
        if shift not in (9, 12):
            raise Unreadable("The file could not be parsed as a Word document.")
        self._size = 1 << shift
        directory, cutoff, small_fat = struct.unpack_from("<I4xII", data, 48)
        self._cutoff = cutoff
        self._fat = self._read_fat()
        self._small_fat = _numbers(self._chain(small_fat))
        entries = _Entries(self._chain(directory))
        self._top = {entry.name.lower(): entry for entry in entries.below(0)}
        self._small = self._chain(entries[0].start)

    def stream(self, name: str) -> bytes:
        """One that lies at the top; of what is embedded, streams bear the same names."""
        entry = self._top[name.lower()]
        start, size = entry.start, entry.size
        if size >= self._cutoff:
            return self._chain(start)[:size]
        parts: list[bytes] = []
        sector = start
        while sector < _END_OF_CHAIN and len(parts) <= len(self._small_fat):
            at = sector * _SMALL_SECTOR
            parts.append(self._small[at : at + _SMALL_SECTOR])
            sector = self._small_fat[sector]
        return b"".join(parts)[:size]

    def _read_fat(self) -> tuple[int, ...]:
        sectors = list(struct.unpack_from(f"<{_HEADER_FATS}I", self._data, 76))
        (more,) = struct.unpack_from("<I", self._data, 68)
        most = len(self._data) // self._size
        while more < _END_OF_CHAIN and len(sectors) <= most + _HEADER_FATS:
            *further, more = _numbers(self._sector(more))
            sectors += further
        used = [s for s in sectors if s < _END_OF_CHAIN][: most + 1]
        return _numbers(b"".join(map(self._sector, used)))

    def _chain(self, sector: int) -> bytes:
        parts: list[bytes] = []
        while sector < _END_OF_CHAIN and len(parts) <= len(self._fat):
            parts.append(self._sector(sector))
            sector = self._fat[sector]
        return b"".join(parts)

    def _sector(self, number: int) -> bytes:
        at = (number + 1) * self._size
        return self._data[at : at + self._size]


class _Entry(NamedTuple):
    name: str
    left: int
    right: int
    child: int
    start: int
    size: int


class _Entries:
    """The directory of a compound file: a tree of names below the root and below each folder."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __getitem__(self, number: int) -> _Entry:
        entry = self._data[number * _ENTRY_BYTES : (number + 1) * _ENTRY_BYTES]
        (length,) = struct.unpack_from("<H", entry, 64)
        name = entry[: max(0, min(length, _LONGEST_NAME) - 2)].decode("utf-16-le", "replace")
        return _Entry(
            name, *struct.unpack_from("<III", entry, 68), *struct.unpack_from("<II", entry, 116)
        )

    def below(self, number: int) -> Iterator[_Entry]:
        """What lies in the root or a folder, each once, though the tree went in circles."""
        waiting, seen = [self[number].child], {_NO_ENTRY}
        while waiting:
            number = waiting.pop()
            if number not in seen:
                seen.add(number)
                entry = self[number]
                yield entry
                waiting += [entry.right, entry.left]


def _numbers(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
