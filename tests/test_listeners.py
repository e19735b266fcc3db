"""Who is let in while files are few: the last ones wait, and nobody else is disturbed."""

import resource
import socket
import subprocess
import sys

import pytest

from locum.listeners import Listener

_WAIT_S = 10.0
_CROWDED = """
import asyncio, asyncio.constants, os, resource
from locum.serving import Address, listening
from locum.sockets import RequestsFirst

async def app(scope, receive, send):
    os.close(os.dup(0))  # As whoever opens a file to answer.
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})

async def run():
    async with listening(app, Address("127.0.0.1", 0)) as at:
        print(at.port, flush=True)
        await asyncio.Event().wait()

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
asyncio.constants.ACCEPT_RETRY_DELAY = 0.01
asyncio.Runner(loop_factory=RequestsFirst).run(run())
"""


def test_clients_for_whom_there_is_no_file_left_wait_until_others_leave() -> None:
    """Nothing else would be done by a server that tried again and again to let them in."""
    asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    child = subprocess.Popen(
        [sys.executable, "-c", _CROWDED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    clients: list[socket.socket] = []
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        for _ in range(200):
            clients.append(socket.create_connection(("127.0.0.1", port), _WAIT_S))
            clients[-1].sendall(asked)
        for _ in range(3):
            assert _answer(clients[0]).startswith(b"HTTP/1.1 200")
            clients[0].sendall(asked)
        for client in clients[:-1]:
            client.close()
        assert _answer(clients[-1]).startswith(b"HTTP/1.1 200")
    finally:
        child.kill()
        child.communicate()
        for client in clients:
            client.close()


def _answer(client: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"ok"):
        piece = client.recv(1000)
        assert piece, "the server has hung up"
        said += piece
    return said


def test_a_listener_keeps_some_files_for_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with Listener.at("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            listener.most = 0
            # Once for asyncio to wait for a while, and once more because it asks again at once.
            for refusal in (OSError, BlockingIOError, OSError):
                with pytest.raises(refusal):
                    listener.accept()
            listener.most = 1 << 20
            with pytest.raises(BlockingIOError):
                listener.accept()
            listener.accept()[0].close()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    with Listener.at("127.0.0.1", 0) as listener:
        assert listener.most == sys.maxsize
