"""Keeps the values of headers out of whatever a server says back to us."""

from collections.abc import Iterable
from typing import Any

from locum.wire.tools import HIDDEN

# Shorter ones are no secrets, and would be found in words that have nothing to do with them.
_LEAST_CHARS = 8
# Nothing that means anything is nested deeper; Python goes only some hundreds deep.
_DEEPEST = 200


class Veil:
    """Hides secrets wherever they stand in a text or a document."""

    def __init__(self, values: Iterable[str]) -> None:
        secrets = {
            part
            for value in values
            # A server that is sent `Bearer x` may well speak of `x` alone.
            for part in (value, value.strip(), value.partition(" ")[2].strip())
            if len(part) >= _LEAST_CHARS
        }
        self._secrets = sorted(secrets, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def document(self, value: Any) -> Any:
        """The same JSON, with every string in it looked through; what lies too deep is hidden."""
        return self._looked_through(value, deeper=_DEEPEST) if self._secrets else value

    def _looked_through(self, value: Any, *, deeper: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if not isinstance(value, list | dict):
            return value
        if deeper == 0:
            return HIDDEN
        if isinstance(value, list):
            return [self._looked_through(item, deeper=deeper - 1) for item in value]
        return {
            self.text(key): self._looked_through(item, deeper=deeper - 1)
            for key, item in value.items()
        }
