"""What Locum is measured against: an application that does nothing.

    python -m benchmarks.ceilings SERVER PORT [MODEL_PORT]

The server is `granian`, which is written in Rust and has been the yardstick from the beginning, or
`own`, the one that Locum runs on.

`/bytes/N` answers N bytes, whatever is sent to it; `/relay` passes on, byte for byte, what the
model's server streams.
"""

import asyncio
import sys
from typing import Any

import aiohttp
from granian.constants import Interfaces
from granian.server.embed import Server

from locum.serving import Address, listening, until_stopped
from locum.sockets import RequestsFirst

_START = {"type": "http.response.start", "status": 200}
_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Ceiling:
    def __init__(self, model_port: int | None) -> None:
        self._model = f"http://127.0.0.1:{model_port}/v1/chat/completions"
        self._answers: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path: str = scope["path"]
        if path == "/relay":
            await self._relay(receive, send)
            return
        if scope["method"] == "POST":
            await receive()
        if path not in self._answers:
            size = int(path.removeprefix("/bytes/"))
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(size).encode()),
            ]
            self._answers[path] = headers, b"x" * size
        headers, body = self._answers[path]
        await send({**_START, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _relay(self, receive: Any, send: Any) -> None:
        asked = await receive()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        async with self._session.post(self._model, data=asked["body"]) as response:
            await send({**_START, "headers": _STREAM})
            while piece := await response.content.readany():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    server = sys.argv[1]
    port, *model = map(int, sys.argv[2:])
    app = Ceiling(model[0] if model else None)
    if server == "granian":
        asyncio.run(_in_rust(app, port))
    else:
        with asyncio.Runner(loop_factory=RequestsFirst) as runner:
            runner.run(_as_ours(app, port))


async def _in_rust(app: Ceiling, port: int) -> None:
    server = Server(app, port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.ensure_future(server.serve())
    await until_stopped()
    server.stop()  # type: ignore[no-untyped-call]  # granian has half its types
    await serving


async def _as_ours(app: Ceiling, port: int) -> None:
    async with listening(app, Address("127.0.0.1", port)):
        await until_stopped()


if __name__ == "__main__":
    main()
