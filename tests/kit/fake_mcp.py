"""An MCP server that says what a test wants it to, also what no server should.

It speaks both eras of the protocol, keeps everything it was sent, and runs in a thread of its own.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from aiohttp import web

WAIT_S = 30.0
Era = Literal["stateless", "handshake"]
Reply: TypeAlias = Callable[["FakeMcp", web.Request, Any], Awaitable[web.StreamResponse]]
ECHO = {
    "name": "echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}


class FakeMcp:
    """What it serves may be changed while it runs."""

    def __init__(self, era: Era = "stateless") -> None:
        self.era = era
        self.tools: list[Any] = [ECHO]
        # By method; what is not here is answered as a good server would.
        self.replies: dict[str, Reply] = {}
        # Every request: its JSON, and its headers in lower case.
        self.received: list[tuple[Any, dict[str, str]]] = []
        self.sessions: set[str] = set()
        self.ended: list[str] = []
        self.hung = threading.Event()
        self.released = threading.Event()
        self.cancelled = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def methods(self) -> list[str]:
        return [body["method"] for body, _ in self.received if body and "method" in body]

    def calls(self) -> list[Any]:
        return [body["params"] for body, _ in self.received if body.get("method") == "tools/call"]

    def headers(self, method: str) -> dict[str, str]:
        """The headers of the last request of a method."""
        return next(h for body, h in reversed(self.received) if body.get("method") == method)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "DELETE":
            self.ended.append(headers["mcp-session-id"])
            return web.Response()
        body = await request.json()
        self.received.append((body, headers))
        method = body.get("method", "")
        if method in self.replies:
            return await self.replies[method](self, request, body)
        if method == "notifications/cancelled":
            self.cancelled.set()
        if "id" not in body or not method:
            return web.Response(status=202)
        if self.era == "handshake" and method not in ("initialize", "server/discover"):
            session = headers.get("mcp-session-id")
            if session not in self.sessions:
                return web.Response(status=404)
        return self._answer(method, body)

    def _answer(self, method: str, body: Any) -> web.Response:
        extra = {}
        match method, self.era:
            case "server/discover", "stateless":
                result: Any = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
            case "initialize", "handshake":
                session = f"session-{len(self.sessions) + len(self.ended)}"
                self.sessions.add(session)
                extra = {"Mcp-Session-Id": session}
                result = {
                    "protocolVersion": body["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fake", "version": "1"},
                }
            case "tools/list", _:
                result = {"tools": self.tools}
            case "tools/call", _:
                result = says(body["params"]["arguments"].get("text", "nothing"))
            case _:
                return error(body, -32601, "Method not found", status=404)
        return web.json_response(
            {"jsonrpc": "2.0", "id": body["id"], "result": result}, headers=extra
        )


@contextmanager
def fake_mcp(era: Era = "stateless") -> Iterator[FakeMcp]:
    fake = FakeMcp(era)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        application = web.Application()
        application.router.add_route("*", "/mcp", fake.serve)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.port = runner.addresses[0][1]
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(WAIT_S)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()
        loop.close()


# --------------------------------------------------------------------------- replies


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def error(body: Any, code: int, message: str, *, status: int = 200) -> web.Response:
    document = {"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message}}
    return web.json_response(document, status=status)


def answers(result: Any) -> Reply:
    async def reply(_: FakeMcp, __: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    return reply


def fails(code: int, message: str) -> Reply:
    async def reply(_: FakeMcp, __: web.Request, body: Any) -> web.StreamResponse:
        return error(body, code, message)

    return reply


def sends(data: bytes, **options: Any) -> Reply:
    """A whole response, whatever it is."""

    async def reply(_: FakeMcp, __: web.Request, ___: Any) -> web.StreamResponse:
        return web.Response(body=data, **({"content_type": "application/json"} | options))

    return reply


def streams(*pieces: str, then_hangs: bool = False) -> Reply:
    """An event stream; `{id}` in a piece stands for the id of the request."""

    async def reply(fake: FakeMcp, request: web.Request, body: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.replace("{id}", str(body["id"])).encode())
        if then_hangs:
            await _hang(fake)
        return response

    return reply


def floods(piece: bytes) -> Reply:
    """A stream that never ends."""

    async def reply(fake: FakeMcp, request: web.Request, _: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(piece)
        finally:
            fake.released.set()

    return reply


async def hangs(fake: FakeMcp, _: web.Request, __: Any) -> web.StreamResponse:
    """No answer, until the client leaves."""
    await _hang(fake)
    return web.Response()


async def _hang(fake: FakeMcp) -> None:
    fake.hung.set()
    try:
        await asyncio.Event().wait()
    finally:
        fake.released.set()
