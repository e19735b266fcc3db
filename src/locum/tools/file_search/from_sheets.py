"""CSV and XLSX, our extension of the original's list: each row says its column names again.

A chunk out of the middle of a table means little without them.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from locum.tools.file_search import from_text
from locum.tools.file_search.archive import Archive
from locum.tools.file_search.reading import Limits, Unreadable, read_all, too_much_text

_SHEET = re.compile(r"xl/worksheets/sheet(\d+)\.xml")
_SHARED = "xl/sharedStrings.xml"
_CELL = re.compile(r"([A-Z]{1,3})\d+")
_SNIFFED_CHARS = 8192
_DELIMITERS = ",;\t|"


def read_csv(file: BinaryIO, limits: Limits) -> Iterator[str]:
    text = from_text.decode(read_all(file, limits))
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SNIFFED_CHARS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        yield _table(csv.reader(io.StringIO(text, newline=""), dialect), limits)
    except csv.Error:
        raise Unreadable("The file could not be parsed as comma-separated values.") from None


def read_xlsx(file: BinaryIO, limits: Limits) -> Iterator[str]:
    archive = Archive(file, limits)
    sheets = sorted(int(m.group(1)) for m in map(_SHEET.fullmatch, archive.names) if m)
    if not sheets:
        raise Unreadable("The file could not be parsed: it holds no worksheets.")
    shared = _Shared(limits)
    if _SHARED in archive.names:
        archive.parse(_SHARED, start=shared.start, end=shared.end, words=shared.words)
    for number in sheets:
        sheet = _Sheet(shared.strings, limits)
        name = f"xl/worksheets/sheet{number}.xml"
        archive.parse(name, start=sheet.start, end=sheet.end, words=sheet.words)
        yield _table(sheet.rows, limits)


def _table(rows: Iterable[Sequence[str]], limits: Limits) -> str:
    header: Sequence[str] | None = None
    lines: list[str] = []
    chars = 0
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if header is None:
            header = cells if _names_columns(cells) else ()
            line = " | ".join(cells)
        else:
            line = " | ".join(_named(header, cells))
        chars += len(line)
        if chars > limits.text_chars:
            raise too_much_text(limits)
        lines.append(line)
    return "\n".join(lines)


def _names_columns(cells: Sequence[str]) -> bool:
    wordy = all(cell and not cell[0].isdigit() and cell[0] not in "-+." for cell in cells)
    return wordy and len(cells) > 1 and len(set(cells)) == len(cells)


def _named(header: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    for place, cell in enumerate(cells):
        if cell:
            yield f"{header[place]}: {cell}" if place < len(header) else cell


class _Shared:
    """The strings that cells refer to by number."""

    def __init__(self, limits: Limits) -> None:
        self.strings: list[str] = []
        self._limits = limits
        self._chars = 0
        self._parts: list[str] = []
        self._in_text = False

    def start(self, name: str, _: Mapping[str, str]) -> None:
        if name == "si":
            self._parts = []
        self._in_text = name == "t"

    def end(self, name: str) -> None:
        self._in_text = False
        if name == "si":
            self.strings.append("".join(self._parts))

    def words(self, text: str) -> None:
        if self._in_text:
            self._chars += len(text)
            if self._chars > self._limits.text_chars:
                raise too_much_text(self._limits)
            self._parts.append(text)


class _Sheet:
    """The rows of one worksheet, cells at their columns."""

    def __init__(self, strings: Sequence[str], limits: Limits) -> None:
        self.rows: list[list[str]] = []
        self._strings = strings
        self._limits = limits
        self._chars = 0
        self._row: list[str] = []
        self._column = 0
        self._shared = False
        self._value: list[str] = []
        self._in_value = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self._row = []
        elif name == "c":
            place = _CELL.fullmatch(attributes.get("r", ""))
            self._column = _column(place.group(1)) if place else len(self._row)
            self._shared = attributes.get("t") == "s"
            self._value = []
        self._in_value = name in {"v", "t"}

    def end(self, name: str) -> None:
        self._in_value = False
        if name == "c":
            self._row.extend([""] * (self._column + 1 - len(self._row)))
            self._row[self._column] = self._cell()
        elif name == "row":
            self.rows.append(self._row)

    def words(self, text: str) -> None:
        if self._in_value:
            self._value.append(text)

    def _cell(self) -> str:
        value = "".join(self._value)
        if self._shared:
            try:
                value = self._strings[int(value)]
            except (ValueError, IndexError):
                raise Unreadable("The file could not be parsed: a cell is broken.") from None
        self._chars += len(value)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        return value


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
