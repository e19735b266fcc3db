"""A client that polls, in a process of its own: other clients' work is not the server's.

    python -m benchmarks.poll PORT COUNT PATH [PATH ...]

Tells the milliseconds that one in a hundred polls exceeds.
"""

import asyncio
import statistics
import sys

from benchmarks.load import connect, request

_EVERY_S = 0.004


async def p99(port: int, count: int, *paths: str) -> float:
    """Have it done by such a client."""
    words = ("-m", "benchmarks.poll", str(port), str(count), *paths)
    client = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await client.communicate()
    if client.returncode != 0:
        raise RuntimeError("the client that polls has failed")
    return float(told)


async def _poll(port: int, count: int, *paths: str) -> float:
    asked = [request("GET", path) for path in paths]
    (connection,) = await connect(port, 1)
    loop = asyncio.get_running_loop()
    taken = []
    for number in range(count):
        begun = loop.time()
        await connection.ask(asked[number % len(asked)])
        taken.append((loop.time() - begun) * 1_000)
        await asyncio.sleep(_EVERY_S)
    return statistics.quantiles(taken, n=100)[98]


if __name__ == "__main__":
    print(asyncio.run(_poll(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])))
