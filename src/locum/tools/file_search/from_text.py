"""Plain text and source code: UTF-8, UTF-16 or ASCII, as the original takes.

Other encodings are refused, not guessed: a wrong guess fills an index with words nobody wrote.
"""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from locum.tools.file_search.reading import Limits, Unreadable, read_all

# A file that begins like this is no text, whatever its name says.
_BINARY = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x7fELF": "a program",
    b"\x1f\x8b": "a compressed file",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark is the beginning of this one.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096
# Of the bytes at odd or at even places, how many are zero in UTF-16 of a western language.
_UTF16_ZEROS = 0.4
_MOST_CONTROL = 0.02


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    yield decode(read_all(file, limits))


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text of the bytes; `declared` is an encoding the document itself names."""
    for magic, what in _BINARY.items():
        if data.startswith(magic):
            raise Unreadable(f"The file's extension says text, but it is {what}.")
    for mark, marked in _BOMS:
        if data.startswith(mark):
            return _checked(_strict(data[len(mark) :], marked))
    if unmarked := _unmarked_utf16(data):
        return _checked(_strict(data, unmarked))
    try:
        return _checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        if declared is None:
            raise _not_text() from None
    return _checked(_strict(data, declared))


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise _not_text() from None


def _unmarked_utf16(data: bytes) -> str | None:
    sample = data[:_SAMPLE]
    if len(data) % 2 or not sample:
        return None
    half = len(sample) / 2
    even, odd = sample[::2].count(0) / half, sample[1::2].count(0) / half
    if odd >= _UTF16_ZEROS and even < odd / 4:
        return "utf-16-le"
    if even >= _UTF16_ZEROS and odd < even / 4:
        return "utf-16-be"
    return None


def _checked(text: str) -> str:
    control = sum(1 for letter in text[:_SAMPLE] if letter < " " and letter not in "\t\n\r\f\x1b")
    if control > max(1, len(text[:_SAMPLE]) * _MOST_CONTROL):
        raise _not_text()
    return text


def _not_text() -> Unreadable:
    return Unreadable("The file could not be parsed: its text must be UTF-8, UTF-16 or ASCII.")
