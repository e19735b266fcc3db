"""A Chat Completions server that answers at once, or at a pace: what Locum asks in these trials.

    python -m benchmarks.model PORT

The name of the model says how it answers: `instant`, or `paced-50-200` for 200 deltas at 50 a
second. Written against raw sockets, because it must never be what is slow.
"""

import asyncio
import json
import random
import sys
from typing import Any, Final

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LISTED: Final = json.dumps({"object": "list", "data": [{"id": "instant", "object": "model"}]})
_END: Final = b"\r\n\r\n"


def _event(data: dict[str, Any]) -> bytes:
    return _chunk(f"data: {json.dumps(data)}\n\n".encode())


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _delta(text: str) -> bytes:
    delta = {"role": "assistant", "content": text}
    return _event({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]})


_USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
_STOP: Final = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
_WORD: Final = _delta("word ")
_LAST: Final = _STOP + _event({"choices": [], "usage": _USAGE}) + _chunk(b"data: [DONE]\n\n")
_INSTANT: Final = _HEAD + _WORD + _LAST + _chunk(b"")


class Server(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""
        self._talking: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._talking is not None:
            self._talking.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(_END)
        if not found:
            return
        lowered = head.lower()
        length = 0
        if b"content-length: " in lowered:
            length = int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self._received = body[length:]
        if head.startswith(b"GET"):
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_LISTED)}\r\n\r\n{_LISTED}"
            self._transport.write(answer.encode())
            return
        name = str(json.loads(body[:length])["model"])
        if name == "instant":
            self._transport.write(_INSTANT)
            return
        _, rate, count = name.split("-")
        self._talking = asyncio.ensure_future(self._talk(float(rate), int(count)))

    async def _talk(self, rate: float, count: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport.write(_HEAD)
        # Models do not speak in unison.
        begun = loop.time() + random.random() / rate
        number = 0
        while number < count:
            await asyncio.sleep(begun + number / rate - loop.time())
            self._transport.write(_WORD)
            # Whoever was made to pause does not say afterwards what he would have said.
            number = max(number, int((loop.time() - begun) * rate)) + 1
        self._transport.write(_LAST + _chunk(b""))


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
