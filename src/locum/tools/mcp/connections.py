"""A conversation with one MCP server: its tools are listed, and called."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from locum.tools.mcp.answers import Answer, McpFailed, Refusal, RpcError, Server, failed
from locum.tools.mcp.mirrors import mirrored, mirrors
from locum.tools.mcp.protocol import Protocol, agree, refused
from locum.tools.mcp.transport import Transport

T = TypeVar("T")

_LISTING_S = 15.0
_MOST_PAGES = 32
_MOST_SCHEMA_BYTES = 64 << 10
MOST_TOOLS = 128
_UNSUPPORTED_VERSION = -32022


class RemoteTool(Struct, frozen=True):
    """A tool as its server describes it."""

    name: str
    description: str | None = None
    schema: dict[str, Any] = field(default_factory=dict, name="inputSchema")


class Connection:
    """One thread's conversation with one server. Used by one run at a time."""

    def __init__(self, transport: Transport, server: Server) -> None:
        self._transport = transport
        self._server = server
        self._protocol: Protocol | None = None
        self._requests = 0

    async def tools(self) -> tuple[RemoteTool, ...]:
        """What the server offers, as far as it can be understood, and no more than we hold."""
        try:
            async with asyncio.timeout(_LISTING_S):
                return await self._renewing(self._list)
        except TimeoutError as error:
            raise failed(
                self._server, f"did not list its tools within {_LISTING_S:g} s", "timeout"
            ) from error
        except RpcError as error:
            raise failed(
                self._server, f"did not list its tools: {error.message}", "rpc error"
            ) from error

    async def call(self, tool: RemoteTool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a call; an `RpcError` is an answer too."""

        async def call(protocol: Protocol) -> Answer:
            headers = protocol.headers("tools/call", tool.name)
            if not protocol.has_handshake:
                headers |= mirrored(mirrors(tool.schema) or {}, arguments)
            params = {"name": tool.name, "arguments": arguments}
            return await self._ask(protocol, "tools/call", params, headers=headers)

        return (await self._renewing(call)).result

    def close(self) -> None:
        """End the session, if there is one; the server need not hear of it."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None and protocol.session_id is not None:
            self._transport.aside(self._server, protocol.headers(""), None, method="DELETE")

    async def _list(self, protocol: Protocol) -> tuple[RemoteTool, ...]:
        found: list[RemoteTool] = []
        params: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = await self._ask(
                protocol, "tools/list", params, headers=protocol.headers("tools/list")
            )
            page = answer.result.get("tools")
            found += [tool for item in _items(page) if (tool := _tool(item)) is not None]
            cursor = answer.result.get("nextCursor")
            if not isinstance(cursor, str) or len(found) >= MOST_TOOLS:
                break
            params = {"cursor": cursor}
        if not protocol.has_handshake:
            # Such a tool cannot be called as the protocol demands.
            found = [tool for tool in found if mirrors(tool.schema) is not None]
        return tuple(found[:MOST_TOOLS])

    async def _renewing(self, ask: Callable[[Protocol], Awaitable[T]]) -> T:
        """Ask; once more, in a new session, when the server has forgotten the old one."""
        protocol = await self._agreed()
        try:
            return await ask(protocol)
        except (RpcError, Refusal) as error:
            if not _is_stale(protocol, error):
                raise self._understood(error) from error
        self._protocol = None
        protocol = await self._agreed()
        try:
            return await ask(protocol)
        except (RpcError, Refusal) as error:
            raise self._understood(error) from error

    async def _agreed(self) -> Protocol:
        if self._protocol is None:
            self._protocol = await agree(self._transport, self._server, within_s=_LISTING_S)
        return self._protocol

    async def _ask(
        self,
        protocol: Protocol,
        method: str,
        params: Mapping[str, Any],
        *,
        headers: Mapping[str, str],
    ) -> Answer:
        self._requests += 1
        request_id = self._requests
        request = protocol.request(request_id, method, params)
        try:
            return await self._transport.ask(self._server, request, headers)
        except asyncio.CancelledError:
            self._give_up(protocol, request_id, "The run was stopped.")
            raise
        except McpFailed as failure:
            if failure.reason == "timeout":
                self._give_up(protocol, request_id, "It took too long.")
            raise

    def _give_up(self, protocol: Protocol, request_id: int, reason: str) -> None:
        """Tell an older server to stop; for a newer one, the closed request says it."""
        if protocol.has_handshake:
            method = "notifications/cancelled"
            message = {
                "jsonrpc": "2.0",
                "method": method,
                "params": {"requestId": request_id, "reason": reason},
            }
            self._transport.aside(self._server, protocol.headers(method), message)

    def _understood(self, error: RpcError | Refusal) -> Exception:
        return refused(self._server, error) if isinstance(error, Refusal) else error


def _is_stale(protocol: Protocol, error: RpcError | Refusal) -> bool:
    if isinstance(error, RpcError) and error.code == _UNSUPPORTED_VERSION:
        return True  # The server was replaced by one of another revision.
    return protocol.session_id is not None and error.status == HTTPStatus.NOT_FOUND


def _items(page: Any) -> list[Any]:
    return page if isinstance(page, list) else []


def _tool(item: Any) -> RemoteTool | None:
    try:
        tool = msgspec.convert(item, RemoteTool)
    except msgspec.ValidationError:
        return None
    # Every turn of a run tells the model all of it.
    return tool if len(msgspec.json.encode(tool.schema)) <= _MOST_SCHEMA_BYTES else None
