"""Filters: every operator, what they refuse, what absent attributes mean."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


_SCALARS_OF_ALL_KINDS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3).map(lambda number: round(number * 2) / 2),
    st.sampled_from([0, 1 << 53, (1 << 53) + 1, float(1 << 53), 1 << 80, float(1 << 80)]),
    st.sampled_from(["", "0", "1", "True", "1.0"]),
)


@given(_SCALARS_OF_ALL_KINDS, st.lists(_SCALARS_OF_ALL_KINDS, max_size=6))
def test_to_be_in_a_list_is_to_equal_one_of_it(found: Scalar, values: list[Scalar]) -> None:
    def holds(kind: str, value: object) -> bool:
        return allows(parse({"type": kind, "key": "a", "value": value}), {"a": found})

    assert holds("in", values) == any(holds("eq", one) for one in values)
    assert holds("nin", values) != holds("in", values)


def test_as_many_values_as_a_store_has_files_are_compared_in_no_time() -> None:
    """All numbers have one hash. One by one this would take minutes."""
    modulus = sys.hash_info.modulus
    rule = parse({"type": "in", "key": "a", "value": [n * modulus for n in range(10_000)]})
    assert not any(allows(rule, {"a": n * modulus + 1}) for n in range(10_000))
    assert all(allows(rule, {"a": n * modulus}) for n in range(10_000))


def test_values_are_counted_over_all_parts_of_a_filter() -> None:
    def wanting(count: int) -> dict[str, object]:
        return {"type": "nin", "key": "a", "value": ["x"] * count}

    assert parse(wanting(10_000))
    assert parse({"type": "or", "filters": [wanting(5_000), wanting(5_000)]})
    refused = {
        "filters.value": (wanting(10_001), 10_001, 10_000),
        "filters.filters[1].value": (
            {"type": "or", "filters": [wanting(6_000), wanting(4_001)]},
            4_001,
            4_000,
        ),
    }
    for param, (raw, length, limit) in refused.items():
        with pytest.raises(InvalidParameter) as refusal:
            parse(raw)
        assert refusal.value.message == (
            f"Invalid '{param}': array too long. Expected an array with maximum length {limit},"
            f" but got an array with length {length} instead."
        )
        assert (refusal.value.param, refusal.value.code) == (param, "array_above_max_length")


def test_who_is_lenient_passes_over_unknown_keys() -> None:
    rule = parse({"type": "eq", "key": "lang", "value": "de", "note": 2}, lenient=True)
    assert allows(rule, _ATTRIBUTES)
