"""One path under load: what a request costs the server, and how long it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from benchmarks.load import closed_loop, connect, request
from benchmarks.machine import cpu_ns
from benchmarks.servers import Process

# What a server does when it has answered belongs to its round, too.
_AFTERWARDS_S = 0.001
# Requests that are under way at once: the same for whoever is compared.
AT_ONCE = 8
# So few that many a round falls between two moments in which a neighbour uses the processor.
EACH_ROUND = 3 * AT_ONCE


async def cost_of(server: Process, requests: Sequence[bytes]) -> Callable[[], Awaitable[float]]:
    """A measure of processor time per request in µs, over the server's whole tree."""
    connections = await connect(server.port, AT_ONCE)

    async def take() -> float:
        before = cpu_ns(server.pid)
        await closed_loop(connections, requests, EACH_ROUND)
        await asyncio.sleep(_AFTERWARDS_S)
        return (cpu_ns(server.pid) - before) / EACH_ROUND / 1_000

    return take


async def time_of(
    servers: Sequence[Process], requests: Sequence[bytes], *, count: int, at_once: int
) -> Callable[[], Awaitable[float]]:
    """A measure of wall-clock time per request in µs, so many at once, shared among servers."""
    each = at_once // len(servers)
    connections = [one for server in servers for one in await connect(server.port, each)]

    async def take() -> float:
        before = time.perf_counter()
        await closed_loop(connections, requests, count)
        return (time.perf_counter() - before) / count * 1_000_000

    return take


async def size_of(server: Process, asked: bytes) -> int:
    (connection,) = await connect(server.port, 1)
    size = len(await connection.ask(asked))
    connection.close()
    return size


async def same_size(server: Process, asked: bytes, body: object = None) -> bytes:
    """What to ask of the ceiling to get as many bytes as this request gets, sending as many."""
    size = await size_of(server, asked)
    return request("GET" if body is None else "POST", f"/bytes/{size}", body)
