"""The process that reads files: `python -m locum.tools.file_search.worker`, started by `extract`.

It reads one request a line and forks for each, so that every file meets a fresh process with
everything already imported. Only the child touches the file, behind `walls`. Answers are frames:
one letter, four bytes of length, the payload.
"""

import codecs
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from msgspec import convert

from locum.tools.file_search import from_text, pipe_end, walls
from locum.tools.file_search.formats import READERS
from locum.tools.file_search.reading import INVALID, OURS, UNSUPPORTED, Limits, Unreadable, within

PAGE, DONE, FAILED = b"P", b"D", b"F"
HEADER = struct.Struct(">cI")
# How this process ends when a child did not end well; its frames may be cut short, so the pipe
# cannot be used again.
EXIT_CRASHED, EXIT_TOO_SLOW = 70, 71
_LONGEST_REQUEST = 1 << 16


def main() -> None:
    pipe_end.step_back()
    # As zip archives name their members.
    codecs.lookup("cp437")
    from_text.load_codecs()
    while request := sys.stdin.buffer.readline(_LONGEST_REQUEST):
        child = os.fork()
        if child == 0:
            _read_one(request)
        _, status = os.waitpid(child, 0)
        if status:
            slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
            sys.exit(EXIT_TOO_SLOW if slow else EXIT_CRASHED)


def _read_one(request: bytes) -> None:
    """In the child: answer and end, without the clean-up that belongs to the parent."""
    try:
        asked = json.loads(request)
        limits = convert(asked["limits"], Limits)
        with _opened(asked["path"]) as file:
            walls.close_in(limits)
            _answer(file, asked["extension"], limits)
    except Unreadable as refusal:
        _refuse(refusal.code, refusal.message)
    except MemoryError:
        _refuse(INVALID, "The file needs too much memory to be read.")
    except Exception as error:  # noqa: BLE001 - the walls: any fault of a parser is the file's
        _refuse(INVALID, f"The file could not be parsed ({type(error).__name__}).")
    os._exit(0)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError:
        # The server gave the path, so the fault is not the file's.
        raise Unreadable("The file could not be opened.", code=OURS) from None


def _answer(file: BinaryIO, extension: str, limits: Limits) -> None:
    reader = READERS.get(extension)
    if reader is None:
        raise Unreadable("The file type is not supported.", code=UNSUPPORTED)
    if os.fstat(file.fileno()).st_size > limits.source_bytes:
        raise Unreadable(f"The file has more than {limits.source_bytes} bytes.")
    for text in within(reader(file, limits), limits):
        _send(PAGE, text.encode())
    _send(DONE, b"")


def _refuse(code: str, message: str) -> None:
    _send(FAILED, json.dumps([code, message]).encode())


def _send(kind: bytes, payload: bytes) -> None:
    frame = memoryview(HEADER.pack(kind, len(payload)) + payload)
    while frame:
        frame = frame[os.write(1, frame) :]


if __name__ == "__main__":
    main()
