"""Server-sent events as model servers send them, which is not always as the standard has it."""

from collections.abc import Iterator


class TooLong(Exception):
    """An event that does not end within the bytes we hold for it."""


class EventData:
    """Collects bytes, and gives back the data of each event that is whole."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        # Grows in place: an event may come in very many packets.
        self._unfinished = bytearray()
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        *lines, begun = received.split(b"\n")
        if lines and self._unfinished:
            lines[0] = self._finished(lines[0])
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))
        self._unfinished += begun
        if len(self._unfinished) + self._held > self._most_bytes:
            raise TooLong

    def rest(self) -> Iterator[bytes]:
        """Give what a server left open when it closed the stream without a blank line."""
        yield from self._line(self._finished(b"").removesuffix(b"\r"))
        yield from self._line(b"")

    def _finished(self, end: bytes) -> bytes:
        line = bytes(self._unfinished + end)
        self._unfinished.clear()
        return line

    def _line(self, line: bytes) -> Iterator[bytes]:
        if not line:
            if self._data:
                yield b"\n".join(self._data)
                self._data.clear()
                self._held = 0
            return
        # Comments keep a connection awake; names and ids of events say nothing in this dialect.
        name, _, value = line.partition(b":")
        if name.lstrip(b"\xef\xbb\xbf") == b"data":
            self._data.append(value.strip())
            self._held += len(value)
        elif line.startswith((b"{", b"error: {")):
            # How Ollama, and llama.cpp before late 2025, tell that they failed in mid-answer.
            self._data.append(line if name != b"error" else b'{"error":%b}' % value)
            self._held += len(line)
