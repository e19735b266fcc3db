"""XLSX: every worksheet under its name, its cells as a person sees them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

from locum.tools.file_search.archive import Archive, nothing
from locum.tools.file_search.from_csv import Table
from locum.tools.file_search.reading import Limits, Unreadable, too_much_text

_BOOK = "xl/workbook.xml"
_SHARED = re.compile(r"xl/sharedstrings\d*\.xml")
_STYLES = re.compile(r"xl/styles\d*\.xml")
_SHEET = re.compile(r"xl/worksheets/sheet(\d{0,9})\.xml")
_CELL = re.compile(r"([A-Z]{1,3})\d+")
# The formats of dates and times that every workbook has without declaring them.
_DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
# Of a declared format: what is quoted, escaped or in brackets says nothing of dates.
_ASIDE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
# Excel takes no longer one; to look through it takes time in the square of its length.
_LONGEST_FORMAT: Final = 255
_DATED = re.compile("[ymdhs]", re.IGNORECASE)
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30, tzinfo=UTC), datetime(1904, 1, 1, tzinfo=UTC)


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    archive = Archive(file, limits)
    book = _Book(archive)
    if not book.sheets:
        raise Unreadable("The file could not be parsed: it holds no worksheets.")
    shared = _Shared(limits)
    for part in filter(_SHARED.fullmatch, archive.names):
        archive.parse(part, start=shared.start, end=shared.end, words=shared.words)
    styles = _Styles()
    for part in filter(_STYLES.fullmatch, archive.names):
        archive.parse(part, start=styles.start, end=styles.end, words=nothing)
    cells = _Cells(shared.strings, styles.dated, _EPOCH_1904 if book.from_1904 else _EPOCH)
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
    """Which styles of cells show a number as a date."""

    def __init__(self) -> None:
        self.dated: list[bool] = []
        self._formats = set(_DATE_FORMATS)
        self._in_cells = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "numFmt" and attributes.get("numFmtId", "").isdecimal():
            code = attributes.get("formatCode", "")[:_LONGEST_FORMAT]
            if _DATED.search(_ASIDE.sub("", code)):
                self._formats.add(int(attributes["numFmtId"]))
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            number = attributes.get("numFmtId", "")
            self.dated.append(number.isdecimal() and int(number) in self._formats)

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False


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
            self.strings.append("".join(self._parts))
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

    def __init__(self, strings: Sequence[str], dated: Sequence[bool], epoch: datetime) -> None:
        self._strings = strings
        self._dated = dated
        self._epoch = epoch

    def shown(self, kind: str, style: str, value: str) -> str:
        if kind == "s":
            try:
                number = int(value)
                return self._strings[number if number >= 0 else len(self._strings)]
            except (ValueError, IndexError):
                raise Unreadable("The file could not be parsed: a cell is broken.") from None
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind in {"", "n"} and self._is_dated(style):
            return self._date(value)
        return value

    def _is_dated(self, style: str) -> bool:
        return style.isdecimal() and int(style) < len(self._dated) and self._dated[int(style)]

    def _date(self, value: str) -> str:
        """Days since the epoch as a date, a fraction of a day as a time."""
        try:
            days = float(value)
            moment = self._epoch + timedelta(seconds=round(days * 86_400))
        except (ValueError, OverflowError):
            return value
        if days < 1:
            return f"{moment:%H:%M:%S}"
        return f"{moment:%Y-%m-%d}" if days.is_integer() else f"{moment:%Y-%m-%d %H:%M:%S}"


class _Sheet:
    """The rows of one worksheet, cells at their columns."""

    def __init__(self, cells: _Cells, limits: Limits) -> None:
        self.table = Table(limits)
        self._cells = cells
        self._limits = limits
        self._chars = 0
        self._row: dict[int, str] = {}
        self._width = 0
        self._column = 0
        self._kind = ""
        self._style = ""
        self._value: list[str] = []
        self._in_value = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self._row = {}
            self._width = 0
        elif name == "c":
            place = _CELL.fullmatch(attributes.get("r", ""))
            self._column = _column(place.group(1)) if place else self._width
            self._kind, self._style = attributes.get("t", ""), attributes.get("s", "")
            self._value = []
        self._in_value = name in {"v", "t"}

    def end(self, name: str) -> None:
        self._in_value = False
        if name == "c":
            self._row[self._column] = self._cell()
            self._width = max(self._width, self._column + 1)
        elif name == "row":
            self.table.add(self._row.items(), width=self._width)

    def words(self, text: str) -> None:
        if self._in_value:
            self._value.append(text)

    def _cell(self) -> str:
        written = "".join(self._value)
        value = self._cells.shown(self._kind, self._style, written) if written else ""
        self._chars += len(value)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        return value


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
