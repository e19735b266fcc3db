"""Text out of files that may be hostile: the server's side of the contained worker process.

A file is parsed by a process that can be killed, within limits on time and memory; this side
reads frames it does not trust, and keeps no more than the text.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from msgspec import DecodeError, Struct, ValidationError, to_builtins
from msgspec.json import Decoder

from locum.tools.file_search import piped
from locum.tools.file_search.reading import Limits

Code = Literal["unsupported_file", "invalid_file", "server_error"]

# The original's list, and csv and xlsx as our extension.
# fmt: off
EXTENSIONS = frozenset({
    "c", "cpp", "cs", "css", "csv", "doc", "docx", "go", "html", "java", "js", "json", "md",
    "pdf", "php", "pptx", "py", "rb", "sh", "tex", "ts", "txt", "xlsx",
})
# fmt: on

_WORKER = "locum.tools.file_search.worker"
_HEADER_BYTES = 5
_UTF8_BYTES = 4
_LONGEST_REFUSAL = 1 << 16
# As `worker` ends.
_EXIT_CRASHED, _EXIT_TOO_SLOW = 70, 71
_TOO_SLOW = "The file took too long to be read."
_refusal = Decoder(tuple[Code, str])


class Extracted(Struct, frozen=True):
    """The text of a file, page by page; what a page is depends on the format."""

    pages: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n\n".join(self.pages)


class ExtractionFailed(Exception):
    """The file has no text for us; `code` is what the API calls it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message

    def __reduce__(self) -> tuple[type[Self], tuple[Code, str]]:
        # It may be raised in a process that cuts texts, and travels to the server.
        return type(self), (self.code, self.message)


class Extractor:
    """A few worker processes, started when first needed and used again while they behave."""

    def __init__(self, *, workers: int = 2, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def extract(self, path: Path, filename: str) -> Extracted:
        """Read the file at `path`, which the user calls `filename`; waits for a free worker."""
        extension = Path(filename).suffix.removeprefix(".").lower()
        if extension not in EXTENSIONS:
            raise ExtractionFailed("unsupported_file", "The file type is not supported.")
        async with self._slots:
            worker = self._idle.pop() if self._idle else await _Worker.start()
            self._busy.add(worker)
            try:
                async with asyncio.timeout(self._limits.wall_s):
                    pages = await worker.read(path, extension, self._limits)
            except TimeoutError:
                raise ExtractionFailed("invalid_file", _TOO_SLOW) from None
            finally:
                self._busy.discard(worker)
                if worker.clean:
                    self._idle.append(worker)
                else:
                    await worker.kill()
        return Extracted(tuple(pages))

    async def close(self) -> None:
        """End every worker, and what it is reading."""
        for worker in [*self._idle, *self._busy]:
            await worker.kill()
        self._idle.clear()


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        # False while an answer is outstanding or was not what it should be.
        self.clean = True

    @classmethod
    async def start(cls) -> "_Worker":
        try:
            # Its own group, so that one kill ends the child that parses too.
            process = await piped.start(_WORKER, own_group=True)
        except OSError:
            raise ExtractionFailed("server_error", "No process could be started.") from None
        return cls(process)

    async def read(self, path: Path, extension: str, limits: Limits) -> list[str]:
        self.clean = False
        request = {"path": str(path), "extension": extension, "limits": to_builtins(limits)}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._answer(limits)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _death(await self._process.wait()) from None

    async def _answer(self, limits: Limits) -> list[str]:
        pages: list[str] = []
        left = limits.text_chars * _UTF8_BYTES
        while True:
            kind, payload = await self._frame(left)
            if kind == b"D":
                self.clean = True
                return pages
            if kind == b"F":
                raise self._refused(payload)
            left -= len(payload)
            if kind != b"P" or len(pages) >= limits.pages:
                raise _broken_worker()
            try:
                pages.append(payload.decode())
            except UnicodeDecodeError:
                raise _broken_worker() from None

    async def _frame(self, most: int) -> tuple[bytes, bytes]:
        assert self._process.stdout is not None
        header = await self._process.stdout.readexactly(_HEADER_BYTES)
        size = int.from_bytes(header[1:])
        if size > max(most, _LONGEST_REFUSAL):
            raise _broken_worker()
        return header[:1], await self._process.stdout.readexactly(size)

    def _refused(self, payload: bytes) -> ExtractionFailed:
        try:
            code, message = _refusal.decode(payload)
        except (DecodeError, ValidationError):
            return _broken_worker()
        self.clean = True
        return ExtractionFailed(code, message)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


def _death(status: int) -> ExtractionFailed:
    if status == _EXIT_TOO_SLOW:
        return ExtractionFailed("invalid_file", _TOO_SLOW)
    if status == _EXIT_CRASHED:
        return ExtractionFailed("invalid_file", "The file could not be parsed: its reader crashed.")
    return ExtractionFailed(
        "server_error",
        "The text extractor does not run; `pip install 'locum[search]'` brings what it needs.",
    )


def _broken_worker() -> ExtractionFailed:
    return ExtractionFailed("server_error", "The text extractor answered nonsense and was ended.")
