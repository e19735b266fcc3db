"""Tables, our extension of the original's list: rows say their column names again.

A chunk out of the middle of a table means little without them.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from locum.tools.file_search import from_text
from locum.tools.file_search.reading import Limits, Unreadable, read_all, too_much_text

# A spreadsheet has no more either.
_MOST_COLUMNS = 16_384
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
# Of delimiters that split as many rows alike, the first: commas stand in numbers and in prose.
_DELIMITERS = "\t;|,"
_TRIED_CHARS = 1 << 15
# What Excel is told by the first line, and does not show.
_TOLD = re.compile(r'(?i)"?sep=(\t|[^\w\s"])"?[ \t]*(?:\r\n?|\n)')
# Names may be so many times as long as what they name, once they are longer than this.
_MOST_NAMES = 3
_FEW_NAMES = 10_000
# Of all the text that is taken; no table is refused for what it says once.
_NAMES_SHARE = 4
# Short cells are many tokens: with a narrow header, this is about half a chunk of them.
_HEADED_CHARS = 1_000


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    text = from_text.decode(read_all(file, limits))
    # One cell may hold a whole letter, or all that follows a quote that is never closed.
    csv.field_size_limit(len(text) + 1)
    told = _TOLD.match(text)
    delimiter = told.group(1) if told else _delimiter(text)
    table = Table(limits)
    for row in _rows(text, delimiter, start=told.end() if told else 0):
        table.add(enumerate(row), width=len(row))
    yield table.text()


def _delimiter(text: str) -> str:
    """What splits the most rows at the beginning into as many cells as each other."""
    sample = text[:_TRIED_CHARS]

    def alike(delimiter: str) -> int:
        widths = [len(row) for row in _rows(sample, delimiter)]
        if len(sample) < len(text) and len(widths) > 1:
            # The last row is cut short.
            widths.pop()
        return max(Counter(width for width in widths if width > 1).values(), default=0)

    rows = {delimiter: alike(delimiter) for delimiter in _DELIMITERS}
    return max(rows, key=lambda delimiter: rows[delimiter]) if any(rows.values()) else ","


def _rows(text: str, delimiter: str, *, start: int = 0) -> Iterator[list[str]]:
    # Lines one by one: a file in memory would be another copy, of four bytes a letter.
    lines = (line.group() for line in _LINE.finditer(text, start))
    # Python's sniffer would guess the quotes too, and take apostrophes for them.
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


class Table:
    """Rows as they come, each as its cells by their columns; nothing is kept of a row but words.

    Where the names of columns would be most of the text, or make too much of it, they stand in a
    line of their own now and then.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # What stands before the cells of a column; nothing does until the first row.
        self._header: Mapping[int, str] | None = None
        self._heading = ""
        self._is_named = True
        self._lines: list[str] = []
        self._chars = 0
        self._names_chars = 0
        self._unheaded_chars = 0

    def add(self, row: Iterable[tuple[int, str]], *, width: int) -> None:
        if width > _MOST_COLUMNS:
            raise Unreadable(f"The file has a table of more than {_MOST_COLUMNS} columns.")
        cells = {column: words for column, cell in row if (words := cell.strip())}
        if not cells:
            return
        line = " | ".join(cells.values())
        if self._header is None:
            is_header = _names_columns(cells, width)
            self._header = {at: f"{name}: " for at, name in cells.items()} if is_header else {}
            self._heading = line
        elif self._header and self._is_named:
            line = self._named(cells, line)
        elif self._header:
            self._head(line)
        self._keep(line)

    def text(self) -> str:
        return "\n".join(self._lines)

    def _named(self, cells: Mapping[int, str], line: str) -> str:
        assert self._header is not None
        named = " | ".join([self._header.get(column, "") + cell for column, cell in cells.items()])
        self._names_chars += len(named) - len(line)
        words = self._chars + len(named) - self._names_chars
        most = min(max(_FEW_NAMES, words * _MOST_NAMES), self._limits.text_chars // _NAMES_SHARE)
        self._is_named = self._names_chars <= most
        return named

    def _head(self, line: str) -> None:
        """Say the names again above a row, where they were last said too long ago."""
        self._unheaded_chars += len(line)
        if self._unheaded_chars > max(_HEADED_CHARS, len(self._heading)):
            self._unheaded_chars = len(line)
            self._keep(self._heading)

    def _keep(self, line: str) -> None:
        self._chars += len(line)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        self._lines.append(line)


def _names_columns(cells: Mapping[int, str], width: int) -> bool:
    """Whether a first row is a header: only its ends may be empty, as that of row numbers is."""
    names = cells.values()
    wordy = all(not name[0].isdigit() and name[0] not in "-+." for name in names)
    unnamed = set(range(width)) - cells.keys()
    return wordy and 1 < len(cells) == len(set(names)) and unnamed <= {0, width - 1}
