"""Tables, our extension of the original's list: each row says its column names again.

A chunk out of the middle of a table means little without them.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from locum.tools.file_search import from_text
from locum.tools.file_search.reading import Limits, Unreadable, read_all, too_much_text

# A spreadsheet has no more either.
_MOST_COLUMNS = 16_384
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_SNIFFED_CHARS = 8192
_DELIMITERS = ",;\t|"


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    text = from_text.decode(read_all(file, limits))
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SNIFFED_CHARS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    # One cell may hold a whole letter, or all that follows a quote that is never closed.
    csv.field_size_limit(len(text) + 1)
    table = Table(limits)
    # Lines one by one: a file in memory would be another copy, of four bytes a letter.
    for row in csv.reader((line.group() for line in _LINE.finditer(text)), dialect):
        table.add(enumerate(row), width=len(row))
    yield table.text()


class Table:
    """Rows as they come, each as its cells by their columns; nothing is kept of a row but words."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._header: Mapping[int, str] | None = None
        self._lines: list[str] = []
        self._chars = 0

    def add(self, row: Iterable[tuple[int, str]], *, width: int) -> None:
        if width > _MOST_COLUMNS:
            raise Unreadable(f"The file has a table of more than {_MOST_COLUMNS} columns.")
        cells = {column: words for column, cell in row if (words := cell.strip())}
        if not cells:
            return
        if self._header is None:
            self._header = cells if _names_columns(cells, width) else {}
            line = " | ".join(cells.values())
        else:
            line = " | ".join(self._named(cells))
        self._chars += len(line)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        self._lines.append(line)

    def text(self) -> str:
        return "\n".join(self._lines)

    def _named(self, cells: Mapping[int, str]) -> Iterator[str]:
        assert self._header is not None
        for column, cell in cells.items():
            name = self._header.get(column)
            yield cell if name is None else f"{name}: {cell}"


def _names_columns(cells: Mapping[int, str], width: int) -> bool:
    names = cells.values()
    wordy = all(not name[0].isdigit() and name[0] not in "-+." for name in names)
    return wordy and 1 < len(cells) == width == len(set(names))
