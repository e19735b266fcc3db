"""The revisions of the protocol, and how to find the newest that a server speaks.

Since 2026-07-28 every request says all there is to know, and there are no sessions. Older servers
want a handshake first and may number their sessions. A server is asked in the new way; when
it does not understand, in the old one.
"""

import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from locum import __version__
from locum.tools.mcp.answers import McpFailed, Refusal, RpcError, Server, failed
from locum.tools.mcp.transport import Transport

_NEWEST = "2026-07-28"
_WITH_HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
_US = {"name": "locum", "version": __version__}
_META = "io.modelcontextprotocol"
_UNSUPPORTED_VERSION = -32022
_CLOSED_DOORS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_DISCOVER = "server/discover"
_SAFE_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z")


class Protocol(Struct, frozen=True):
    """How to speak with one server. A session id only where a server has given one."""

    version: str
    session_id: str | None = None

    @property
    def has_handshake(self) -> bool:
        return self.version != _NEWEST

    def headers(self, method: str, name: str | None = None) -> dict[str, str]:
        headers = {"MCP-Protocol-Version": self.version}
        if self.session_id is not None:
            headers["Mcp-Session-Id"] = self.session_id
        if not self.has_handshake:
            headers["Mcp-Method"] = method
            if name is not None:
                headers["Mcp-Name"] = header_value(name)
        return headers

    def request(self, request_id: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        said = dict(params)
        if not self.has_handshake:
            said["_meta"] = {
                f"{_META}/protocolVersion": self.version,
                f"{_META}/clientInfo": _US,
                f"{_META}/clientCapabilities": {},
            }
        return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": said}


def header_value(value: str) -> str:
    """A value as the protocol writes it in a header, where it would not survive as it is."""
    if _SAFE_VALUE.match(value) and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


async def agree(transport: Transport, server: Server, *, within_s: float) -> Protocol:
    """Find out how a server wants to be spoken to, and begin a session where it wants one."""
    newest = Protocol(_NEWEST)
    try:
        answer = await transport.ask(
            server,
            newest.request(0, _DISCOVER, {}),
            newest.headers(_DISCOVER),
            within_s=within_s,
        )
    except RpcError as error:
        if error.code == _UNSUPPORTED_VERSION and not _knows_handshake(error.data):
            raise failed(server, "speaks no revision of MCP that we know", "version") from error
    except Refusal as refusal:
        if refusal.status in _CLOSED_DOORS or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise refused(server, refusal) from refusal
    else:
        supported = answer.result.get("supportedVersions")
        if isinstance(supported, list) and _NEWEST in supported:
            return newest
    return await _shake_hands(transport, server, within_s)


def refused(server: Server, refusal: Refusal) -> McpFailed:
    return failed(server, f"refused with HTTP {refusal.status}", f"http {refusal.status}")


async def _shake_hands(transport: Transport, server: Server, within_s: float) -> Protocol:
    request = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": _WITH_HANDSHAKE[0],
            "capabilities": {},
            "clientInfo": _US,
        },
    }
    try:
        answer = await transport.ask(server, request, {}, within_s=within_s)
    except RpcError as error:
        raise failed(server, f"did not let us in: {error.message}", "handshake") from error
    except Refusal as refusal:
        raise refused(server, refusal) from refusal
    version = answer.result.get("protocolVersion")
    if version not in _WITH_HANDSHAKE:
        raise failed(server, "speaks no revision of MCP that we know", "version")
    protocol = Protocol(version, answer.headers.get("Mcp-Session-Id"))
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await transport.notify(server, protocol.headers("notifications/initialized"), done)
    return protocol


def _knows_handshake(data: Any) -> bool:
    """Whether a server that refuses our newest revision names one that begins with a handshake."""
    supported = data.get("supported") if isinstance(data, dict) else None
    if not isinstance(supported, list):
        return True
    return any(version in supported for version in _WITH_HANDSHAKE)
