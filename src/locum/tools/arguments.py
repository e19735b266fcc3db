"""Arguments of a call while a model is still writing them."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from locum.unreadable import UNREADABLE

_ESCAPES = {
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    '"': '"',
    "\\": "\\",
    "/": "/",
}
# All that says itself.
_PLAIN = re.compile(r'[^"\\]+')


class StringArgument:
    """One string of a JSON object, told letter by letter as the object arrives."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._key = f'"{name}"'
        key = re.escape(self._key)
        self._begins = re.compile(rf'{key}\s*:\s*"')
        self._may_begin = re.compile(rf"{key}(\s?+)\s*+(:?+)\s*+\Z")
        self._written: list[str] = []
        # What has not been understood yet: the string's name, or the half of an escape.
        self._held = ""
        self._begun = False
        self._ended = False
        self._told: list[str] = []

    @property
    def arguments(self) -> str:
        return "".join(self._written)

    def write(self, fragment: str) -> str:
        """What the fragment adds to the string."""
        self._written.append(fragment)
        if self._ended:
            return ""
        text = self._held + fragment
        at = 0
        if not self._begun:
            begun = self._begins.search(text)
            if begun is None:
                self._held = self._beginning(text)
                return ""
            self._begun, at = True, begun.end()
        added = "".join(self._letters(text, at))
        self._told.append(added)
        return added

    def rest(self) -> str:
        """What the whole arguments hold beyond what was told; they may not be JSON at all."""
        told = "".join(self._told)
        whole = self._whole()
        return whole[len(told) :] if whole.startswith(told) else ""

    def _whole(self) -> str:
        written = self.arguments
        try:
            value: Any = msgspec.json.decode(written or "{}")
            if isinstance(value, dict):
                value = value.get(self._name, "")
            return value if isinstance(value, str) else str(value)
        except UNREADABLE:
            # Some models write the bare string; others break off. What was told is all there is.
            return "".join(self._told) or written

    def _beginning(self, text: str) -> str:
        """The end of a text that the string may begin with, however many spaces are in it."""
        if found := self._may_begin.search(text):
            return self._key + found[1] + found[2]
        halves = (self._key[:length] for length in range(len(self._key) - 1, 0, -1))
        return next((half for half in halves if text.endswith(half)), "")

    def _letters(self, text: str, at: int) -> Iterator[str]:
        while at < len(text) and not self._ended:
            if plain := _PLAIN.match(text, at):
                yield plain[0]
                at = plain.end()
                continue
            letter, length = self._letter(text, at)
            if length == 0:
                break  # An escape that has not arrived whole.
            at += length
            if letter is None:
                self._ended = True
            else:
                yield letter
        self._held = text[at:]

    def _letter(self, text: str, at: int) -> tuple[str | None, int]:
        """What a quote or an escape says and how much of the text it takes; None is the end."""
        if text[at] == '"':
            return None, 1
        kind = text[at + 1 : at + 2]
        if kind != "u":
            return (_ESCAPES.get(kind, kind), 2) if kind else ("", 0)
        return self._unicode(text, at)

    def _unicode(self, text: str, at: int) -> tuple[str, int]:
        first = text[at + 2 : at + 6]
        if not re.fullmatch(r"[0-9a-fA-F]{4}", first):
            return ("", 0) if len(first) < 4 else ("\ufffd", 6)  # noqa: PLR2004  # \uXXXX
        code = int(first, 16)
        if not 0xD800 <= code <= 0xDBFF:  # noqa: PLR2004  # the first half of a pair
            return ("\ufffd" if 0xDC00 <= code <= 0xDFFF else chr(code)), 6  # noqa: PLR2004
        second = text[at + 6 : at + 12]
        if len(second) < 6 and "\\u".startswith(second[:2]):  # noqa: PLR2004
            return "", 0
        pair = re.fullmatch(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})", second)
        if pair is None:
            return "\ufffd", 6
        return chr(0x10000 + ((code - 0xD800) << 10) + (int(pair[1], 16) - 0xDC00)), 12
