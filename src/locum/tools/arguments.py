"""Arguments of a call while a model is still writing them."""

import re
from typing import Any

import msgspec

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


class StringArgument:
    """One string of a JSON object, told letter by letter as the object arrives."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begins = re.compile(rf'"{re.escape(name)}"\s*:\s*"')
        self._written = ""
        self._at: int | None = None
        self._ended = False
        self._told: list[str] = []

    @property
    def arguments(self) -> str:
        return self._written

    def write(self, fragment: str) -> str:
        """What the fragment adds to the string."""
        self._written += fragment
        if self._at is None:
            begun = self._begins.search(self._written)
            if begun is None:
                return ""
            self._at = begun.end()
        added = "".join(self._letters())
        self._told.append(added)
        return added

    def rest(self) -> str:
        """What the whole arguments hold beyond what was told; they may not be JSON at all."""
        told = "".join(self._told)
        whole = self._whole()
        return whole[len(told) :] if whole.startswith(told) else ""

    def _whole(self) -> str:
        try:
            value: Any = msgspec.json.decode(self._written or "{}")
        except msgspec.DecodeError:
            # Some models write the bare string; others break off. What was told is all there is.
            told = "".join(self._told)
            return told or self._written
        if isinstance(value, dict):
            value = value.get(self._name, "")
        return value if isinstance(value, str) else str(value)

    def _letters(self) -> list[str]:
        letters = []
        while not self._ended and self._at is not None and self._at < len(self._written):
            letter, length = self._letter(self._at)
            if length == 0:
                break  # An escape that has not arrived whole.
            self._at += length
            if letter is None:
                self._ended = True
            else:
                letters.append(letter)
        return letters

    def _letter(self, at: int) -> tuple[str | None, int]:
        """The letter at a place and how much of the text it takes; None ends the string."""
        text = self._written
        if text[at] == '"':
            return None, 1
        if text[at] != "\\":
            return text[at], 1
        kind = text[at + 1 : at + 2]
        if kind != "u":
            return (_ESCAPES.get(kind, kind), 2) if kind else ("", 0)
        return self._unicode(at)

    def _unicode(self, at: int) -> tuple[str, int]:
        text = self._written
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
