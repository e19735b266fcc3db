"""The side of a worker process: frames of four bytes of length and a payload, in and out."""

import os
import signal
import sys
from collections.abc import Callable

LENGTH_BYTES = 4
# Whoever waits for an answer of the server comes before whoever waits for a file to be read.
_NICENESS = 10


def step_back() -> None:
    """Leave Ctrl-C, which reaches the whole process group, and the processor to the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Answer each frame by one, until the server closes its end or is no more."""
    while length := sys.stdin.buffer.read(LENGTH_BYTES):
        payload = answer(sys.stdin.buffer.read(int.from_bytes(length)))
        sys.stdout.buffer.write(len(payload).to_bytes(LENGTH_BYTES) + payload)
        sys.stdout.buffer.flush()
