"""Tables, our extension of the original's list: each row says its column names again.

A chunk out of the middle of a table means little without them.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from locum.tools.file_search import from_text
from locum.tools.file_search.reading import Limits, Unreadable, read_all, too_much_text

_SNIFFED_CHARS = 8192
_DELIMITERS = ",;\t|"


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    text = from_text.decode(read_all(file, limits))
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SNIFFED_CHARS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        yield table(csv.reader(io.StringIO(text, newline=""), dialect), limits)
    except csv.Error:
        raise Unreadable("The file could not be parsed as comma-separated values.") from None


def table(rows: Iterable[Sequence[str]], limits: Limits) -> str:
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
