"""Takes secrets out of bytes that pass by, also where a secret is cut in two."""

import re
from collections.abc import Iterable
from typing import Final

_STARS: Final = b"********"


class Redactor:
    """Holds back no more than what may be the beginning of a secret."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        # The longest first, or a secret that begins like another would leave its end behind.
        self._secrets = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._held + piece
        whole, at = [], 0
        # Where one may begin whose end is still to come, and which may hold another one whole.
        open_at = self._open_at(text)
        for found in self._whole_in(text):
            if found.start() >= open_at:
                break
            whole += [text[at : found.start()], _STARS]
            at = found.end()
        if at > open_at:
            open_at = at + self._open_at(text[at:])
        self._held = text[open_at:]
        return b"".join([*whole, text[at:open_at]])

    def end(self) -> bytes:
        """What was held back is not going to be longer than it is."""
        held, self._held = self._held, b""
        return self._pattern.sub(_STARS, held) if held else b""

    def _whole_in(self, text: bytes) -> Iterable[re.Match[bytes]]:
        """All secrets in it. Nearly always there is none, which is found out much faster."""
        if any(secret in text for secret in self._secrets):
            return self._pattern.finditer(text)
        return ()

    def _open_at(self, text: bytes) -> int:
        longest = max((_overlap(text, secret) for secret in self._secrets), default=0)
        return len(text) - longest


def _overlap(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of the text are the beginning of the secret."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
