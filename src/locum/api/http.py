"""A request as it arrives, and the kinds of answers that leave: bytes, or pieces as they come."""

import asyncio
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    MutableMapping,
)
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl, unquote

from locum.errors import InvalidRequest, TooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"

_TOO_LARGE = "The request is too large: the body may have at most {limit} bytes."


class Disconnected(Exception):
    """The client went away before its request was whole."""


class Incoming:
    """One HTTP request."""

    def __init__(self, scope: Message, receive: Receive) -> None:
        self.method: str = scope["method"]
        # Which operation of the API it asks for, once that is known.
        self.operation = "none"
        # Split before decoding, so that an encoded slash stays inside its segment.
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        self.raw_path = raw.split(b"?", 1)[0].decode("latin-1")
        self.headers = RequestHeaders(scope["headers"])
        self._scope = scope
        self._receive = receive

    @property
    def query(self) -> list[tuple[str, str]]:
        """Read when it is asked for: a long one takes its time, and anybody can send one."""
        text: bytes = self._scope["query_string"]
        return parse_qsl(text.decode("latin-1"), keep_blank_values=True) if text else []

    def found(self, route: str) -> None:
        """Tell whoever stands around the door which row of the table answers."""
        self._scope["route"] = route

    async def pieces(self, *, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives; refused as soon as it is known to exceed the limit."""
        declared = self.headers.get("content-length")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge(_TOO_LARGE.format(limit=limit))
        taken = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            piece: bytes = message.get("body", b"")
            taken += len(piece)
            if taken > limit:
                raise TooLarge(_TOO_LARGE.format(limit=limit))
            if piece:
                yield piece
            if not message.get("more_body", False):
                return

    async def body(self, *, limit: int) -> bytes:
        return b"".join([piece async for piece in self.pieces(limit=limit)])

    def require_json(self) -> None:
        given = self.headers.get("content-type")
        kind = given.split(";")[0].strip().lower()
        if kind and kind != "application/json" and not re.fullmatch(r"application/.+\+json", kind):
            raise InvalidRequest(
                f"Unsupported content type: '{given}'. This API method only accepts"
                " 'application/json' requests, but you specified the header"
                f" 'Content-Type: {given}'. Please try again with a supported content type.",
                code="unsupported_content_type",
            )

    async def gone(self) -> None:
        """Return when the client has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class RequestHeaders:
    """The headers of a request by their names in lower case; what nobody asks for stays bytes."""

    __slots__ = ("_pairs", "_raw")

    def __init__(self, pairs: Collection[tuple[bytes, bytes]]) -> None:
        # Servers hand names over in lower case, as ASGI has it. Of two alike the last one counts.
        self._raw = dict(pairs)
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        value = self._raw.get(name.encode())
        return default if value is None else value.decode("latin-1")

    def listed(self, name: str) -> list[str]:
        """The members of a header that is a list: however many lines it takes, it is one list."""
        lines = [value for given, value in self._pairs if given == name.encode()]
        return [member.strip() for member in b",".join(lines).decode("latin-1").split(",")]

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._raw


class Reply:
    """An answer whose bytes are known."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: bytes, *, status: int = 200, media: bytes = JSON, headers: Headers | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers: Headers = [(b"content-type", media)]
        if headers:
            self.headers += headers

    async def send(self, send: Send, _: Incoming) -> None:
        self.headers.append((b"content-length", b"%d" % len(self.body)))
        await send(_start(self.status, self.headers))
        await send({"type": "http.response.body", "body": self.body})


class PiecewiseReply:
    """An answer that is sent as it comes; whoever hangs up stops it."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], *, media: str, headers: dict[str, str]
    ) -> None:
        self.status = 200
        self.headers: Headers = [(b"content-type", media.encode()), *encoded(headers)]
        self._pieces = pieces

    async def send(self, send: Send, incoming: Incoming) -> None:
        await send(_start(self.status, self.headers))
        sending = asyncio.ensure_future(self._send_pieces(send))
        leaving = asyncio.ensure_future(incoming.gone())
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                if not task.done():
                    task.cancel()
            await asyncio.wait({sending, leaving})
        if not sending.cancelled():
            sending.result()

    async def _send_pieces(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


AnyReply = Reply | PiecewiseReply


def segment(text: str) -> str:
    """A path parameter as the client meant it."""
    return unquote(text)


def encoded(headers: Mapping[str, str]) -> Headers:
    """Names in lower case and their values, as they are sent."""
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}
