"""MCP servers among the tools that a client names: which may be used, and what is not shown.

Assistants and runs are stored as they are served. So the values of headers, which are keys
most often, are taken out before and kept apart; `…` stands where they were.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from locum.errors import InvalidParameter
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.tools.mcp.hosts import HostRefused, Hosts
from locum.wire.assistants import Assistant
from locum.wire.tools import HIDDEN, McpTool, Tool

Headers: TypeAlias = dict[str, dict[str, str]]

# These are the protocol's own to say.
_RESERVED = {
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Admitted(Struct, frozen=True):
    """Tools as they may be shown, and the headers of their servers, which may not."""

    tools: tuple[Tool, ...]
    headers: Headers


async def admit(
    scope: Scope, tx: Transaction, tools: Sequence[Tool], *, before: Assistant | None = None
) -> Admitted:
    """Check the MCP servers among some tools, and part them from their secrets.

    A client that sends back what it was shown keeps what the assistant had `before`.
    """
    if not any(isinstance(tool, McpTool) for tool in tools):
        return Admitted(tuple(tools), {})
    kept: Headers = {}
    if before is not None:
        kept = await scope.store.assistants.headers(scope.project_id, before.id, reader=tx)
    known = {} if before is None else _addresses(before.tools)
    hosts = Hosts(scope.house.settings.mcp_hosts)
    shown: list[Tool] = []
    headers: Headers = {}
    for index, tool in enumerate(tools):
        if not isinstance(tool, McpTool):
            shown.append(tool)
            continue
        param = f"tools[{index}]"
        if tool.server_label in headers:
            raise _invalid(
                f"{param}.server_label", f"'{tool.server_label}' names another server already."
            )
        _check_host(hosts, tool, param)
        # A value goes on only to where it went before: whoever may change an assistant must not
        # learn its keys by sending them to an address of their own.
        is_same = known.get(tool.server_label) == tool.server_url
        old = kept.get(tool.server_label, {}) if is_same else {}
        headers[tool.server_label] = _values(tool, old, param)
        shown.append(_without_values(tool))
    return Admitted(tuple(shown), headers)


def _addresses(tools: Sequence[Tool]) -> dict[str, str]:
    return {tool.server_label: tool.server_url for tool in tools if isinstance(tool, McpTool)}


def _check_host(hosts: Hosts, tool: McpTool, param: str) -> None:
    try:
        hosts.check(tool.server_url)
    except HostRefused as refused:
        raise _invalid(f"{param}.server_url", refused.message) from refused


def _values(tool: McpTool, old: Mapping[str, str], param: str) -> dict[str, str]:
    """The headers with their real values: those that were sent, and those that are kept."""
    values: dict[str, str] = {}
    for name, value in (tool.headers or {}).items():
        where = f"{param}.headers.{name}"
        if name.lower() in _RESERVED or name.lower().startswith("mcp-"):
            raise _invalid(where, "This header is set by the protocol.")
        if name.lower() in map(str.lower, values):
            raise _invalid(where, "This header is named twice.")
        if value == HIDDEN and name not in old:
            raise _invalid(
                where, f"'{HIDDEN}' stands for a value that is kept, and none is kept. Send it."
            )
        values[name] = old[name] if value == HIDDEN else value
    return values


def _without_values(tool: McpTool) -> McpTool:
    if not tool.headers:
        return tool
    return replace(tool, headers=dict.fromkeys(tool.headers, HIDDEN))


def _invalid(param: str, why: str) -> InvalidParameter:
    return InvalidParameter(f"Invalid '{param}': {why}", param=param)
