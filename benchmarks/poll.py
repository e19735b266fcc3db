"""A client that polls, in a process of its own: what other clients do is not the server's doing.

    python -m benchmarks.poll PORT COUNT PATH [PATH ...]

For every line that it reads it polls so often, and tells the milliseconds that one in a hundred of
these polls exceeds.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.load import Connection, connect, request

from locum.processor import take_short_turns

_EVERY_S = 0.004


class Poller:
    def __init__(self, client: asyncio.subprocess.Process) -> None:
        self._client = client

    async def p99(self) -> float:
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(b"go\n")
        return float(await self._client.stdout.readline())


@asynccontextmanager
async def polling(port: int, count: int, *paths: str) -> AsyncIterator[Poller]:
    words = ("-m", "benchmarks.poll", str(port), str(count), *paths)
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe)
    try:
        yield Poller(client)
    finally:
        assert client.stdin is not None
        client.stdin.close()
        await client.wait()


async def _main(port: int, count: int, *paths: str) -> None:
    take_short_turns()
    asked = [request("GET", path) for path in paths]
    (connection,) = await connect(port, 1)
    while await asyncio.to_thread(sys.stdin.readline):
        taken = [await _poll(connection, asked[number % len(asked)]) for number in range(count)]
        print(statistics.quantiles(taken, n=100)[98], flush=True)


async def _poll(connection: Connection, asked: bytes) -> float:
    await asyncio.sleep(_EVERY_S)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await connection.ask(asked)
    return (loop.time() - begun) * 1_000


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
