"""What the OpenTelemetry SDK is left to decide, and what happens where it is not installed."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.kit.collector import Received, collecting

from locum.app import Parts, create_app, open_tracer
from locum.settings import Settings, SettingsError
from locum.telemetry.otlp import OtlpTracer
from locum.telemetry.spans import Span, SpanContext


def _told(tell: Callable[[OtlpTracer], None], monkeypatch: pytest.MonkeyPatch) -> list[Received]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracer = OtlpTracer(version="1")
        tell(tracer)
        tracer.close()
        return collector.spans


def _span(context: SpanContext, parent: SpanContext | None = None) -> Span:
    return Span(name="a", context=context, parent=parent, start_ns=1, end_ns=2, attributes={"n": 1})


def test_a_span_arrives_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    root = SpanContext("a" * 32, "b" * 16)
    link = SpanContext("c" * 32, "d" * 16)

    def tell(tracer: OtlpTracer) -> None:
        tracer.record(
            Span(
                name="work",
                context=root.beside("step_1"),
                parent=root,
                kind="client",
                start_ns=1_000,
                end_ns=2_000,
                attributes={"words": ("a", "b"), "yes": True, "n": 1, "x": 0.5},
                link=link,
                failed=True,
            )
        )

    (span,) = _told(tell, monkeypatch)
    assert (span.trace_id, span.span_id) == ("a" * 32, root.beside("step_1").span_id)
    assert (span.parent_id, span.links) == ("b" * 16, (("c" * 32, "d" * 16),))
    assert (span.start_ns, span.end_ns, span.failed) == (1_000, 2_000, True)
    assert span.attributes == {"words": ("a", "b"), "yes": True, "n": 1, "x": 0.5}


def test_the_environment_says_what_this_service_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "assistants")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    (span,) = _told(lambda tracer: tracer.record(_span(tracer.begin("a", None))), monkeypatch)
    assert span.resource["service.name"] == "assistants"
    assert span.resource["deployment.environment"] == "test"
    assert span.resource["service.version"] == "1"


@pytest.mark.parametrize(("sampler", "count"), [("always_off", 0), ("parentbased_always_on", 1)])
def test_the_environment_says_what_is_sampled(
    monkeypatch: pytest.MonkeyPatch, sampler: str, count: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)

    def tell(tracer: OtlpTracer) -> None:
        tracer.record(_span(tracer.begin("a", None)))
        dropped = SpanContext("a" * 32, "b" * 16, is_sampled=False)
        tracer.record(_span(tracer.begin("a", dropped), dropped))

    assert len(_told(tell, monkeypatch)) == count


def test_the_sdk_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not _told(lambda tracer: tracer.record(_span(tracer.begin("a", None))), monkeypatch)


def test_where_the_extra_is_missing_the_setting_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "locum.telemetry.otlp", None)

    async def opened(settings: Settings) -> object:
        async with open_tracer(settings, Parts()) as tracer:
            return tracer

    with pytest.raises(SettingsError, match=r"pip install 'locum\[otel\]'"):
        asyncio.run(opened(Settings(data=tmp_path, traces=True)))
    assert asyncio.run(opened(Settings(data=tmp_path))) is None


def test_content_in_traces_is_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    warned: list[str] = []
    monkeypatch.setattr("locum.logs.warning", lambda _, **fields: warned.append(str(fields)))
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    settings = Settings(data=tmp_path, model="scripted", traces=True, trace_content=True)
    app = create_app(settings)

    async def opened() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(opened())
    assert any("whoever reads the traces reads all conversations" in line for line in warned)
