"""HTTP on one connection, in the event loop itself: uvicorn's protocol, with bounds of ours.

No thread hands a request on, so nothing stands between what a client sends and its answer but
what the loop has begun; and the loop sees to requests before it goes on with the rest.
"""

import asyncio
import re
import selectors
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from locum.patience import Patience

_HEAD_BYTES: Final = 64 * 1024
_HEAD_WITHIN_S: Final = 30.0
# A body may take as long as it likes, but not stand still.
_BODY_GOES_ON_WITHIN_S: Final = 60.0
# Longer than most clients keep a connection that nobody uses, so that they are who closes it.
_UNUSED_S: Final = 120.0
# Whoever is refused in the middle of a request is heard out for so long, unread: a connection that
# is closed with something in it is reset, and the answer is lost.
_HEARD_OUT_S: Final = 1.0
_OFFER: Final = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
# How much of what waits is done before sockets are looked at again. It is more when more arrives,
# so that what waits goes on however much that is. With three, those who share a commit fell apart.
_AT_ONCE: Final = 8
# If what was begun took longer, sockets are looked at once more before what waits goes on.
_LONG_S: Final = 0.0002
# How many requests a client may send before it has the answer to the first. More than any sends.
_AHEAD: Final = 100
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class RequestsFirst(asyncio.SelectorEventLoop):
    """An event loop that sees to what has arrived before it goes on with what was begun.

    The queue of asyncio is one line: who polls would wait for all that stands in it, and once
    more when the request has been read. With five hundred streams and a hundred runs a second
    that is most of a poll's time. Nor are sockets looked at only when the whole line is through.
    `_ready`, `_selector`, `_run` and `_process_events` are asyncio's own, without public names;
    `tests/test_requests_first.py` tells when they have changed.
    """

    _ready: "deque[asyncio.Handle]"
    _selector: selectors.BaseSelector

    def __init__(self) -> None:
        super().__init__()
        # Whether sockets are being read, and what that began: it comes next, but all together,
        # because the code that reads runs faster when it runs again at once.
        self._reads = False
        self._begun: list[asyncio.Handle] = []
        self._will_look = False

    def prefer_last(self) -> None:
        """What was scheduled last comes next."""
        if self._reads:
            self._begun.append(self._ready.pop())
        else:
            self._ready.rotate()

    def _process_events(self, event_list: list[Any], *, again: bool = False) -> None:
        """Called by asyncio with the sockets that are ready."""
        self._reads = True
        arrived = self._read(event_list)
        if arrived:
            # Who has come meanwhile is answered together with them.
            arrived += self._read(self._selector.select(0))
        self._reads = False
        self._ready.extendleft(reversed(self._begun))
        begun = len(self._begun)
        self._begun.clear()
        enough = max(arrived, _AT_ONCE)
        if begun and not again:
            self._schedule_after(begun, self._look_again, self.time(), enough)
        else:
            self._schedule_after(begun + enough, self._look)

    def _read(self, event_list: list[Any]) -> int:
        """Read at once, and say how many had something."""
        waiting = len(self._ready)
        super()._process_events(event_list)  # type: ignore[misc]
        arrived = [self._ready.pop() for _ in range(len(self._ready) - waiting)]
        for handle in reversed(arrived):
            if not handle.cancelled():
                handle._run()  # noqa: SLF001
        return len(arrived)

    def _schedule_after(self, count: int, look: Callable[..., None], *args: Any) -> None:
        """Look at sockets when so much of what waits is done, if more than that waits."""
        if len(self._ready) > count and not self._will_look:
            self._will_look = True
            self._ready.insert(count, asyncio.Handle(look, args, self))

    def _look_again(self, begun_at: float, enough: int) -> None:
        """Who came during a long answer does not wait for a commit behind it as well."""
        self._will_look = False
        if self.time() - begun_at > _LONG_S:
            self._process_events(self._selector.select(0), again=True)
        else:
            self._schedule_after(enough, self._look)

    def _look(self) -> None:
        self._will_look = False
        self._process_events(self._selector.select(0))


