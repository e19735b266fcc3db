"""Server-sent events as model servers send them, which is not always as the standard has it."""

from collections.abc import Iterator


class TooLong(Exception):
    """An event that does not end within the bytes we hold for it."""


class EventData:
    """Collects bytes, and gives back the data of each event that is whole."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._unfinished = b""
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))
        if len(self._unfinished) + self._held > self._most_bytes:
            raise TooLong

    def rest(self) -> Iterator[bytes]:
        """Give what a server left open when it closed the stream without a blank line."""
        yield from self._line(self._unfinished.removesuffix(b"\r"))
        self._unfinished = b""
        yield from self._line(b"")

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
            self._data.append(value.removeprefix(b" "))
            self._held += len(value)
