"""A wire between a browser and a server, which keeps every byte that the browser gets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

_PIECE_BYTES = 65_536
_PATIENCE_S = 30.0


class Wire:
    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._told: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def told(self) -> bytes:
        return b"".join(self._told)

    def open(self) -> None:
        self._start(self._accept)

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return  # Closed.
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._sockets += [browser, server]
            self._start(_carry, browser, server, None)
            self._start(_carry, server, browser, self._told)

    def _start(self, work: Callable[..., None], *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()


def _carry(source: socket.socket, sink: socket.socket, kept: list[bytes] | None) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            if kept is not None:
                kept.append(piece)
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def wire(port: int) -> Iterator[Wire]:
    made = Wire(port)
    made.open()
    try:
        yield made
    finally:
        made.close()
