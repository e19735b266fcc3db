"""Spans as we make them: whole, when they are over, with ids that are known beforehand.

What a run does may begin in one process and end in another. So no span is held open anywhere:
its id follows from that of the row it tells of, and it is recorded by whoever sees the end.
"""

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Literal, Protocol

from msgspec import Struct

Attributes = Mapping[str, str | bool | int | float | tuple[str, ...]]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


class SpanContext(Struct, frozen=True, omit_defaults=True):
    """Where a span stands: its trace, itself, and whether anybody keeps them."""

    trace_id: str
    span_id: str
    is_sampled: bool = True

    def beside(self, name: str) -> "SpanContext":
        """Another span of the trace, whose id follows from a name that is like no other."""
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        return SpanContext(self.trace_id, digest, self.is_sampled)


def read_traceparent(text: str) -> SpanContext | None:
    """What a W3C `traceparent` says; None for what is none: then a trace of its own begins."""
    found = _TRACEPARENT.fullmatch(text.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    is_valid = version != "ff" and int(trace_id, 16) and int(span_id, 16)
    if not is_valid or (version == "00" and more):
        return None
    return SpanContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


class Span(Struct, frozen=True, kw_only=True):
    """A stretch of work that is over."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    kind: Literal["internal", "client", "server"] = "internal"
    start_ns: int
    end_ns: int
    attributes: Attributes
    link: SpanContext | None = None
    failed: bool = False


class Tracer(Protocol):
    # Whether what people and models write may be part of spans.
    shows_content: bool

    def begin(self, name: str, parent: SpanContext | None) -> SpanContext:
        """A place for a span that begins here; decides whether its trace is kept."""
        ...

    def record(self, span: Span) -> None:
        """Keep a span that is over, if its trace is kept. Never waits, never fails."""
        ...

    def close(self) -> None:
        """Send what is not sent yet. Blocks, and ends in any case."""
        ...


class Asked(Struct, frozen=True):
    """The request that is being answered: its span, and the caller's who sent it, if he told."""

    span: SpanContext
    caller: SpanContext | None


class Origin(Struct, frozen=True, omit_defaults=True):
    """Where the span of a run stands, stored with the run: whoever takes it over goes on here."""

    context: SpanContext
    begun_ns: int
    parent: SpanContext | None = None
    request: SpanContext | None = None


# Set around each request and each run, and seen by all that they do.
asked: ContextVar[Asked | None] = ContextVar("asked", default=None)
