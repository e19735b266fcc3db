"""The page of the metrics: what `/metrics` tells of, as the metrics themselves describe it."""

from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from locum.metrics import FIGURES, Metrics

_HEAD: Final = """\
# Metrics

<!-- Written by `make docs`. -->

What `/metrics` tells, see [how to watch a server](../how-to/watch.md). No label names a project, a
thread, a run or a key: of those there is no end. What begins with `process_` is the process's own:
its CPU, memory and open files.

| metric | kind | labels | what it tells |
|---|---|---|---|
"""


def described() -> list[tuple[str, str, list[str], str]]:
    """Name, kind, labels and meaning of each metric of ours."""
    metrics = Metrics(version="1")
    for figure in FIGURES:
        metrics.watch(figure, lambda: 1)
    metrics.http.answered("x", 200, 0.0)
    for group in (metrics.http, metrics.runs, metrics.models, metrics.tools):
        for metric in vars(group).values():
            if names := getattr(metric, "_labelnames", ()):
                metric.labels(*("x" for _ in names))
    page, _ = metrics.page("")
    return [
        (_name(family), family.type, _labels(family), family.documentation)
        for family in text_string_to_metric_families(page.decode())
        if family.name.startswith("locum_")
    ]


def metrics_page() -> str:
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or '–'} | {says} |\n"
        for name, kind, labels, says in described()
    ]
    return "".join([_HEAD, *rows])


def _name(family: Any) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def _labels(family: Any) -> list[str]:
    found = {label for sample in family.samples for label in sample.labels}
    return sorted(found - {"le"})
