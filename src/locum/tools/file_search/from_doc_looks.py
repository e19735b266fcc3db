"""What a DOC tells of its looks that matters to what is read: what is not shown, and ends of rows.

Looks are told in pages of 512 bytes, each of a stretch of the stream: where its runs (or its
paragraphs) begin, and for each of them its properties, as codes with a value.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

# What stands in place of every letter that is hidden, or deleted though tracked.
BLANK = "\0"
_END_OF_CELL, _NEW_LINE = b"\x07", b"\n"
# These stay where they are hidden, or a code might never end.
_FIELD_MARKS = b"\x13\x14\x15\0"
_PAGE = 512
_PAGE_NUMBER = 0x3FFFFF
# How long a value is, by the three highest bits of the property's code; 0: as the value says.
_VALUE_BYTES = (1, 1, 2, 4, 2, 2, 0, 3)
# The one whose value tells its length in two bytes.
_COLUMNS = 0xD608


class _Property(NamedTuple):
    """Where the header says which pages tell of it, how wide their entries are; code and value."""

    listed_at: int
    entry_bytes: int
    set: bytes


_DELETED = _Property(0x00FA, 1, b"\x00\x08\x01")
_HIDDEN = _DELETED._replace(set=b"\x3c\x08\x01")
_ENDS_ROW = _Property(0x0102, 13, b"\x17\x24\x01")


def as_shown(main: bytes, table: bytes) -> bytearray:
    """The stream of the text with blanks for what is not shown, and new lines where rows end.

    Word ends a row with the same mark as a cell: only its looks tell it from an empty cell.
    """
    shown = bytearray(main)
    # Where what is told of looks is broken, the text is worth reading all the same.
    with suppress(struct.error, IndexError):
        for first, after in _spans(main, table, _DELETED):
            shown[first:after] = bytes(after - first)
        for first, after in _spans(main, table, _HIDDEN):
            if shown[first:after].strip(_FIELD_MARKS):
                shown[first:after] = bytes(after - first)
        for first, after in _spans(main, table, _ENDS_ROW):
            shown[first:after] = shown[first:after].replace(_END_OF_CELL, _NEW_LINE)
    return shown


def _spans(main: bytes, table: bytes, sought: _Property) -> Iterator[tuple[int, int]]:
    """Where the property is set: one span behind the other, though pages may overlap."""
    start, size = struct.unpack_from("<II", main, sought.listed_at)
    pages = size // 8
    done = 0
    # Before the numbers of the pages stand the places that they tell of, one more than pages.
    for (number,) in struct.iter_unpack("<I", table[start + 4 * pages + 4 : start + size]):
        at = (number & _PAGE_NUMBER) * _PAGE
        page = main[at : at + _PAGE]
        if sought.set not in page:
            continue
        places = struct.unpack_from(f"<{page[-1] + 1}I", page)
        for entry, (first, after) in enumerate(pairwise(places)):
            if done <= first < after <= len(main):
                done = after
                told = page[len(places) * 4 + entry * sought.entry_bytes] * 2
                if told and _is_set(_properties(page, told, sought), sought.set):
                    yield first, after


def _properties(page: bytes, at: int, sought: _Property) -> bytes:
    if sought.entry_bytes == 1:
        return page[at + 1 : at + 1 + page[at]]
    # Of a paragraph, the length is told in pairs of bytes, and its style comes first.
    if page[at]:
        return page[at + 3 : at + page[at] * 2]
    return page[at + 4 : at + 2 + page[at + 1] * 2]


def _is_set(properties: bytes, sought: bytes) -> bool:
    at = 0
    while at + 2 < len(properties):
        if properties.startswith(sought, at):
            return True
        (code,) = struct.unpack_from("<H", properties, at)
        at += 2
        if code == _COLUMNS:
            at += 1 + int.from_bytes(properties[at : at + 2], "little")
        else:
            at += _VALUE_BYTES[code >> 13] or 1 + properties[at]
    return False
