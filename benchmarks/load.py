"""A client that costs little: requests made beforehand, connections that stay open, raw sockets."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

_HOST = "127.0.0.1"
_WAIT_S = 60.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Refused(Exception):
    """An answer that is not 200: what is measured then is something else."""


def request(method: str, path: str, body: Any = None, *, key: str = "sk-any") -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {_HOST}\r\nAuthorization: Bearer {key}\r\n"
        "OpenAI-Beta: assistants=v2\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._needed = 0
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(Refused(f"the connection was closed: {error}"))

    def ask(self, asked: bytes) -> "asyncio.Future[bytes]":
        assert self._answer is None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(asked)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed:
            end = self._received.find(_HEAD_END)
            if end < 0:
                return
            head = self._received[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self._fail(Refused(self._received[:500].decode(errors="replace")))
                return
            start = head.index(_LENGTH) + len(_LENGTH)
            stop = head.find(b"\r", start)
            self._needed = end + 4 + int(head[start : stop if stop > 0 else None])
        if len(self._received) >= self._needed and self._answer is not None:
            answer, self._answer = self._answer, None
            body = self._received[self._received.index(_HEAD_END) + 4 :]
            self._received, self._needed = b"", 0
            if not answer.done():  # Whoever asked may have given up.
                answer.set_result(body)

    def close(self) -> None:
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            answer, self._answer = self._answer, None
            answer.set_exception(error)


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Connection, _HOST, port) for _ in range(count)]
    return [protocol for _, protocol in made]


async def ask(port: int, method: str, path: str, body: Any = None) -> Any:
    """One request on a connection of its own, its answer read as JSON."""
    (connection,) = await connect(port, 1)
    try:
        async with asyncio.timeout(_WAIT_S):
            return json.loads(await connection.ask(request(method, path, body)))
    finally:
        connection.close()


async def closed_loop(
    connections: Sequence[Connection], requests: Sequence[bytes], count: int
) -> None:
    """So many requests in all, the next on each connection as soon as its last is answered."""
    left = iter(range(count))

    async def work(connection: Connection) -> None:
        for number in left:
            await connection.ask(requests[number % len(requests)])

    async with asyncio.timeout(_WAIT_S):
        await asyncio.gather(*map(work, connections))


class Stream(asyncio.Protocol):
    """An answer that comes in pieces: when each marked piece came, and whether it has ended."""

    def __init__(self, mark: bytes, end: bytes) -> None:
        assert len(end) <= len(mark)
        self._mark = mark
        self._end = end
        self._rest = b""
        self.seen = 0
        self.first_at: float | None = None
        self.late_s = 0.0
        self._last_at = 0.0
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.first_at is None and b"HTTP/1.1 " in data and b"HTTP/1.1 200" not in data:
            self._fail(Refused(data[:500].decode(errors="replace")))
            return
        held = self._rest + data
        found = held.count(self._mark)
        # What may be the beginning of a mark is looked at again with what follows.
        self._rest = held[1 - len(self._mark) :]
        if found:
            self._note(found)
        if self._end in held and not self.ended.done():
            self.ended.set_result(None)

    def _note(self, found: int) -> None:
        now = self._time()
        if self.first_at is None:
            self.first_at = now
            self.begun.set_result(None)
        else:
            self.late_s = max(self.late_s, now - self._last_at)
        self._last_at = now
        self.seen += found

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(Refused(f"the stream was cut off: {error}"))

    def close(self) -> None:
        if not self.begun.done():
            self.begun.cancel()
        if not self.ended.done():
            self.ended.cancel()
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        for waited in (self.begun, self.ended):
            if not waited.done():
                waited.set_exception(error)
                waited.exception()  # Perhaps nobody waits for this one.


async def stream(port: int, asked: bytes, *, mark: bytes, end: bytes) -> Stream:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(lambda: Stream(mark, end), _HOST, port)
    transport.write(asked)
    return protocol
