"""Attribute filters: which files of a store a search may look into."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

from msgspec import Struct

from locum.errors import InvalidParameter

Scalar = str | float | bool
Attributes = Mapping[str, Scalar]
Order = Literal["gt", "gte", "lt", "lte"]

_DEEPEST = 8
_MOST = 256
_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = ("and", "or")


class Comparison(Struct, frozen=True):
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: Scalar | tuple[Scalar, ...]


class Compound(Struct, frozen=True):
    type: Literal["and", "or"]
    filters: tuple["Filter", ...]


Filter = Comparison | Compound


def parse(raw: object, *, param: str = "filters") -> Filter:
    """Check a filter as it came; errors name the part that is wrong."""
    budget = [_MOST]
    return _parse(raw, param, depth=1, budget=budget)


def allows(rule: Filter | None, attributes: Attributes) -> bool:
    """Whether a file with these attributes passes. An absent attribute equals nothing."""
    if rule is None:
        return True
    if isinstance(rule, Compound):
        passing = (allows(one, attributes) for one in rule.filters)
        return all(passing) if rule.type == "and" else any(passing)
    found = attributes.get(rule.key)
    match rule.type:
        case "eq" | "ne":
            return _same(found, rule.value) == (rule.type == "eq")
        case "in" | "nin":
            assert isinstance(rule.value, tuple)
            return any(_same(found, one) for one in rule.value) == (rule.type == "in")
        case _:
            return _ordered(rule.type, found, rule.value)


def _parse(raw: object, param: str, *, depth: int, budget: list[int]) -> Filter:
    budget[0] -= 1
    if depth > _DEEPEST or budget[0] < 0:
        raise InvalidParameter(
            f"Invalid '{param}': filters may be nested {_DEEPEST} deep and hold {_MOST} parts.",
            param=param,
        )
    if not isinstance(raw, Mapping):
        raise _wrong(param, "an object", raw)
    kind = raw.get("type")
    if kind in _COMPOUNDS:
        parts = raw.get("filters")
        if not isinstance(parts, list | tuple) or not parts:
            raise _wrong(f"{param}.filters", "a non-empty array", parts)
        return Compound(
            kind,
            tuple(
                _parse(part, f"{param}.filters[{place}]", depth=depth + 1, budget=budget)
                for place, part in enumerate(parts)
            ),
        )
    if kind not in _COMPARISONS:
        known = ", ".join(f"'{name}'" for name in (*_COMPARISONS, *_COMPOUNDS))
        raise InvalidParameter(
            f"Invalid value: '{kind}'. Supported values are: {known}.", param=f"{param}.type"
        )
    key = raw.get("key")
    if not isinstance(key, str) or not key:
        raise _wrong(f"{param}.key", "a string", key)
    return Comparison(kind, key, _value(kind, raw.get("value"), f"{param}.value"))


def _value(kind: str, raw: object, param: str) -> Scalar | tuple[Scalar, ...]:
    if kind in {"in", "nin"}:
        if not isinstance(raw, list | tuple) or not all(_is_scalar(one) for one in raw):
            raise _wrong(param, "an array of strings, numbers or booleans", raw)
        return tuple(raw)
    if not _is_scalar(raw):
        raise _wrong(param, "a string, a number or a boolean", raw)
    if kind not in {"eq", "ne"} and isinstance(raw, bool):
        raise _wrong(param, "a string or a number", raw)
    return cast("Scalar", raw)


def _is_scalar(raw: object) -> bool:
    return isinstance(raw, str | int | float | bool)


def _same(found: Scalar | None, wanted: Scalar | Sequence[Scalar]) -> bool:
    # To Python, true is one; to a person who filters, it is not.
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "gt": lambda found, wanted: found > wanted,
    "gte": lambda found, wanted: found >= wanted,
    "lt": lambda found, wanted: found < wanted,
    "lte": lambda found, wanted: found <= wanted,
}


def _ordered(kind: str, found: object, wanted: object) -> bool:
    """Numbers have an order among themselves, strings among themselves, nothing else has."""
    order = cast("Callable[[object, object], bool]", _ORDERS[kind])
    if isinstance(found, str) and isinstance(wanted, str):
        return order(found, wanted)
    numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
    return numbers and not isinstance(found, bool) and order(found, wanted)


def _wrong(param: str, expected: str, found: object) -> InvalidParameter:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    got = "null or nothing" if found is None else names.get(type(found), "a number")
    return InvalidParameter(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param=param,
        code="invalid_type",
    )
