"""A process of ours at the other end of two pipes: its start, its frames and its end.

It is `python -m` a module and never a copy of this process, so whatever script started the server
is not run again. `pipe_end` is the other side.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

from locum.tools.file_search.pipe_end import LENGTH_BYTES


async def start(module: str, *arguments: str, own_group: bool = False) -> Process:
    """`own_group`: a signal to the process's group reaches its children, and not the server."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        # The server's environment holds keys; who reads hostile files needs none of it.
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=own_group,
    )


async def send(process: Process, payload: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(len(payload).to_bytes(LENGTH_BYTES) + payload)
    await process.stdin.drain()


async def receive(process: Process) -> bytes:
    """The next frame. A process that ends before its end raises `IncompleteReadError`."""
    assert process.stdout is not None
    size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES))
    return await process.stdout.readexactly(size)


async def end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
