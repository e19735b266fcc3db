"""A client that asks, in a process of its own: what other clients do is not the server's doing.

    python -m benchmarks.poll PORT SECONDS ASKED

ASKED is JSON: a list of what to ask for by turns, each a kind, a method, a path and a body. For
every line that it reads it asks for so long, and tells by kind the milliseconds that each took.
"""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

from benchmarks.load import Connection, connect, request

from locum.processor import take_short_turns

_EVERY_S = 0.004

# A kind, a method, a path and a body.
Asked = tuple[str, str, str, Any]


class Poller:
    def __init__(self, client: asyncio.subprocess.Process) -> None:
        self._client = client

    async def took(self) -> Mapping[str, Sequence[float]]:
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(b"go\n")
        told: Mapping[str, Sequence[float]] = json.loads(await self._client.stdout.readline())
        return told


@asynccontextmanager
async def polling(port: int, seconds: float, asked: Sequence[Asked]) -> AsyncIterator[Poller]:
    words = ("-m", "benchmarks.poll", str(port), str(seconds), json.dumps(asked))
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe)
    try:
        yield Poller(client)
    finally:
        assert client.stdin is not None
        client.stdin.close()
        await client.wait()


async def _main(port: int, seconds: float, asked: Sequence[Asked]) -> None:
    take_short_turns()
    requests = [(kind, request(method, path, body)) for kind, method, path, body in asked]
    (connection,) = await connect(port, 1)
    loop = asyncio.get_running_loop()
    while await asyncio.to_thread(sys.stdin.readline):
        taken = defaultdict(list)
        until = loop.time() + seconds
        for kind, bytes_asked in cycle(requests):
            if loop.time() > until:
                break
            taken[kind].append(round(await _ask(connection, bytes_asked), 4))
        print(json.dumps(taken), flush=True)


async def _ask(connection: Connection, asked: bytes) -> float:
    await asyncio.sleep(_EVERY_S)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await connection.ask(asked)
    return (loop.time() - begun) * 1_000


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])))
