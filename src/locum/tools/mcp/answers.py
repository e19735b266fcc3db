"""What a server says: the one answer to a request, among all that it may send.

Nothing of it is trusted: not its size, its form, where it points, nor that it ends.
"""

import hashlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from locum.tools.mcp.events import EventData, TooLong
from locum.tools.mcp.veil import Veil
from locum.unreadable import UNREADABLE

MOST_BYTES = 4 << 20
_MOST_ERROR_BYTES = 64 << 10
_JSON = "application/json"


class Server(Struct, frozen=True):
    """One MCP server as an assistant names it, with what only it may see."""

    label: str
    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        """Without the headers, wherever it may be printed."""
        return f"Server({self.label!r})"

    @property
    def veil(self) -> Veil:
        return Veil(self.headers.values())

    @property
    def digest(self) -> str:
        """Tells two sets of headers apart without saying what they are."""
        return hashlib.sha256(_encode(sorted(self.headers.items()))).hexdigest()


class McpFailed(Exception):
    """The server cannot be spoken with. `reason` is for the log, `message` for the run."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class RpcError(Exception):
    """The server has answered, with an error of its own."""

    def __init__(self, code: int, message: str, data: Any, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status


class Refusal(Exception):
    """The server has refused with a status and nothing that could be read."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Answer(Struct, frozen=True):
    result: dict[str, Any]
    headers: Mapping[str, str]


class _Error(Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class Message(Struct):
    id: int | str | None = None
    method: str | None = None
    result: dict[str, Any] | None = None
    error: _Error | None = None


_messages = msgspec.json.Decoder(Message)
_encode = msgspec.json.encode


async def read_answer(
    server: Server,
    response: aiohttp.ClientResponse,
    request_id: int,
    *,
    on_asked: Callable[[Message], None],
) -> Answer:
    """The answer to a request. `on_asked` is told what the server asks before it answers."""
    message = await _message(server, response, request_id, on_asked)
    veil = server.veil
    if message.error is not None:
        error = message.error
        raise RpcError(error.code, veil.text(error.message), error.data, response.status)
    if message.result is None:
        raise failed(server, "answered with neither a result nor an error", "not json-rpc")
    return Answer(veil.document(message.result), response.headers)


def failed(server: Server, what: str, reason: str) -> McpFailed:
    return McpFailed(f"The MCP server '{server.label}' {what}.", reason=reason)


async def _message(
    server: Server,
    response: aiohttp.ClientResponse,
    request_id: int,
    on_asked: Callable[[Message], None],
) -> Message:
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        raise failed(server, "points to another address, which is not followed", "redirect")
    if response.status >= HTTPStatus.BAD_REQUEST:
        return await _refusal(response)
    if response.status == HTTPStatus.ACCEPTED:
        raise failed(server, "took the request and did not answer it", "no answer")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise failed(server, "sent a compressed answer, which was not asked for", "encoding")
    match response.content_type:
        case "application/json":
            message = _read(server, await _whole(response, MOST_BYTES))
            if message.id not in (request_id, None):
                raise failed(server, "answered what was not asked", "not json-rpc")
            return message
        case "text/event-stream":
            return await _streamed(server, response, request_id, on_asked)
    raise failed(server, f"answered with {response.status} and no JSON", "not json")


async def _streamed(
    server: Server,
    response: aiohttp.ClientResponse,
    request_id: int,
    on_asked: Callable[[Message], None],
) -> Message:
    events = EventData(most_bytes=MOST_BYTES)
    async for received in response.content.iter_any():
        for data in events.feed(received):
            message = _read(server, data)
            if message.method is None and message.id == request_id:
                return message
            if message.method is not None and message.id is not None:
                on_asked(message)
    raise failed(server, "ended its answer in the middle", "cut off")


async def _refusal(response: aiohttp.ClientResponse) -> Message:
    """An error that came with a status of its own; `Refusal` when it cannot be read."""
    if response.content_type == _JSON:
        try:
            message = _messages.decode(await _whole(response, _MOST_ERROR_BYTES))
        except (*UNREADABLE, TooLong):
            raise Refusal(response.status) from None
        if message.error is not None:
            return message
    raise Refusal(response.status)


def _read(server: Server, data: bytes) -> Message:
    try:
        return _messages.decode(data)
    except UNREADABLE as error:
        raise failed(server, "sent what is not JSON-RPC", "not json-rpc") from error


async def _whole(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for received in response.content.iter_any():
        body += received
        if len(body) > most_bytes:
            raise TooLong
    return bytes(body)
