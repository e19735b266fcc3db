"""Logs: an event's name and its fields, as a line for people or as JSON for machines.

Fields are ids, numbers and names. Never a key, never what somebody wrote. Warnings and errors are
written at once, with all that was told before them; the rest within a moment, many together.
Lines are written whole, so those of several processes do not mix.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final, TextIO

import msgspec

# The trace and the span that what is logged belongs to, where there is one.
trace: ContextVar[tuple[str, str] | None] = ContextVar("trace", default=None)

# How long a line may wait for others, and how much a pipe takes without cutting it in two.
_MOMENT_S: Final = 0.02
_WHOLE_BYTES: Final = 4_096

_logger: Final = logging.getLogger("locum")

_Fields = Mapping[str, object]
# When, how bad, what, with which fields; and the traceback of a failure.
_Format = Callable[[float, str, str, _Fields, str], str]


def configure(*, as_json: bool, stream: TextIO | None = None) -> None:
    write_line = _Lettering().json if as_json else _Lettering().text
    _logger.handlers[:] = [_Lines(stream or sys.stderr, write_line)]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def info(event: str, **fields: object) -> None:
    handlers = _logger.handlers
    # Every request is told here. A record of the logging library costs more than its line.
    if handlers and isinstance(handlers[0], _Lines):
        handlers[0].tell_soon(event, fields)
    else:
        _logger.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    _logger.warning(event, extra={"fields": fields})


def error(event: str, *, failure: BaseException | None = None, **fields: object) -> None:
    """An operator must look. `failure` brings its traceback."""
    _logger.error(event, exc_info=failure, extra={"fields": fields})


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines. What waits when the process ends is written by `logging.shutdown`."""

    def __init__(self, stream: TextIO, write_line: _Format) -> None:
        super().__init__(stream)
        self._write_line = write_line
        self._waiting: list[str] = []
        self._size = 0

    def emit(self, record: logging.LogRecord) -> None:
        failure = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        fields = getattr(record, "fields", {})
        self._add(record.created, record.levelname, record.getMessage(), fields, failure)
        self.flush()

    def tell_soon(self, event: str, fields: _Fields) -> None:
        """Keep the line for a moment: a system call for every request costs more than its line."""
        is_first = not self._waiting
        self._add(time.time(), "INFO", event, fields, "")
        if is_first:
            try:
                asyncio.get_running_loop().call_later(_MOMENT_S, self.flush)
            except RuntimeError:
                self.flush()  # No loop runs in this thread: nobody would come back.

    def flush(self) -> None:
        self.acquire()  # Threads log too.
        try:
            lines, self._waiting, self._size = self._waiting, [], 0
            if lines:
                self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            pass  # Full or closed: there is nobody left to tell, and requests must go on.
        finally:
            self.release()

    def _add(self, at: float, level: str, event: str, fields: _Fields, traceback: str) -> None:
        line = self._write_line(at, level, event, fields, traceback)
        size = len(line) + 1
        if self._size + size > _WHOLE_BYTES:
            self.flush()
        self.acquire()
        self._waiting.append(line)
        self._size += size
        self.release()


class _Lettering:
    """Makes lines, and keeps the second that most of them share."""

    def __init__(self) -> None:
        self._second = -1
        self._told = ""

    def text(self, at: float, level: str, event: str, fields: _Fields, traceback: str) -> str:
        told = " ".join([f"{name}={value}" for name, value in fields.items()])
        line = f"{self._time(at)} {level:<7} {event} {told}".rstrip()
        return f"{line}\n{traceback}" if traceback else line

    def json(self, at: float, level: str, event: str, fields: _Fields, traceback: str) -> str:
        line = {"time": self._time(at), "level": level.lower(), "event": event, **fields}
        if (place := trace.get()) is not None:
            line["trace_id"], line["span_id"] = place
        if traceback:
            line["traceback"] = traceback
        return msgspec.json.encode(line, enc_hook=str).decode()

    def _time(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._told},{int(at % 1 * 1000):03}"
