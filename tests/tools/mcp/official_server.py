"""A server made with the official SDK, as a program: it says its port and serves until killed.

A process of its own, because the SDK sets up logging for all of the process it is in.
"""

import asyncio
import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("numbers", log_level="CRITICAL")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Never works."""
    message = "no luck today"
    raise ValueError(message)


@server.tool()
async def wait() -> str:
    """Never ends."""
    await asyncio.Event().wait()
    return "never"


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(server.streamable_http_app(), log_config=None, ws="none")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
