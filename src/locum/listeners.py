"""A socket that lets clients in, as long as there are files for them and for other work.

asyncio asks it a thousand times in a row, and waits a second after every time that there is no file
left, each wait for itself. Those waits soon are all that a process does, even when files are free.
"""

import errno
import os
import resource
import socket
import sys
from typing import Any, Final, Self

# For the database, for files of users, for processes of tools; half of few.
_KEPT: Final = 64


class Listener(socket.socket):
    """One that says once that it is full, and then that nobody is there."""

    most: int
    _told = False

    @classmethod
    def at(cls, host: str, port: int) -> Self:
        """Bound to a numeric address, or to the first one of a name."""
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        listener = cls(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
        except OSError:
            listener.close()
            raise
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = max(limit - _KEPT, limit // 2)
        listener.most = sys.maxsize if limit == resource.RLIM_INFINITY else most
        return listener

    def accept(self) -> tuple[socket.socket, Any]:
        if self._told:
            self._told = False
            raise BlockingIOError
        try:
            self._look_for_room()
            return super().accept()
        except OSError as error:
            self._told = error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
            raise

    def _look_for_room(self) -> None:
        """Files get the lowest number that is free."""
        spare = os.dup(self.fileno())
        os.close(spare)
        if spare >= self.most:
            raise OSError(errno.EMFILE, "The files that are left are kept for other work.")
