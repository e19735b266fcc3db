"""One JSON-RPC request over HTTP at a time: to hosts that may be called, and within bounds."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from locum.tools.mcp.answers import (
    MOST_BYTES,
    Answer,
    McpFailed,
    Message,
    Server,
    failed,
    read_answer,
)
from locum.tools.mcp.events import TooLong
from locum.tools.mcp.hosts import GuardedResolver, HostRefused, Hosts, PrivateAddress

_CONNECT_S = 10.0
# What is sent beside a call (that it was cancelled, that a session ends) may fail, not wait.
_ASIDE_S = 2.0
_MOST_ASIDES = 256
_JSON, _STREAM = "application/json", "text/event-stream"
_METHOD_NOT_FOUND = -32601
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
                return await read_answer(
                    server,
                    response,
                    request["id"],
                    on_asked=lambda asked: self._reply(server, asked, headers),
                )
        except TimeoutError as error:
            raise failed(server, f"did not answer within {limit_s:g} s", "timeout") from error
        except TooLong as error:
            raise failed(server, f"sent more than {MOST_BYTES >> 20} MiB", "too long") from error
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

    def _reply(self, server: Server, asked: Message, headers: Mapping[str, str]) -> None:
        """A server may ask us in return. We are there, and that is all we can tell it."""
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.id}
        if asked.method == "ping":
            reply["result"] = {}
        else:
            reply["error"] = {"code": _METHOD_NOT_FOUND, "message": "Method not found"}
        self.aside(server, headers, reply)

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


def _why(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.InvalidURL():
            return "has an address that cannot be called"
        case aiohttp.ClientConnectorCertificateError():
            return "cannot be trusted: its certificate does not hold"
        case aiohttp.ClientConnectorSSLError():
            return "does not speak TLS"
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
