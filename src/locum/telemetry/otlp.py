"""Spans to an OpenTelemetry collector, by OTLP over HTTP. Needs the extra `otel`.

Where it is, how often it is sent to, what is sampled and what this service is called stand in the
standard `OTEL_*` variables, which the SDK reads by itself.
"""

from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision

from locum.telemetry.spans import Span, SpanContext

_KINDS: Final = {
    "internal": trace.SpanKind.INTERNAL,
    "client": trace.SpanKind.CLIENT,
    "server": trace.SpanKind.SERVER,
}
_SAMPLED: Final = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class OtlpTracer:
    """Hands spans to a batch that a thread of the SDK sends."""

    def __init__(self, *, version: str, shows_content: bool = False) -> None:
        self.shows_content = shows_content
        self._ids = _GivenIds()
        self._random = RandomIdGenerator()
        # Made only to read `OTEL_TRACES_SAMPLER` as the SDK does: we ask it where a trace begins.
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=_resource(version),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("locum", version)

    def begin(self, name: str, parent: SpanContext | None) -> SpanContext:
        number = self._random.generate_trace_id() if parent is None else int(parent.trace_id, 16)
        decided = self._sampler.should_sample(_context(parent), number, name)
        return SpanContext(
            f"{number:032x}",
            f"{self._random.generate_span_id():016x}",
            decided.decision == Decision.RECORD_AND_SAMPLE,
        )

    def record(self, span: Span) -> None:
        if not span.context.is_sampled:
            return
        self._ids.next = span.context
        made = self._tracer.start_span(
            span.name,
            context=_context(span.parent),
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            links=_links(span.link),
            start_time=span.start_ns,
        )
        if span.failed:
            made.set_status(trace.StatusCode.ERROR)
        made.end(span.end_ns)

    def close(self) -> None:
        self._provider.shutdown()


class _GivenIds(IdGenerator):
    """Ids are known before their span is made; the SDK asks for them while it makes one."""

    def __init__(self) -> None:
        self.next = SpanContext("0" * 32, "0" * 16)

    def generate_trace_id(self) -> int:
        return int(self.next.trace_id, 16)

    def generate_span_id(self) -> int:
        return int(self.next.span_id, 16)


def _resource(version: str) -> Resource:
    """What the environment says of this service, over what we would say."""
    ours = Resource.create({SERVICE_NAME: "locum", "service.version": version})
    return ours.merge(OTELResourceDetector().detect())


def _context(place: SpanContext | None) -> Context:
    if place is None:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(_told(place)), Context())


def _links(place: SpanContext | None) -> Sequence[trace.Link]:
    return () if place is None else (trace.Link(_told(place)),)


def _told(place: SpanContext) -> trace.SpanContext:
    return trace.SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=_SAMPLED if place.is_sampled else trace.TraceFlags(0),
    )
