"""Logs: an event's name and its fields, as a line for people or as JSON for machines.

Fields are ids, numbers and names. Never a key, never what somebody wrote.
"""

import logging
import sys
from contextvars import ContextVar
from typing import TextIO

import msgspec

# The trace and the span that what is logged belongs to, where there is one.
trace: ContextVar[tuple[str, str] | None] = ContextVar("trace", default=None)

_logger = logging.getLogger("locum")


def configure(*, as_json: bool, stream: TextIO | None = None) -> None:
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    _logger.handlers[:] = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def info(event: str, **fields: object) -> None:
    _logger.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    _logger.warning(event, extra={"fields": fields})


def error(event: str, *, failure: BaseException | None = None, **fields: object) -> None:
    """An operator must look. `failure` brings its traceback."""
    _logger.error(event, exc_info=failure, extra={"fields": fields})


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        fields = getattr(record, "fields", {})
        tail = " ".join(f"{name}={value}" for name, value in fields.items())
        return f"{super().formatMessage(record)} {tail}".rstrip()


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if (place := trace.get()) is not None:
            line["trace_id"], line["span_id"] = place
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()
