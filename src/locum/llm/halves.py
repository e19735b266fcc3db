"""Characters that a server has cut in two, which no JSON may hold.

Those beyond the first plane are written as two escapes: who cuts texts as JavaScript counts them
may send one with each of two deltas.
"""

import re

_FIRST = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})(\x22?)")
_SECOND = re.compile(rb"(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_UNKNOWN = rb"\ufffd"


class Halves:
    """Of one answer. What ends with a first half waits for the second."""

    def __init__(self) -> None:
        self._first = b""

    def mended(self, document: bytes) -> bytes:
        """The document without halves of characters; for one that cannot be read otherwise."""
        return _FIRST.sub(self._hold, _SECOND.sub(self._complete, document))

    def _complete(self, second: re.Match[bytes]) -> bytes:
        first, self._first = self._first, b""
        return first + second[0] if first else _UNKNOWN

    def _hold(self, first: re.Match[bytes]) -> bytes:
        if not first[1]:
            return _UNKNOWN
        self._first = first[0].removesuffix(b'"')
        return first[1]
