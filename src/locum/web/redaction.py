"""Takes secrets out of bytes that pass by, also where a secret is cut in two."""

from typing import Final

_STARS: Final = b"********"


class Redactor:
    """Holds back no more than what may be the beginning of a secret."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        # The longest first, or a secret that begins like another would leave its end behind.
        self._secrets = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._held + piece
        for secret in self._secrets:
            text = text.replace(secret, _STARS)
        keep = max((_overlap(text, secret) for secret in self._secrets), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held


def _overlap(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of the text are the beginning of the secret."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
