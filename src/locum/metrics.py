"""What this process counts, for Prometheus: every metric there is, in one place.

A label is an operation, a state, a backend or a kind of tool, of which there are few: never a
project, a thread or a key, of which there is no end, and never a word that somebody wrote.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Final, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# Answers from memory take microseconds; a model may take minutes. A factor of two or so apart.
_ANSWERS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WORK_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

# Kept elsewhere anyway, and asked for when somebody looks.
Figure = Literal[
    "runs_driven",
    "runs_waiting",
    "sandbox_sessions",
    "database_connections",
    "database_connections_busy",
    "database_waits",
    "database_wait_seconds",
]
FIGURES: Final[Mapping[Figure, tuple[type[Metric], str]]] = {
    "runs_driven": (GaugeMetricFamily, "Runs that this process drives now."),
    "runs_waiting": (GaugeMetricFamily, "Runs that wait in this process until it has room."),
    "sandbox_sessions": (GaugeMetricFamily, "Live sessions of the code interpreter."),
    "database_connections": (GaugeMetricFamily, "Open connections to PostgreSQL."),
    "database_connections_busy": (GaugeMetricFamily, "Those of them that are at work."),
    "database_waits": (
        CounterMetricFamily,
        "How often work waited for a connection to PostgreSQL, or for one to be made.",
    ),
    "database_wait_seconds": (CounterMetricFamily, "How long all of it waited together."),
}


class Metrics:
    """One registry for each server: two in one process never count each other's work."""

    def __init__(self, *, version: str) -> None:
        # Else each series has a twin that tells when it began, which nobody asks.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has none
        registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        build = Gauge("locum_build_info", "The version that runs.", ["version"], registry=registry)
        build.labels(version).set(1)
        self.http = HttpMetrics(registry)
        self.runs = RunMetrics(registry)
        self.models = ModelMetrics(registry)
        self.tools = ToolMetrics(registry)
        self._figures = _Figures()
        registry.register(self._figures)
        self._registry = registry

    def watch(self, figure: Figure, value: Callable[[], float]) -> None:
        self._figures.values[figure] = value

    def page(self, accept: str) -> tuple[bytes, str]:
        """Everything, in the format that was asked for, and that format's name."""
        write, media = choose_encoder(accept)
        return write(self._registry), media


class HttpMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = _Answers()
        registry.register(self._answers)
        self.refused = Counter(
            "locum_http_refused",
            "Requests answered with 429, by the limit that they met.",
            ["limit"],
            registry=registry,
        )
        self._streams = Gauge(
            "locum_http_streams_open",
            "Answers that are being sent piece by piece: streams of runs, and downloads.",
            registry=registry,
        )
        self.answered = self._answers.answered

    @contextmanager
    def streaming(self) -> Iterator[None]:
        self._streams.inc()
        try:
            yield
        finally:
            self._streams.dec()


class _Answers(Collector):
    """Counted at every request, by one event loop: so without the locks of the library's own.

    Those cost 2.5 µs a request, where a whole one takes some tens.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        # How many fell between two bounds each, and how long all of them took.
        self._spread: dict[str, tuple[list[int], list[float]]] = {}

    def answered(self, operation: str, status: int, elapsed_s: float) -> None:
        key = (operation, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        spread = self._spread.get(operation)
        if spread is None:
            spread = self._spread[operation] = ([0] * (len(_ANSWERS_S) + 1), [0.0])
        spread[0][bisect_left(_ANSWERS_S, elapsed_s)] += 1
        spread[1][0] += elapsed_s

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "locum_http_requests",
            "Requests to the API that were answered.",
            labels=["operation", "status"],
        )
        for (operation, status), count in self._requests.items():
            requests.add_metric([operation, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "locum_http_request_seconds",
            "Until an answer, or the head of a stream, was ready.",
            labels=["operation"],
        )
        for operation, (counts, total_s) in self._spread.items():
            seconds.add_metric([operation], _buckets(counts), total_s[0])
        yield seconds


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """How many took at most so long, for each bound."""
    bounds = [*(str(float(bound)) for bound in _ANSWERS_S), "+Inf"]
    return list(zip(bounds, accumulate(counts), strict=True))


class RunMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.states = Counter(
            "locum_run_states",
            "States that runs came into, as moved by this process.",
            ["status"],
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "locum_run_queue_seconds",
            "From queued to in_progress; in whole seconds when another process queued the run.",
            registry=registry,
            buckets=_WORK_S,
        )
        self.seconds = Histogram(
            "locum_run_seconds",
            "From the creation of a run to its end; in whole seconds when made elsewhere.",
            ["status"],
            registry=registry,
            buckets=_WORK_S,
        )
        self.alive = Gauge(
            "locum_runs_alive",
            "Runs in the database that have not ended; every process tells the same figure.",
            ["status"],
            registry=registry,
        )


class ModelMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "locum_model_calls",
            "Answers asked of models, by how they ended.",
            ["backend", "outcome"],
            registry=registry,
        )
        self.tokens = Counter(
            "locum_model_tokens",
            "Tokens of finished answers; cached ones are among the prompt's, reasoning among the"
            " completion's.",
            ["backend", "kind"],
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "locum_model_first_token_seconds",
            "Until a model began to speak.",
            ["backend"],
            registry=registry,
            buckets=_WORK_S,
        )
        self.seconds = Histogram(
            "locum_model_call_seconds",
            "Until a model had answered, or failed.",
            ["backend"],
            registry=registry,
            buckets=_WORK_S,
        )


class ToolMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "locum_tool_calls",
            "Calls of hosted tools, by how they ended.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "locum_tool_call_seconds",
            "Until a hosted tool was done.",
            ["kind"],
            registry=registry,
            buckets=_WORK_S,
        )
        self.files_read = Counter(
            "locum_files_read",
            "Files of vector stores that were read, by how that ended.",
            ["outcome"],
            registry=registry,
        )


class _Figures(Collector):
    def __init__(self) -> None:
        self.values: dict[Figure, Callable[[], float]] = {}

    def collect(self) -> Iterator[Metric]:
        for name, value in self.values.items():
            family, says = FIGURES[name]
            told = family(f"locum_{name}", says, value=value())  # type: ignore[call-arg]  # both take it
            yield told
