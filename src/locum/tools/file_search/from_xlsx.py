"""XLSX: every worksheet under its name, its cells as a person sees them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

from locum.tools.file_search.archive import Archive, nothing
from locum.tools.file_search.from_csv import Table
from locum.tools.file_search.number_formats import (
    EPOCH,
    EPOCH_1904,
    NumberFormat,
    built_in,
    plain,
)
from locum.tools.file_search.reading import Limits, Unreadable, too_much_text

_BOOK = "xl/workbook.xml"
_SHARED = re.compile(r"xl/sharedstrings\d*\.xml")
_STYLES = re.compile(r"xl/styles\d*\.xml")
_SHEET = re.compile(r"xl/worksheets/sheet(\d{0,9})\.xml")
_COLUMN = re.compile("[A-Z]{1,3}")
# A letter that XML cannot hold, or that reads as one of these.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    archive = Archive(file, limits)
    book = _Book(archive)
    if not book.sheets:
        raise Unreadable("The file could not be parsed: it holds no worksheets.")
    shared = _Shared(limits)
    for part in filter(_SHARED.fullmatch, archive.names):
        archive.parse(part, start=shared.start, end=shared.end, words=shared.words)
    styles = _Styles(EPOCH_1904 if book.from_1904 else EPOCH)
    for part in filter(_STYLES.fullmatch, archive.names):
        archive.parse(part, start=styles.start, end=styles.end, words=nothing)
    cells = _Cells(shared.strings, styles)
    for part, title in book.sheets.items():
        sheet = _Sheet(cells, limits)
        archive.parse(part, start=sheet.start, end=sheet.end, words=sheet.words)
        rows = sheet.table.text()
        yield f"{title}\n\n{rows}" if title and rows else rows


class _Book:
    """The worksheets in the order of their tabs, each with its title."""

    def __init__(self, archive: Archive) -> None:
        self.sheets: dict[str, str] = {}
        self.from_1904 = False
        sheets = map(_SHEET.fullmatch, archive.names)
        found = {sheet.group(): int(sheet.group(1) or 0) for sheet in sheets if sheet}
        book = archive.main(_BOOK)
        if book in archive.names:
            self._related = archive.related(book)
            archive.parse(book, start=self._start, end=nothing, words=nothing)
            self.sheets = {
                part: title for part, title in self.sheets.items() if part in archive.names
            }
        for part in sorted(found, key=lambda part: found[part]):
            self.sheets.setdefault(part, "")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            part = self._related.get(attributes.get("r:id", ""), "")
            self.sheets[part] = attributes.get("name", "")
        elif name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in {"1", "true"}


class _Styles:
    """How the styles of cells show numbers."""

    def __init__(self, epoch: datetime) -> None:
        self._epoch = epoch
        self._codes: dict[int, str] = {}
        # Of each style the number of its format.
        self._styles: list[int] = []
        self._formats: dict[int, NumberFormat | None] = {}
        self._in_cells = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        written = attributes.get("numFmtId", "")
        number = int(written) if written.isdecimal() else 0
        if name == "numFmt":
            self._codes[number] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self._styles.append(number)

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False

    def shown(self, style: str, written: str) -> str:
        """A number as a cell of this style shows it."""
        place = int(style) if style.isdecimal() else 0
        number = self._styles[place] if place < len(self._styles) else 0
        if number not in self._formats:
            code = self._codes.get(number, built_in(number))
            self._formats[number] = NumberFormat(code, self._epoch) if code else None
        how = self._formats[number]
        return how.shown(written) if how else plain(written)


class _Shared:
    """The strings that cells refer to by number."""

    def __init__(self, limits: Limits) -> None:
        self.strings: list[str] = []
        self._limits = limits
        self._chars = 0
        self._parts: list[str] = []
        self._in_text = False
        # How East Asian words are read aloud stands beside them, and is not shown.
        self._in_reading = False

    def start(self, name: str, _: Mapping[str, str]) -> None:
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._in_reading = True
        self._in_text = name == "t" and not self._in_reading

    def end(self, name: str) -> None:
        self._in_text = False
        if name == "si":
            self.strings.append(_unescaped("".join(self._parts)))
        elif name == "rPh":
            self._in_reading = False

    def words(self, text: str) -> None:
        if self._in_text:
            self._chars += len(text)
            if self._chars > self._limits.text_chars:
                raise too_much_text(self._limits)
            self._parts.append(text)


class _Cells:
    """What a cell shows, from its kind, its style and what is written in it."""

    def __init__(self, strings: Sequence[str], styles: _Styles) -> None:
        self._strings = strings
        self._styles = styles

    def shown(self, kind: str, style: str, value: str) -> str:
        if kind == "s":
            try:
                number = int(value)
                return self._strings[number if number >= 0 else len(self._strings)]
            except (ValueError, IndexError):
                raise Unreadable("The file could not be parsed: a cell is broken.") from None
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind in {"", "n"}:
            return self._styles.shown(style, value)
        return _unescaped(value)


class _Sheet:
    """The rows of one worksheet, cells at their columns."""

    def __init__(self, cells: _Cells, limits: Limits) -> None:
        self.table = Table(limits)
        self._cells = cells
        self._limits = limits
        self._chars = 0
        self._row: dict[int, str] = {}
        self._column = -1
        # The columns whose letters have been seen.
        self._columns: dict[str, int] = {}
        self._kind = ""
        self._style = ""
        self._value: list[str] = []
        self._in_value = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self._row = {}
            self._column = -1
        elif name == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            place = self._columns.get(letters)
            if place is None:
                place = self._place(letters)
            self._column = self._column + 1 if place is None else place
            self._kind, self._style = attributes.get("t", ""), attributes.get("s", "")
            self._value = []
        self._in_value = name in {"v", "t"}

    def end(self, name: str) -> None:
        self._in_value = False
        # A cell may be there for its looks alone.
        if name == "c" and self._value:
            self._row[self._column] = self._cell()
        elif name == "row":
            self.table.add(self._row.items(), width=max(self._row, default=-1) + 1)

    def words(self, text: str) -> None:
        if self._in_value:
            self._value.append(text)

    def _place(self, letters: str) -> int | None:
        """The number of a column; None for a cell that does not say where it is."""
        if not _COLUMN.fullmatch(letters):
            return None
        number = 0
        for letter in letters:
            number = number * 26 + ord(letter) - ord("A") + 1
        self._columns[letters] = number - 1
        return number - 1

    def _cell(self) -> str:
        value = self._cells.shown(self._kind, self._style, "".join(self._value))
        self._chars += len(value)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        return value


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda code: chr(int(code.group(1), 16)), text) if "_x" in text else text
