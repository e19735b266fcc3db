"""Keeps the values of headers out of whatever a server says back to us."""

from collections.abc import Iterable
from typing import Any

from locum.wire.tools import HIDDEN

# Shorter ones are no secrets, and would be found in words that have nothing to do with them.
_LEAST_CHARS = 8


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
        """The same JSON, with every string in it looked through."""
        if not self._secrets:
            return value
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.document(item) for item in value]
            case dict():
                return {self.text(key): self.document(item) for key, item in value.items()}
        return value
