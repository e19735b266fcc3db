"""What the log of a server holds: events with ids and numbers, and nothing that anybody wrote."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kit.server import Server, running
from tests.kit.talk import Talk, function

from locum import logs
from locum.app import Parts
from locum.telemetry.spans import Span, SpanContext

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_CALLER = "b7ad6b7169203331"
# Each is written somewhere a careless line of log might take it from.
_WRITTEN = ("pineapple", "marmalade", "rhubarb", "gooseberry", "quince", "sk-")


class _Tracer:
    """Gives places away, and keeps the spans."""

    shows_content = False

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._begun = 0

    def begin(self, _: str, parent: SpanContext | None) -> SpanContext:
        self._begun += 1
        trace_id = f"{self._begun:032x}" if parent is None else parent.trace_id
        return SpanContext(trace_id, f"{self._begun:016x}")

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        """Nothing is on its way."""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The server's log as JSON; whoever had it before gets it back."""
    logger = logging.getLogger("locum")
    before = (list(logger.handlers), logger.level, logger.propagate)
    stream = io.StringIO()
    logs.configure(as_json=True, stream=stream)
    yield stream
    logger.handlers[:], logger.level, logger.propagate = before


def _lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def _use(server: Server) -> str:
    """Say and do what people do, well and badly; the id of the run that was traced."""
    secret, _ = server.add_key("proj_a")
    talk = Talk(server.http(secret))
    script = '!say pineapple\n!call get_weather {"city":"marmalade"}\n!then\n!say {result}'
    run = talk.run(script, tools=[function("get_weather", description="rhubarb")])
    talk.submit(run, ["gooseberry"])
    talk.until(run, "completed")
    talk.run("!error server_error quince")
    assert talk.http.post("/v1/threads", b'{"pineapple').status == 400
    assert talk.http.post("/v1/threads", {"pineapple": "quince"}).status == 400
    assert talk.http.get("/v1/threads/thread_nope?after=pineapple").status == 404
    assert server.http("sk-wrong-pineapple").get("/v1/threads").status == 401
    asked = {"assistant_id": talk.assistant(instructions="rhubarb")}
    path = f"/v1/threads/{talk.thread('!say quince')}/runs"
    headers = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}
    traced = talk.http.post(path, asked, headers=headers).json
    talk.until(traced, "completed")
    return str(traced["id"])


def test_no_line_holds_what_anybody_wrote_or_a_key(log: io.StringIO) -> None:
    with running(Parts(tracer=_Tracer())) as server:
        _use(server)
    lines = _lines(log)
    assert len(lines) > 15
    for line in lines:
        assert {"time", "level", "event"} <= set(line)
        assert line["event"].replace(".", "").replace("_", "").isalpha(), line
        for word in _WRITTEN:
            assert word not in json.dumps(line), line


def test_lines_of_a_request_name_its_trace_and_its_span(log: io.StringIO) -> None:
    tracer = _Tracer()
    with running(Parts(tracer=tracer)) as server:
        _use(server)
    requests = [line for line in _lines(log) if line["event"] == "request"]
    spans = {span.context.span_id: span for span in tracer.spans}
    assert requests
    for line in requests:
        span = spans[line["span_id"]]
        assert (span.context.trace_id, span.kind) == (line["trace_id"], "server")
    assert [line["path"].endswith("/runs") for line in requests if line["trace_id"] == _TRACE] == [
        True
    ]


def test_lines_of_a_run_name_its_trace(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> None:
        raise ValueError("quince")

    monkeypatch.setattr("locum.engine.loop.Driver.drive", breaks)
    tracer = _Tracer()
    with running(Parts(tracer=tracer)) as server:
        run = Talk(server.http()).run("!say pineapple")
    assert run["status"] == "failed"
    (broke,) = [line for line in _lines(log) if line["event"] == "run.broke"]
    (span,) = [span for span in tracer.spans if span.attributes.get("locum.run.id") == run["id"]]
    assert (broke["trace_id"], broke["span_id"]) == (span.context.trace_id, span.context.span_id)
    assert span.failed


def test_without_traces_no_line_names_any(log: io.StringIO) -> None:
    with running() as server:
        _use(server)
    assert not [line for line in _lines(log) if "trace_id" in line]
