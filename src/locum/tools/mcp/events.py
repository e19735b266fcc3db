"""Server-sent events as MCP servers send them: the data of each, within bounds."""

from collections.abc import Iterator


class TooLong(Exception):
    """A stream that says more than we hold."""


class EventData:
    """Collects bytes, and gives back the data of each event that is whole."""

    def __init__(self, *, most_bytes: int) -> None:
        self._left = most_bytes
        self._unfinished: list[bytes] = []
        self._data: list[bytes] = []

    def feed(self, received: bytes) -> Iterator[bytes]:
        self._left -= len(received)
        if self._left < 0:
            raise TooLong
        self._unfinished.append(received)
        if b"\n" not in received:
            return
        *lines, rest = b"".join(self._unfinished).split(b"\n")
        self._unfinished = [rest]
        for line in lines:
            text = line.removesuffix(b"\r")
            if text:
                self._line(text)
            elif self._data:
                data, self._data = b"\n".join(self._data), []
                if data:
                    yield data

    def _line(self, line: bytes) -> None:
        # Comments keep a connection awake. Names and ids of events say nothing that we need.
        name, _, value = line.partition(b":")
        if name.removeprefix(b"\xef\xbb\xbf") == b"data":
            self._data.append(value.removeprefix(b" "))
