"""Plain text and source code: UTF-8, UTF-16 or ASCII, as the original takes.

Other encodings are refused, not guessed: a wrong guess fills an index with words nobody wrote.
"""

import codecs
import re
from collections.abc import Iterator
from encodings import normalize_encoding
from encodings.aliases import aliases
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
# The encodings that a document may name, as Python calls them.
# fmt: off
_NAMED = frozenset({
    "big5hkscs", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp1258", "cp866", "cp874", "cp932", "cp949", "euc_jp", "gb18030", "iso2022_jp", "iso8859_2",
    "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_10",
    "iso8859_13", "iso8859_14", "iso8859_15", "iso8859_16", "koi8_r", "koi8_u", "mac_cyrillic",
    "mac_roman",
})
# fmt: on
# What says the small one of two and means the large one, and what only browsers know.
_MEANT = {
    "ascii": "cp1252",
    "latin_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "shift_jis": "cp932",
    "windows_31j": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
}
# Of JSON: a letter beyond ASCII, behind backslashes that mean themselves. Half of a pair is none.
_NUMBERED = re.compile(
    r"(?<!\\)((?:\\\\)*+)\\u"
    r"(?:(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|(?!00[0-7]|d[89a-f])([0-9a-f]{4}))",
    re.IGNORECASE,
)
_SAMPLE = 4096
# Of the bytes at odd or at even places, how many are zero in UTF-16 of a western language.
_UTF16_ZEROS = 0.4
_MOST_CONTROL = 0.02


def load_codecs() -> None:
    """Python loads a codec from disk when it is first used, which none can behind the walls."""
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", *_NAMED):
        codecs.lookup(name)


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    yield decode(read_all(file, limits))


def read_json(file: BinaryIO, limits: Limits) -> Iterator[str]:
    """Yield the text with its letters in place of their numbers, which many programs write."""
    yield _NUMBERED.sub(_letter, decode(read_all(file, limits)))


def _letter(numbered: re.Match[str]) -> str:
    backslashes, high, low, single = numbered.groups()
    if single:
        return f"{backslashes}{chr(int(single, 16))}"
    return backslashes + bytes.fromhex(high + low).decode("utf-16-be")


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
    return _checked(_strict(data, _codec(declared)))


def _codec(declared: str) -> str:
    """Python's name of what a document calls its encoding."""
    name = normalize_encoding(declared.lower().removeprefix("x-"))
    name = aliases.get(name, name)
    name = _MEANT.get(name, name)
    if name not in _NAMED:
        raise _not_text()
    return name


def _strict(data: bytes, encoding: str) -> str:
    try:
        # Five bytes mean nothing in it, and stand in pages all the same.
        return data.decode(encoding, "replace" if encoding == "cp1252" else "strict")
    except UnicodeDecodeError:
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
