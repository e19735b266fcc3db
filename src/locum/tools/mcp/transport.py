"""One JSON-RPC request over HTTP, and its answer, whether it comes as JSON or as a stream.

Nothing a server sends is trusted: not its size, its form, where it points, nor that it ends.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from locum.tools.mcp.events import EventData, TooLong
from locum.tools.mcp.hosts import GuardedResolver, HostRefused, Hosts, PrivateAddress
from locum.tools.mcp.veil import Veil

_CONNECT_S = 10.0
# What is sent beside a call (that it was cancelled, that a session ends) may fail, not wait.
_ASIDE_S = 2.0
_MOST_ASIDES = 256
_MOST_BYTES = 4 << 20
_MOST_ERROR_BYTES = 64 << 10
_JSON, _STREAM = "application/json", "text/event-stream"
_METHOD_NOT_FOUND = -32601


class Server(Struct, frozen=True):
    """One MCP server as an assistant names it, with what only it may see."""

    label: str
    url: str
    headers: dict[str, str]

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


class _Message(Struct):
    id: int | str | None = None
    method: str | None = None
    result: dict[str, Any] | None = None
    error: _Error | None = None


_messages = msgspec.json.Decoder(_Message)
_encode = msgspec.json.encode


class Transport:
    """The way to all servers."""

    def __init__(self, hosts: Hosts, *, answer_s: float) -> None:
        self._hosts = hosts
        self._answer_s = answer_s
        self._session: aiohttp.ClientSession | None = None
        self._asides: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        server: Server,
        request: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        within_s: float | None = None,
    ) -> Answer:
        """Send a request and wait for its result.

        Raises `RpcError` and `Refusal` when the server says no, `McpFailed` when it says nothing
        that can be understood.
        """
        limit_s = within_s or self._answer_s
        try:
            async with (
                asyncio.timeout(limit_s),
                self._opened("POST", server, headers, request) as response,
            ):
                message = await self._message(server, response, request["id"], headers)
                return _answer(server, message, response)
        except TimeoutError as error:
            raise failed(server, f"did not answer within {limit_s:g} s", "timeout") from error
        except TooLong as error:
            raise failed(server, f"sent more than {_MOST_BYTES >> 20} MiB", "too long") from error
        except aiohttp.ClientError as error:
            raise failed(server, _why(error), "unreachable") from error

    def aside(
        self,
        server: Server,
        headers: Mapping[str, str],
        message: Mapping[str, Any] | None,
        *,
        method: str = "POST",
    ) -> None:
        """Send what needs no answer, and do not wait for it to arrive."""
        if len(self._asides) < _MOST_ASIDES:
            self._behind(self._send(server, headers, message, method))

    async def notify(
        self, server: Server, headers: Mapping[str, str], message: Mapping[str, Any]
    ) -> None:
        """Send what needs no answer, before anything else is sent."""
        await self._send(server, headers, message, "POST")

    async def close(self) -> None:
        if self._asides:
            await asyncio.wait(self._asides, timeout=_ASIDE_S)
        for task in self._asides:
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ------------------------------------------------------------------- reading

    async def _message(
        self,
        server: Server,
        response: aiohttp.ClientResponse,
        request_id: int,
        headers: Mapping[str, str],
    ) -> _Message:
        """The message that answers the request, among all that the server may say."""
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
                message = _read(server, await _whole(response, _MOST_BYTES))
                if message.id not in (request_id, None):
                    raise failed(server, "answered what was not asked", "not json-rpc")
                return message
            case "text/event-stream":
                return await self._streamed(server, response, request_id, headers)
        raise failed(server, f"answered with {response.status} and no JSON", "not json")

    async def _streamed(
        self,
        server: Server,
        response: aiohttp.ClientResponse,
        request_id: int,
        headers: Mapping[str, str],
    ) -> _Message:
        events = EventData(most_bytes=_MOST_BYTES)
        async for received in response.content.iter_any():
            for data in events.feed(received):
                message = _read(server, data)
                if message.method is None and message.id == request_id:
                    return message
                if message.method is not None and message.id is not None:
                    self._reply(server, message, headers)
        raise failed(server, "ended its answer in the middle", "cut off")

    def _reply(self, server: Server, asked: _Message, headers: Mapping[str, str]) -> None:
        """A server may ask us in return. We are there, and that is all we can tell it."""
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.id}
        if asked.method == "ping":
            reply["result"] = {}
        else:
            reply["error"] = {"code": _METHOD_NOT_FOUND, "message": "Method not found"}
        self.aside(server, headers, reply)

    # ------------------------------------------------------------------- sending

    @asynccontextmanager
    async def _opened(
        self, method: str, server: Server, headers: Mapping[str, str], message: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            url = self._hosts.check(server.url)
        except HostRefused as refused:
            # It was allowed when the assistant was made; the operator has changed their mind.
            raise McpFailed(refused.message, reason="not allowed") from refused
        response = await self._http().request(
            method,
            url,
            data=None if message is None else _encode(message),
            headers={
                **server.headers,
                "Accept": f"{_JSON}, {_STREAM}",
                "Accept-Encoding": "identity",
                "Content-Type": _JSON,
                **headers,
            },
            # A key must not follow wherever a server points, nor a call reach where it may not.
            allow_redirects=False,
        )
        try:
            yield response
        finally:
            # Not `release`: a server whose connection closes stops its work at once.
            response.close()

    async def _send(
        self, server: Server, headers: Mapping[str, str], message: Any, method: str
    ) -> None:
        try:
            async with (
                asyncio.timeout(_ASIDE_S),
                self._opened(method, server, headers, message),
            ):
                return
        except (TimeoutError, aiohttp.ClientError, McpFailed):
            return  # Whether it arrived shows in what comes next.

    def _behind(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    # The engine bounds the runs, and each asks one thing at a time.
                    limit=0,
                    resolver=GuardedResolver(self._hosts),
                    # A call is never sent twice. So it must not be lost to a kept connection
                    # that the server is just giving up.
                    force_close=True,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def failed(server: Server, what: str, reason: str) -> McpFailed:
    return McpFailed(f"The MCP server '{server.label}' {what}.", reason=reason)


def _answer(server: Server, message: _Message, response: aiohttp.ClientResponse) -> Answer:
    veil = server.veil
    if message.error is not None:
        error = message.error
        raise RpcError(error.code, veil.text(error.message), error.data, response.status)
    if message.result is None:
        raise failed(server, "answered with neither a result nor an error", "not json-rpc")
    return Answer(veil.document(message.result), response.headers)


async def _refusal(response: aiohttp.ClientResponse) -> _Message:
    """An error that came with a status of its own; `Refusal` when it cannot be read."""
    if response.content_type == _JSON:
        try:
            message = _messages.decode(await _whole(response, _MOST_ERROR_BYTES))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TooLong):
            raise Refusal(response.status) from None
        if message.error is not None:
            return message
    raise Refusal(response.status)


def _read(server: Server, data: bytes) -> _Message:
    try:
        return _messages.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise failed(server, "sent what is not JSON-RPC", "not json-rpc") from error


async def _whole(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for received in response.content.iter_any():
        body += received
        if len(body) > most_bytes:
            raise TooLong
    return bytes(body)


def _why(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "cannot be trusted: its certificate does not hold"
        case aiohttp.ClientConnectorDNSError(os_error=PrivateAddress()):
            return "is in a private network that its operator has not named in 'mcp_hosts'"
        case aiohttp.ClientConnectorDNSError():
            return "cannot be reached: its host name is not known"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"cannot be reached: {os.strerror(number) if number else 'no connection'}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "closed the connection"
    return "broke the connection"
