"""Logs: an event's name and its fields, as a line for people or as JSON for machines.

Fields are ids, numbers and names. Never a key, never what somebody wrote. Warnings and errors are
written at once, with all that was told before them; the rest within a moment, many together.
Lines are written whole, so those of several processes do not mix.
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Final, NamedTuple, TextIO

import msgspec

# The trace and the span that what is logged belongs to, where there is one.
trace: ContextVar[tuple[str, str] | None] = ContextVar("trace", default=None)

# How long a line may wait for others, and how much a pipe takes without cutting it in two.
_MOMENT_S: Final = 0.02
_WHOLE_BYTES: Final = 4_096

_logger: Final = logging.getLogger("locum")

_Fields = Mapping[str, object]


class _Entry(NamedTuple):
    at: float
    level: str
    event: str
    fields: _Fields
    # The trace and the span it belongs to.
    place: tuple[str, str] | None
    traceback: str


_Format = Callable[[_Entry], str]


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
        # Threads log too: adding at one end and taking at the other needs no lock.
        self._waiting: deque[_Entry] = deque()
        self._will_flush = False

    def emit(self, record: logging.LogRecord) -> None:
        failure = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        fields = getattr(record, "fields", {})
        told = record.created, record.levelname, record.getMessage(), fields, trace.get(), failure
        self._waiting.append(_Entry(*told))
        self.flush()

    def tell_soon(self, event: str, fields: _Fields) -> None:
        """Keep it for a moment: a system call, and even a line made by itself, costs more."""
        self._waiting.append(_Entry(time.time(), "INFO", event, fields, trace.get(), ""))
        if not self._will_flush:
            self._will_flush = True
            try:
                asyncio.get_running_loop().call_later(_MOMENT_S, self.flush)
            except RuntimeError:
                self.flush()  # No loop runs in this thread: nobody would come back.

    def flush(self) -> None:
        self.acquire()
        # Before anything is taken: whoever adds from now on is taken, too, or comes back himself.
        self._will_flush = False
        try:
            for piece in self._pieces():
                self.stream.write(piece)
                self.stream.flush()
        except (OSError, ValueError):
            # Full or closed: there is nobody left to tell, and requests must go on.
            self._waiting.clear()
        finally:
            self.release()

    def _pieces(self) -> Iterator[str]:
        """All that waits, in pieces that are written whole."""
        lines: list[str] = []
        size = 0
        while self._waiting:
            line = self._write_line(self._waiting.popleft())
            if lines and size + len(line) >= _WHOLE_BYTES:
                yield "".join(lines)
                lines, size = [], 0
            lines.append(f"{line}\n")
            size += len(line) + 1
        if lines:
            yield "".join(lines)


class _Lettering:
    """Makes lines, and keeps the second that most of them share."""

    def __init__(self) -> None:
        self._second = -1
        self._told = ""

    def text(self, entry: _Entry) -> str:
        told = " ".join([f"{name}={value}" for name, value in entry.fields.items()])
        line = f"{self._time(entry.at)} {entry.level:<7} {entry.event} {told}".rstrip()
        return f"{line}\n{entry.traceback}" if entry.traceback else line

    def json(self, entry: _Entry) -> str:
        line = {
            "time": self._time(entry.at),
            "level": entry.level.lower(),
            "event": entry.event,
            **entry.fields,
        }
        if entry.place is not None:
            line["trace_id"], line["span_id"] = entry.place
        if entry.traceback:
            line["traceback"] = entry.traceback
        return msgspec.json.encode(line, enc_hook=str).decode()

    def _time(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._told},{int(at % 1 * 1000):03}"