class Connections:
    """All connections to one application."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = Config(
            app,
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            # Requests are logged by the door, with what belongs to them.
            access_log=False,
            log_config=None,
            log_level="error",
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()
        self._second = -1

    def __call__(self) -> "Connection":
        return Connection(self._config, self._state, self._dated)

    async def end(self, within_s: float) -> None:
        """Answer what is being answered; what takes longer is left as if its client had gone."""
        for connection in tuple(self._state.connections):
            connection.shutdown()
        await self._answered(within_s)
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        await self._answered(within_s)
        for task in tuple(self._state.tasks):
            task.cancel()
        await self._answered(within_s)

    async def _answered(self, within_s: float) -> None:
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=within_s)

    def _dated(self) -> None:
        """See to it that answers tell the time, made anew once a second."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second = second
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


class Connection(HttpToolsProtocol):
    """One connection. Whoever is slow to say what it wants, or goes on and on, is cut off."""

    def __init__(self, config: Config, state: ServerState, dated: Callable[[], None]) -> None:
        super().__init__(config, state, {})
        self._dated = dated
        self._patience = Patience(self._run_out)
        self._in_head = False
        self._in_body = False
        # How much has come of a head, or of what stands around the pieces of a body.
        self._around_bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._patience.close()
        if self.cycle is not None:
            self.cycle.transport = self.transport  # A `_LastAnswer` holds on to us.
        # Transports hold on to themselves, and full collections are rare (`few_pauses`).
        for name in ("_read_ready_cb", "_write_ready"):
            vars(self.transport).pop(name, None)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._in_body:
            data = _without_offer(data)
        # Forgotten where a head ends, and where a piece of a body comes.
        self._around_bytes += len(data)
        super().data_received(data)
        if self._in_body:
            self._patience.begin(_BODY_GOES_ON_WITHIN_S)
        if self._around_bytes > _HEAD_BYTES:
            if self._in_head:
                self._refuse()
            elif self._in_body:
                # It may have been answered already, so nothing more is said.
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._around_bytes = 0
        self._dated()
        if len(self.pipeline) >= _AHEAD:
            raise ValueError("too many requests that wait for the answer to an earlier one")
        super().on_headers_complete()
        # What comes behind a body is no header: who has looked at the head has not seen it.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._around_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._patience.begin(_UNUSED_S)
        else:
            self._patience.end()

    def on_response_complete(self) -> None:
        """In the place of uvicorn's, which makes a timer for every request."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            # What has been read comes first; the last of it may still lack its body.
            if not self.pipeline:
                self.flow.resume_reading()
            return
        self.flow.resume_reading()
        if not self._in_head and not self._in_body:
            self._patience.begin(_UNUSED_S)

    def _expect_head(self) -> None:
        self._in_head = True
        self._around_bytes = 0
        self._patience.begin(_HEAD_WITHIN_S)

    def _refuse(self) -> None:
        self._refused = True
        self.transport.write(_TOO_LARGE)
        self._patience.begin(_HEARD_OUT_S)

    def _leave(self) -> None:
        """End the connection after an answer, when its client has heard that there is no more."""
        if not self._in_body:
            self.transport.close()
            return
        self._refused = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._patience.begin(_HEARD_OUT_S)

    def _run_out(self) -> None:
        if self._in_body and self.flow.read_paused:
            self._patience.begin(_BODY_GOES_ON_WITHIN_S)  # It is we who are slow.
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False
            app = _without_chunks(app, cycle)
        if not cycle.keep_alive:
            cycle.transport = cast("asyncio.Transport", _LastAnswer(self.transport, self._leave))
        super()._start_asgi_task(cycle, app)
        if isinstance(self.loop, RequestsFirst):
            self.loop.prefer_last()


class _LastAnswer:
    """As much of a transport as an answer needs after which the connection ends."""

    def __init__(self, transport: asyncio.Transport, leave: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = leave


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """For HTTP/1.0, which knows of none: what has no length ends with its connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        has_length = True

        async def send_plain(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name == b"content-length" for name, _ in message["headers"])
                if not has_length:
                    cycle.chunked_encoding = False
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return answer


def _without_offer(data: bytes) -> bytes:
    """A head without the offer to go on in another protocol, which a server may pass over.

    Java's own client makes it with each first request. The parser would take it, and leave the
    body to whoever speaks that protocol.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end
    if _OFFER.search(data, 0, end) is None:
        return data
    return _OFFER.sub(b"", data[:end]) + data[end:]
