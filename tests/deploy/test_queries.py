"""Every query of the dashboard and of the alerts asks for a metric that there is, by its labels."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from locum.metrics import FIGURES, Metrics

_DEPLOY = Path(__file__).parent.parent.parent / "deploy"
# Made by Prometheus itself, for each of its targets.
_PROMETHEUS_OWN = {"up": {"job", "instance"}}
_TARGET = {"job", "instance"}


def _metrics() -> dict[str, set[str]]:
    """Every series there can be and its labels: each metric, once used."""
    metrics = Metrics(version="1")
    for figure in FIGURES:
        metrics.watch(figure, lambda: 1)
    metrics.http.answered("x", 200, 0.0)
    for group in (metrics.http, metrics.runs, metrics.models, metrics.tools):
        for metric in vars(group).values():
            names = getattr(metric, "_labelnames", ())
            if names:
                metric.labels(*("x" for _ in names))
    page, _ = metrics.page("")
    found: dict[str, set[str]] = dict(_PROMETHEUS_OWN)
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set(_TARGET)).update(sample.labels)
    return found


def _panels() -> list[Any]:
    dashboard = json.loads((_DEPLOY / "grafana" / "locum.json").read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[tuple[str, str]]:
    for panel in _panels():
        for target in panel["targets"]:
            # Grafana puts its own words in before it asks.
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")
    rules = YAML(typ="safe").load((_DEPLOY / "prometheus" / "rules.yaml").read_text("utf-8"))
    for rule in rules["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


_ALL = list(_queries())


def _selected(query: str) -> list[tuple[str, set[str]]]:
    """The series that a query names, each with the labels that it is asked by."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append((str(node.name), {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


def _grouped_by(query: str) -> set[str]:
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


@pytest.mark.parametrize(("title", "query"), _ALL)
def test_a_query_names_metrics_and_labels_that_there_are(title: str, query: str) -> None:
    metrics = _metrics()
    selected = _selected(query)
    assert selected, title
    for name, labels in selected:
        assert name in metrics, title
        assert labels <= metrics[name], title
        assert _grouped_by(query) <= metrics[name], title


@pytest.mark.parametrize(("title", "query"), _ALL)
def test_counters_are_asked_for_their_rate_and_nothing_else_is(title: str, query: str) -> None:
    counted = re.compile(r"_(?:total|bucket|count|sum)$")
    rated = set(re.findall(r"(?:rate|increase)\((\w+)", query))
    for name, _ in _selected(query):
        assert (name in rated) == bool(counted.search(name)), (title, name)


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """What nobody looks at needs no counting."""
    shown = {
        name
        for panel in _panels()
        for target in panel["targets"]
        for name, _ in _selected(target["expr"].replace("$__rate_interval", "1m"))
    }
    shown = {re.sub(r"_(?:bucket|total)$", "", name) for name in shown}
    ours = {
        re.sub(r"_(?:bucket|count|sum|total)$", "", name)
        for name in _metrics()
        if name.startswith("locum_")
    }
    assert ours - shown == {"locum_database_waits"}


def test_panels_stand_side_by_side_and_say_what_they_are() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"])
    identities = [panel["id"] for panel in _panels()]
    assert len(set(identities)) == len(identities)
