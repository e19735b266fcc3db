"""What every reader of a format shares: its limits, its one way to refuse, and clean text.

Everything here and in `from_*.py` runs in the contained child process, on hostile bytes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from msgspec import Struct

UNSUPPORTED = "unsupported_file"
INVALID = "invalid_file"
OURS = "server_error"

# A soft hyphen only says where a word might be divided.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xad\ufffe\uffff]")
# How a terminal is told of colours and of its cursor.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*+[A-Za-z]")
_NEWLINE = re.compile("\r\n?|\x85|\u2028|\u2029")
# Nothing is tried again from within white space, or much of it takes time in its square.
_BLANK_LINES = re.compile(r"(?<![ \t])[ \t]*+\n(?:[ \t]*+\n){2,}")


class Limits(Struct, frozen=True, kw_only=True):
    """How much one file may cost before it is called invalid."""

    wall_s: float = 60.0
    cpu_s: int = 30
    memory_bytes: int = 512 << 20
    source_bytes: int = 512 << 20
    text_chars: int = 20_000_000
    pages: int = 5_000
    # Of everything taken out of one zip archive, and of its table of contents.
    unzipped_bytes: int = 256 << 20
    zip_entries: int = 20_000
    xml_depth: int = 512


class Unreadable(Exception):
    """The file has no text for us. The message is for the person who sent it."""

    def __init__(self, message: str, *, code: str = INVALID) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


# Takes the open file and the limits, and yields pages: as much text as belongs together.
Reader = Callable[[BinaryIO, Limits], Iterable[str]]


def clean(text: str) -> str:
    """One kind of newline, and nothing a database or a JSON document cannot hold."""
    text = _NEWLINE.sub("\n", text)
    if "\x1b" in text:
        text = _TERMINAL.sub("", text)
    text = _CONTROL.sub("", text)
    return text.encode("utf-8", "replace").decode("utf-8")


def tidy(text: str) -> str:
    """Text put together from markup: at most one empty line in a row."""
    return _BLANK_LINES.sub("\n\n", text).strip()


def read_all(file: BinaryIO, limits: Limits) -> bytes:
    """The whole file, when it cannot hold more text than we take."""
    most = limits.text_chars * 4
    data = file.read(most + 1)
    if len(data) > most:
        raise too_much_text(limits)
    return data


def within(pages: Iterable[str], limits: Limits) -> Iterator[str]:
    """The pages that hold text, cleaned, while they are not too many and not too long."""
    chars = found = 0
    for number, page in enumerate(pages, start=1):
        if number > limits.pages:
            raise Unreadable(f"The file has more than {limits.pages} pages.")
        text = clean(page)
        chars += len(text)
        if chars > limits.text_chars:
            raise too_much_text(limits)
        if text.strip():
            found += 1
            yield text
    if not found:
        raise Unreadable("The file could not be parsed because it contains no text.")


def too_much_text(limits: Limits) -> Unreadable:
    return Unreadable(f"The file holds more than {limits.text_chars} characters of text.")
