"""An upstream that remembers what it was asked, and answers as a test wants."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "sk-upstream-0123456789abcdef"
_WAIT_S = 10


class Asked:
    """One request, as the upstream saw it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.method = handler.command
        self.target = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body


Respond = Callable[["Reply", Asked], None]


class Reply:
    """What an upstream says, piece by piece."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def head(self, status: int = 200, **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def piece(self, content: bytes) -> None:
        self._handler.wfile.write(content)
        self._handler.wfile.flush()

    def wait_for_the_end(self) -> None:
        """Until who asked hangs up, without an answer; it must do so before long."""
        self._handler.connection.settimeout(_WAIT_S)
        assert self._handler.connection.recv(1) == b""

    def whole(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, Content_Length=str(len(content)), **headers)
        self.piece(content)


class Upstream:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.respond: Respond = _nothing_much
        self.port = 0

    def afresh(self) -> "Upstream":
        self.asked.clear()
        self.respond = _nothing_much
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def _nothing_much(reply: Reply, _: Asked) -> None:
    reply.whole(b'{"object":"list","data":[]}', Content_Type="application/json")


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    told = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            asked = Asked(self, body)
            told.asked.append(asked)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                told.respond(Reply(self), asked)

        do_GET = do_POST = do_DELETE = do_PUT = answer  # noqa: N815  # the library's own names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
