"""The application on real sockets: streams, hang-ups, limits, and an end in good order."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from locum.api.http import Incoming, PiecewiseReply
from locum.serving import Address, CannotListen, claim, few_pauses, is_loopback, serve

_WAIT_S = 30.0


class House:
    """An application that counts bytes, streams until its client leaves, and tells its end."""

    def __init__(self) -> None:
        self.is_open = False
        self.left = asyncio.Event()
        self.kept: list[asyncio.StreamWriter] = []
        self.app = Starlette(
            routes=[Route("/size", self._Size(self)), Route("/stream", self._Stream(self))],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False

    class _Part:
        def __init__(self, house: "House") -> None:
            self._house = house

    class _Size(_Part):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            size = 0
            more = True
            while more:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
            await _start(send)
            await send({"type": "http.response.body", "body": f"{size:09}".encode()})

    class _Stream(_Part):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            reply = PiecewiseReply(self._pieces(), media="text/event-stream", headers={})
            await reply.send(send, Incoming(scope, receive))

        async def _pieces(self) -> AsyncGenerator[bytes, None]:
            try:
                yield b"begun"
                await asyncio.Event().wait()
            finally:
                self._house.left.set()


async def _start(send: Send) -> None:
    headers = [(b"content-length", b"9")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _visit(visit: Callable[[House, Address], Awaitable[None]]) -> None:
    """Serve a house, visit it, and tell the server to stop as an operator does."""

    async def run() -> None:
        house = House()
        address = claim("127.0.0.1", 0)
        is_up = asyncio.Event()

        async def announce() -> None:
            is_up.set()

        async with asyncio.timeout(_WAIT_S):
            serving = asyncio.ensure_future(
                serve(house.app, address, announce=announce, admit=_admit)
            )
            await is_up.wait()
            await visit(house, address)
            os.kill(os.getpid(), signal.SIGTERM)
            await serving
            for writer in house.kept:
                assert house.left.is_set()
                writer.close()
        assert not house.is_open

    asyncio.run(run())


async def _admit() -> None:
    """Whoever comes."""


async def _ask(address: Address, head: str, body: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return answer


def test_a_client_that_leaves_ends_its_stream_on_the_server() -> None:
    async def visit(house: House, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"begun")
        assert not house.left.is_set()
        writer.close()
        await house.left.wait()

    _visit(visit)


def test_one_connection_carries_many_requests() -> None:
    async def visit(_: House, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        for _round in range(20):
            writer.write(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            assert b"200 OK" in await reader.readuntil(b"000000003")
        writer.close()

    _visit(visit)


def test_answers_are_not_held_back_by_the_kernel() -> None:
    """Without TCP_NODELAY an answer waits for the acknowledgement of the last: 40 ms each."""

    async def visit(_: House, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /size HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"000000000")
        accepted = _socket_facing(writer.get_extra_info("sockname"))
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        accepted.close()
        writer.close()

    _visit(visit)


def _socket_facing(client: tuple[str, int]) -> socket.socket:
    """The server's end of a connection, found among the open files of this process."""
    for number in range(1024):
        try:
            found = socket.socket(fileno=os.dup(number))
        except OSError:
            continue  # Not open, or no socket.
        try:
            if found.getpeername() == client:
                return found
        except OSError:
            pass  # It listens, or is no longer connected.
        found.close()
    raise AssertionError(client)


def test_large_bodies_arrive_and_large_headers_do_not() -> None:
    async def visit(_: House, address: Address) -> None:
        body = b"x" * 3_000_000
        sent = await _ask(address, f"POST /size HTTP/1.1\r\nContent-Length: {len(body)}", body)
        assert sent.endswith(b"003000000")
        large = "y" * 1_000_000
        assert b"200 OK" not in await _ask(address, f"GET /size HTTP/1.1\r\nLarge: {large}")

    _visit(visit)


@pytest.mark.slow
def test_an_open_stream_does_not_keep_the_server_from_ending() -> None:
    async def visit(house: House, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"begun")
        house.kept.append(writer)

    _visit(visit)


def test_whoever_is_not_admitted_ends_the_start_with_the_house_closed() -> None:
    async def run() -> None:
        house = House()

        async def admit() -> None:
            assert house.is_open
            raise PermissionError

        async def announce() -> None:
            raise AssertionError

        with pytest.raises(PermissionError):
            await serve(house.app, claim("127.0.0.1", 0), announce=announce, admit=admit)
        assert not house.is_open

    asyncio.run(run())


def test_an_address_in_use_is_refused_even_when_its_owner_shares_ports() -> None:
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        with pytest.raises(CannotListen, match="in use"):
            claim("127.0.0.1", owner.getsockname()[1])


def test_names_become_addresses_and_a_free_port_is_found() -> None:
    address = claim("localhost", 0)
    assert is_loopback(address)
    assert address.port > 0
    assert Address("::1", 80).url == "http://[::1]:80"
    assert not is_loopback(Address("0.0.0.0", 80))
    with pytest.raises(CannotListen):
        claim("192.0.2.1", 0)


def test_what_was_there_before_is_not_looked_through_while_serving() -> None:
    before = gc.get_threshold()
    with few_pauses():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[:2] == (10_000, before[1])
        assert gc.get_threshold()[2] >= 100 * before[2]
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
