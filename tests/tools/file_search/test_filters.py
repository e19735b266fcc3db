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


_SCALARS = "one of a string, decimal number or boolean"


@pytest.mark.parametrize(
    ("raw", "message", "param"),
    [
        ([], "Invalid type for 'filters': expected an object, but got an array instead.", ""),
        ("x", "Invalid type for 'filters': expected an object, but got a string instead.", ""),
        ({}, "Missing required parameter: 'filters.type'.", "type"),
        (
            {"type": "like", "key": "a", "value": "b"},
            (
                "Invalid value: 'like'. Supported values are: 'eq', 'ne', 'gt', 'gte', 'lt', 'lte',"
                " 'in', 'nin', 'and', and 'or'."
            ),
            "type",
        ),
        (
            {"type": ["eq"], "key": "a", "value": "b"},
            "Invalid type for 'filters.type': expected a string, but got an array instead.",
            "type",
        ),
        ({"type": "eq", "value": "b"}, "Missing required parameter: 'filters.key'.", "key"),
        (
            {"type": "eq", "key": 1, "value": "b"},
            "Invalid type for 'filters.key': expected a string, but got an integer instead.",
            "key",
        ),
        ({"type": "eq", "key": "a"}, "Missing required parameter: 'filters.value'.", "value"),
        (
            {"type": "eq", "key": "a", "value": None},
            f"Invalid type for 'filters.value': expected {_SCALARS}, but got null instead.",
            "value",
        ),
        (
            {"type": "eq", "key": "a", "value": ["b"]},
            f"Invalid type for 'filters.value': expected {_SCALARS}, but got an array instead.",
            "value",
        ),
        (
            {"type": "gt", "key": "a", "value": True},
            (
                "Invalid type for 'filters.value': expected one of a string or decimal number, but"
                " got a boolean instead."
            ),
            "value",
        ),
        (
            {"type": "in", "key": "a", "value": "b"},
            (
                "Invalid type for 'filters.value': expected an array of strings, but got a string"
                " instead."
            ),
            "value",
        ),
        (
            {"type": "in", "key": "a", "value": ["b", {}]},
            f"Invalid type for 'filters.value[1]': expected {_SCALARS}, but got an object instead.",
            "value[1]",
        ),
        (
            {"type": "eq", "key": "a", "value": 1, "note": 2},
            "Unknown parameter: 'filters.note'.",
            "note",
        ),
        ({"type": "and"}, "Missing required parameter: 'filters.filters'.", "filters"),
        (
            {"type": "and", "filters": {}},
            (
                "Invalid type for 'filters.filters': expected an array of objects, but got an"
                " object instead."
            ),
            "filters",
        ),
        (
            {"type": "and", "filters": []},
            (
                "Invalid 'filters.filters': empty array. Expected an array with minimum length 1,"
                " but got an empty array instead."
            ),
            "filters",
        ),
        (
            {"type": "and", "filters": [{"type": "eq", "key": "a", "value": 1}, {"type": "eq"}]},
            "Missing required parameter: 'filters.filters[1].key'.",
            "filters[1].key",
        ),
        (
            {"type": "or", "key": "a", "filters": [{"type": "eq", "key": "a", "value": 1}]},
            "Unknown parameter: 'filters.key'.",
            "key",
        ),
    ],
)
def test_a_wrong_filter_is_refused_where_it_is_wrong(raw: object, message: str, param: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse(raw)
    assert refused.value.message == message
    assert refused.value.param == (f"filters.{param}" if param else "filters")


def test_filters_nested_too_deep_are_refused() -> None:
    raw: object = {"type": "eq", "key": "a", "value": 1}
    for _ in range(8):
        raw = {"type": "and", "filters": [raw]}
    with pytest.raises(InvalidParameter, match="nested 8 deep"):
        parse(raw)


def test_filters_of_too_many_parts_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="256 parts"):
        parse({"type": "or", "filters": [{"type": "eq", "key": "a", "value": 1}] * 256})


def test_who_is_lenient_passes_over_unknown_keys() -> None:
    rule = parse({"type": "eq", "key": "lang", "value": "de", "note": 2}, lenient=True)
    assert allows(rule, _ATTRIBUTES)
