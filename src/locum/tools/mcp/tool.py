"""MCP servers as a run sees them: their tools are functions, their calls are steps."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec import Struct

from locum import brackets, logs
from locum.clock import Clock
from locum.tools.mcp.answers import McpFailed, RpcError, Server
from locum.tools.mcp.connections import MOST_TOOLS, Connection, RemoteTool
from locum.tools.mcp.hosts import Hosts
from locum.tools.mcp.listings import Listings, Tools
from locum.tools.mcp.names import function_name
from locum.tools.mcp.results import cut, written
from locum.tools.mcp.transport import Transport
from locum.tools.tool import Function, Kind, Memory, Setting, ToolFailed
from locum.unreadable import UNREADABLE
from locum.wire.steps import FunctionCall, FunctionDone, ToolCall
from locum.wire.tools import McpTool, McpToolFilter

Key: TypeAlias = tuple[str, str, str]

# What a model reads of one result; the step keeps more.
_TOLD_CHARS = 20_000
_DESCRIPTION_CHARS = 4_000
_IDLE_S = 600.0
_MOST_CONNECTIONS = 1_024
_MOST_RUNS = 4_096


class _Target(Struct, frozen=True):
    """What stands behind a function that was offered."""

    server: Server
    tool: RemoteTool


class McpTools:
    kind: ClassVar[Kind] = "mcp"

    def __init__(self, hosts: Hosts, *, clock: Clock, call_s: float) -> None:
        self._transport = Transport(hosts, answer_s=call_s)
        self._clock = clock
        self._listings = Listings(clock)
        # By project, thread and server: an older server may keep state in its session, and that
        # is the thread's own. The oldest come first; each with when it was last used.
        self._connections: OrderedDict[Key, tuple[Connection, float]] = OrderedDict()
        self._offered: OrderedDict[tuple[str, str], dict[str, _Target]] = OrderedDict()

    async def functions(self, setting: Setting) -> Sequence[Function]:
        asked = [tool for tool in setting.run.tools if isinstance(tool, McpTool)]
        if not asked:
            return ()
        servers = [
            Server(tool.server_label, tool.server_url, setting.headers.get(tool.server_label, {}))
            for tool in asked
        ]
        found = await asyncio.gather(*(self._tools(setting, server) for server in servers))
        wanted = [
            _Target(server, remote)
            for tool, server, remotes in zip(asked, servers, found, strict=True)
            for remote in remotes
            if _is_allowed(tool, remote)
        ]
        if len(wanted) > MOST_TOOLS:
            logs.warning("mcp.tools_left_out", run_id=setting.run.id, count=len(wanted))
        targets: dict[str, _Target] = {}
        for target in wanted[:MOST_TOOLS]:
            name = function_name(target.server.label, target.tool.name, taken=targets)
            targets[name] = target
        self._remember(setting, targets)
        return [_function(name, target.tool) for name, target in targets.items()]

    async def open(self, setting: Setting, *, call_id: str, name: str, **_: object) -> "_McpCall":
        target = self._offered.get((setting.project_id, setting.run.id), {}).get(name)
        connection = None if target is None else self._connection(setting, target.server)
        return _McpCall(setting, target, connection, call_id=call_id, name=name)

    async def forget(self, project_id: str, thread_id: str) -> None:
        """The thread is gone, and so are its sessions."""
        for key in [key for key in self._connections if key[:2] == (project_id, thread_id)]:
            self._connections.pop(key)[0].close()

    async def close(self) -> None:
        while self._connections:
            self._connections.popitem()[1][0].close()
        await self._transport.close()

    async def _tools(self, setting: Setting, server: Server) -> Tools:
        def note(failure: McpFailed) -> None:
            _warn("mcp.not_listed", setting, server, failure)

        connection = self._connection(setting, server)
        return await self._listings.tools(
            (setting.project_id, server.url, server.digest), connection.tools, note
        )

    def _connection(self, setting: Setting, server: Server) -> Connection:
        now = self._clock.monotonic()
        key = (setting.project_id, setting.run.thread_id, f"{server.url} {server.digest}")
        connection, _ = self._connections.pop(key, (None, now))
        connection = connection or Connection(self._transport, server)
        self._connections[key] = (connection, now)
        while self._has_idle(now):
            self._connections.popitem(last=False)[1][0].close()
        return connection

    def _has_idle(self, now: float) -> bool:
        _, used = next(iter(self._connections.values()))
        return used < now - _IDLE_S or len(self._connections) > _MOST_CONNECTIONS

    def _remember(self, setting: Setting, targets: dict[str, _Target]) -> None:
        key = (setting.project_id, setting.run.id)
        self._offered[key] = targets
        self._offered.move_to_end(key)
        if len(self._offered) > _MOST_RUNS:
            self._offered.popitem(last=False)


class _McpCall:
    def __init__(
        self,
        setting: Setting,
        target: _Target | None,
        connection: Connection | None,
        *,
        call_id: str,
        name: str,
    ) -> None:
        self._setting = setting
        self._target = target
        self._connection = connection
        self._call_id = call_id
        self._name = name
        self._written: list[str] = []
        self._output: str | None = None

    def begin(self) -> dict[str, Any]:
        return {"name": self._name, "arguments": "", "output": None}

    def write(self, arguments: str) -> dict[str, Any] | None:
        self._written.append(arguments)
        return {"arguments": arguments}

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        # Told whole and once: clients add strings up, and so arrive at what the step says.
        self._output = await self._answer()
        yield {"output": self._output}

    def done(self) -> ToolCall:
        called = FunctionDone(self._name, "".join(self._written), self._output)
        return FunctionCall(id=self._call_id, function=called)

    def memory(self) -> Memory:
        return Memory(
            call_id=self._call_id,
            name=self._name,
            arguments="".join(self._written),
            result=cut(self._output or "", _TOLD_CHARS) or "[no output]",
        )

    async def _answer(self) -> str:
        if self._target is None or self._connection is None:
            raise ToolFailed(f"The tool '{self._name}' is no longer offered.")
        arguments = _arguments("".join(self._written))
        if arguments is None:
            return "Error: the arguments are not a JSON object."
        try:
            return written(await self._connection.call(self._target.tool, arguments))
        except RpcError as error:
            return f"Error: {error.message}"
        except McpFailed as failure:
            _warn("mcp.call_failed", self._setting, self._target.server, failure)
            raise ToolFailed(failure.message) from failure


def _warn(event: str, setting: Setting, server: Server, failure: McpFailed) -> None:
    logs.warning(event, run_id=setting.run.id, server=server.label, reason=failure.reason)


def _is_allowed(tool: McpTool, remote: RemoteTool) -> bool:
    allowed = tool.allowed_tools
    if isinstance(allowed, McpToolFilter):
        allowed = allowed.tool_names
    return allowed is None or remote.name in allowed


def _function(name: str, tool: RemoteTool) -> Function:
    parameters = {"type": "object", "properties": {}} | tool.schema
    return Function(name, cut(tool.description or tool.name, _DESCRIPTION_CHARS), parameters)


def _arguments(text: str) -> dict[str, Any] | None:
    """What a model has written, which is nothing when a tool wants nothing."""
    try:
        arguments = msgspec.json.decode(text or "{}")
    except UNREADABLE:
        return None
    if not isinstance(arguments, dict) or brackets.nests_too_deep(text.encode()):
        return None
    return arguments
