"""A wire between a process and the database that can be cut, and mended again.

While it is cut nothing is refused and nothing closes: bytes just do not arrive, as when a network
falls apart.
"""

import contextlib
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"
_PIECE = 65_536
_STOP_S = 10
# PostgreSQL's protocol: how a connection is opened, what a pooler lets it say then, and by which
# number the session is named to whoever opened it.
_OPENING = b"\0\3\0\0"
_POOLED = {b"", b"user", b"database", b"client_encoding", b"application_name"}
_SESSION = re.compile(rb"(K\0\0\0\x0c).{4}", re.DOTALL)


class Wire:
    """Passes on what a process and the database say to each other, over a socket of its own."""

    def __init__(self, server: Path) -> None:
        self._server = str(server / _SOCKET)
        self.directory = Path(tempfile.mkdtemp(prefix="locum-wire-"))
        self._whole = threading.Event()
        self._whole.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / _SOCKET))
        self._listener.listen()
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._listen)

    def url(self, database: str) -> str:
        return f"postgresql://locum@/{database}?host={self.directory}"

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def passed(self, piece: bytes) -> bytes:
        """What arrives of what was sent."""
        return piece

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._whole.set()
        for end in self._ends:
            with contextlib.suppress(OSError):  # It may have hung up by itself.
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_STOP_S)
        for end in [self._listener, *self._ends]:
            end.close()
        shutil.rmtree(self.directory)

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # Stopped.
            far = socket.socket(socket.AF_UNIX)
            self._ends += [near, far]
            try:
                far.connect(self._server)
            except OSError:
                near.shutdown(socket.SHUT_RDWR)  # The database is not there.
                continue
            self._start(self._pass_on, near, far)
            self._start(self._pass_on, far, near)

    def _pass_on(self, source: socket.socket, drain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                self._whole.wait()
                drain.sendall(self.passed(piece))
            self._whole.wait()
            drain.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *ends: socket.socket) -> None:
        thread = threading.Thread(target=work, args=ends, name="wire", daemon=True)
        self._threads.append(thread)
        thread.start()


class Pooler(Wire):
    """A wire with the manners of a pooler, as PgBouncer's.

    It opens no connection that asks for settings it does not know, and names sessions by numbers
    of its own.
    """

    def passed(self, piece: bytes) -> bytes:
        if piece[4:8] == _OPENING:
            for name in piece[8:].split(b"\0")[::2]:
                if name not in _POOLED:
                    # The server refuses what nobody knows.
                    piece = piece.replace(name, b"x" * len(name))
        return _SESSION.sub(b"\\1\0\0\0\7", piece)


@contextlib.contextmanager
def wire(server: Path, kind: type[Wire] = Wire) -> Iterator[Wire]:
    """A wire to the server whose socket lies in this directory."""
    held = kind(server)
    try:
        yield held
    finally:
        held.stop()
