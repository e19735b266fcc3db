"""Filters: every operator, what they refuse, what absent attributes mean."""

import pytest

from locum.errors import InvalidParameter
from locum.tools.file_search.filters import Scalar, allows, parse

_ATTRIBUTES: dict[str, Scalar] = {"year": 2024, "lang": "de", "draft": False, "rate": 1.5}


def _passes(raw: object) -> bool:
    return allows(parse(raw), _ATTRIBUTES)


@pytest.mark.parametrize(
    ("kind", "key", "value", "passes"),
    [
        ("eq", "lang", "de", True),
        ("eq", "lang", "DE", False),
        ("eq", "year", 2024.0, True),
        ("eq", "year", "2024", False),
        ("eq", "draft", False, True),
        ("eq", "draft", 0, False),
        ("ne", "lang", "fr", True),
        ("ne", "lang", "de", False),
        ("gt", "year", 2023, True),
        ("gt", "year", 2024, False),
        ("gte", "year", 2024, True),
        ("lt", "rate", 2, True),
        ("lt", "rate", 1.5, False),
        ("lte", "rate", 1.5, True),
        ("gt", "lang", "da", True),
        ("gt", "lang", 1, False),
        ("lt", "draft", 1, False),
        ("in", "lang", ["fr", "de"], True),
        ("in", "lang", [], False),
        ("nin", "lang", ["fr", "de"], False),
        ("nin", "lang", ["fr"], True),
        ("eq", "absent", "x", False),
        ("ne", "absent", "x", True),
        ("gt", "absent", 0, False),
        ("in", "absent", ["x"], False),
        ("nin", "absent", ["x"], True),
    ],
)
def test_a_comparison_passes_or_not(kind: str, key: str, value: object, passes: bool) -> None:
    assert _passes({"type": kind, "key": key, "value": value}) is passes


def test_compounds_nest() -> None:
    de = {"type": "eq", "key": "lang", "value": "de"}
    old = {"type": "lt", "key": "year", "value": 2000}
    assert _passes({"type": "or", "filters": [old, {"type": "and", "filters": [de, de]}]})
    assert not _passes({"type": "and", "filters": [de, old]})


def test_no_filter_allows_everything() -> None:
    assert allows(None, {})


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ([], "filters"),
        ("x", "filters"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value"),
        ({"type": "in", "key": "a", "value": [{}]}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "and", "filters": [{"type": "eq"}]}, "filters.filters[0].key"),
    ],
)
def test_a_wrong_filter_is_refused_where_it_is_wrong(raw: object, param: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse(raw)
    assert refused.value.param == param


def test_filters_nested_too_deep_are_refused() -> None:
    raw: object = {"type": "eq", "key": "a", "value": 1}
    for _ in range(8):
        raw = {"type": "and", "filters": [raw]}
    with pytest.raises(InvalidParameter, match="nested 8 deep"):
        parse(raw)


def test_filters_of_too_many_parts_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="256 parts"):
        parse({"type": "or", "filters": [{"type": "eq", "key": "a", "value": 1}] * 256})
