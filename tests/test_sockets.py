"""What a client may send, and how long we wait for it."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from locum import sockets
from locum.serving import Address, listening
from locum.sockets import RequestsFirst

_WAIT_S = 30.0
_Reader = asyncio.StreamReader
_Writer = asyncio.StreamWriter
_Visit = Callable[[_Reader, _Writer], Awaitable[None]]


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was asked: method, path, body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    said = f"{scope['method']} {scope['path']} ".encode() + body
    headers = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


def _visit(visit: _Visit, *, to: ASGIApp = _echo) -> None:
    """Visit a server over one connection."""

    async def run() -> None:
        async with asyncio.timeout(_WAIT_S), listening(to, Address("127.0.0.1", 0)) as at:
            reader, writer = await asyncio.open_connection(at.host, at.port)
            await visit(reader, writer)
            writer.close()

    with asyncio.Runner(loop_factory=RequestsFirst) as runner:
        runner.run(run())


def test_a_head_that_does_not_end_in_time_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "_HEAD_WITHIN_S", 0.05)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n")
        assert await reader.read() == b""

    _visit(visit)


def test_whoever_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_HEAD_WITHIN_S", 0.05)

    async def visit(reader: _Reader, _: _Writer) -> None:
        assert await reader.read() == b""

    _visit(visit)


def test_the_next_request_has_its_own_time_to_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_HEAD_WITHIN_S", 0.05)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /next HT")
        await reader.readuntil(b"GET /first ")
        assert await reader.read() == b""

    _visit(visit)


def test_a_head_without_end_is_refused_and_its_sender_hears_of_it() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nLarge: " + b"y" * 1_000_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")

    _visit(visit)


def test_a_body_that_stands_still_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_BODY_GOES_ON_WITHIN_S", 0.05)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"POST /still HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab")
        assert await reader.read() == b""

    _visit(visit)


def test_a_connection_that_nobody_uses_any_more_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_UNUSED_S", 0.05)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET /once HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"GET /once ")
        assert await reader.read() == b""

    _visit(visit)


def test_whoever_ends_his_body_after_his_answer_is_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "_UNUSED_S", 0.05)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        await reader.readuntil(b"POST /early ")
        writer.write(b"cd")
        assert await reader.read() == b""

    _visit(visit, to=_refuse)


async def _refuse(scope: Scope, _: Receive, send: Send) -> None:
    """Answers at once, whatever there is to read."""
    await _echo(scope, _nothing_more, send)


def test_whoever_is_refused_before_his_last_request_is_whole_is_heard_out() -> None:
    """Or a proxy, which asks for one answer a connection, tells of a reset in place of it."""

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(
            b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: 9000000\r\n\r\n"
        )
        await reader.readuntil(b"POST /early ")
        assert await reader.read() == b""
        for _ in range(80):
            writer.write(b"x" * 100_000)
            await writer.drain()

    _visit(visit, to=_refuse)


def test_an_answer_may_take_longer_than_a_body_may_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "_BODY_GOES_ON_WITHIN_S", 0.01)
    monkeypatch.setattr(sockets, "_HEAD_WITHIN_S", 0.02)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        too_late = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, too_late.set)
        await too_late.wait()
        await _echo(scope, _nothing_more, send)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        await reader.readuntil(b"POST /slow ")

    _visit(visit, to=slow)


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b""}


def test_a_long_body_is_no_long_head() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        body = b"z" * 300_000
        for _ in range(2):
            writer.write(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + body)
            assert await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(300_008) == b"POST /b " + body

    _visit(visit)


@pytest.mark.parametrize("body", [b"", b"four", b"\r\nUpgrade: kept\r\n"])
def test_an_offer_to_speak_http_2_is_passed_over(body: bytes) -> None:
    """Java's own client makes it with each first request."""
    offered = (
        b"POST /offer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nupgrade: websocket\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )

    async def visit(reader: _Reader, writer: _Writer) -> None:
        for _ in range(2):
            writer.write(offered + body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(12 + len(body)) == b"POST /offer " + body

    _visit(visit)


def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
        for number in range(5):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(7) == b"GET /%d " % number

    _visit(visit)


def test_who_sends_on_and_on_without_hearing_answers_is_cut_off() -> None:
    """Each head costs the server some kilobytes, and a single read holds thousands of them."""
    asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(asked * 5_000)
        with suppress(ConnectionError):
            answers = await reader.read()
            assert answers.count(b"HTTP/1.1 200") <= 101

    _visit(visit)


def test_nothing_more_is_read_while_requests_wait_for_their_turn() -> None:
    waiting: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.append(1)
        await _echo(scope, receive, send)

    async def visit(reader: _Reader, writer: _Writer) -> None:
        body = b"x" * 100_000
        head = b"POST /%d HTTP/1.1\r\nHost: x\r\ncontent-length: 100000\r\n\r\n"
        writer.write(b"".join(head % number + body for number in range(3)))
        for number in range(3):
            await reader.readuntil(b"\r\n\r\n")
            expected = b"POST /%d " % number + body
            assert await reader.readexactly(len(expected)) == expected

    _visit(visit, to=app)
    assert len(waiting) == 3


def test_a_body_in_chunks_is_read_after_its_sender_was_told_to_go_on() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(
            b"POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(18) == b"POST /chunks abcde"

    _visit(visit)


def test_what_follows_a_body_in_chunks_is_no_header() -> None:
    """Or a key could be put where whoever checks the head, such as a proxy, does not look."""
    told: list[list[bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _echo(scope, receive, send)
        told.append([name for name, _ in scope["headers"]])

    async def visit(reader: _Reader, writer: _Writer) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"3\r\nabc\r\n0\r\nAuthorization: Bearer other\r\nHost: y\r\n\r\n")
        await reader.readuntil(b"POST / abc")

    _visit(visit, to=app)
    assert told == [[b"host", b"transfer-encoding"]]


@pytest.mark.parametrize("begun", [b"0\r\n", b"0\r\nname: ", b"3;"])
def test_whoever_goes_on_around_a_body_is_cut_off(begun: bytes) -> None:
    """What comes before a piece and after the last one is nobody's, and without end is kept."""

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(begun + b"x" * 1_000_000)
        with suppress(ConnectionError):
            assert await reader.read() == b""

    _visit(visit)


async def _in_pieces(_: Scope, receive: Receive, send: Send) -> None:
    """Answers without telling how long it will go on."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one ", b"two ", b""):
        await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})


def test_whoever_speaks_http_1_0_is_sent_pieces_as_they_are() -> None:
    """That version knows of no chunks: the end of the connection is the end of the answer."""

    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert await reader.read() == b"one two "

    _visit(visit, to=_in_pieces)


def test_whoever_speaks_http_1_0_is_sent_a_length_that_is_known() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"POST /b HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nz")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"content-length: 9" in head
        assert await reader.read() == b"POST /b z"

    _visit(visit)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS, to a server without
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad name: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["TLS", "two lengths", "bad name", "length and chunks", "negative"],
)
def test_what_is_not_http_is_refused_and_ends_the_connection(said: bytes) -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(said)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")

    _visit(visit)


def test_answers_tell_the_time() -> None:
    async def visit(reader: _Reader, writer: _Writer) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"\r\ndate: " in await reader.readuntil(b"\r\n\r\n")

    _visit(visit)


def test_a_connection_that_nobody_uses_does_not_keep_the_server() -> None:
    async def run() -> None:
        async with asyncio.timeout(_WAIT_S):
            async with listening(_echo, Address("127.0.0.1", 0), grace_s=2 * _WAIT_S) as at:
                reader, writer = await asyncio.open_connection(at.host, at.port)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"GET / ")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(run())


def test_a_connection_that_has_ended_leaves_no_cycles() -> None:
    async def run() -> int:
        async with asyncio.timeout(_WAIT_S), listening(_echo, Address("127.0.0.1", 0)) as at:
            await _come_and_go(at)
            gc.collect()
            gc.disable()
            try:
                for _ in range(5):
                    await _come_and_go(at)
                return gc.collect()
            finally:
                gc.enable()

    with asyncio.Runner(loop_factory=RequestsFirst) as runner:
        assert runner.run(run()) == 0


async def _come_and_go(at: Address) -> None:
    """Over a bare socket: the transports of asyncio's own clients leave cycles."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, (at.host, at.port))
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while await loop.sock_recv(client, 10_000):
            pass
