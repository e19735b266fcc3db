"""Attribute filters: which files of a store a search may look into."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from msgspec import Struct

from locum import limits
from locum.errors import (
    InvalidParameter,
    array_too_long,
    array_too_short,
    missing,
    not_among,
    unknown,
    wrong_type,
)

Scalar = str | float | bool
Attributes = Mapping[str, Scalar]

_DEEPEST = 8
_MOST = 256
_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = ("and", "or")


class Values(Struct, frozen=True):
    """One of which a file must have, or must not: looked up, not gone through."""

    booleans: frozenset[bool]
    strings: frozenset[str]
    # In order, for a sender may choose numbers of one hash.
    numbers: Sequence[float]

    @classmethod
    def of(cls, values: Sequence[Scalar]) -> "Values":
        return cls(
            frozenset(one for one in values if isinstance(one, bool)),
            frozenset(one for one in values if isinstance(one, str)),
            sorted(one for one in values if not isinstance(one, bool | str)),
        )

    def hold(self, found: Scalar | None) -> bool:
        match found:
            case None:
                return False
            case bool():
                return found in self.booleans
            case str():
                return found in self.strings
        place = bisect_left(self.numbers, found)
        return place < len(self.numbers) and self.numbers[place] == found


class Comparison(Struct, frozen=True):
    type: str
    key: str
    value: Scalar | Values


class Compound(Struct, frozen=True):
    type: str
    filters: tuple["Filter", ...]


Filter = Comparison | Compound


def parse(raw: object, *, param: str = "filters", lenient: bool = False) -> Filter:
    """Check a filter as it came; errors name the part that is wrong.

    Keys that nobody knows are refused, or passed over by who is lenient.
    """
    return _Reader(lenient=lenient).read(raw, param, depth=1)


def allows(rule: Filter | None, attributes: Attributes) -> bool:
    """Whether a file with these attributes passes. An absent attribute equals nothing."""
    if rule is None:
        return True
    if isinstance(rule, Compound):
        passing = (allows(one, attributes) for one in rule.filters)
        return all(passing) if rule.type == "and" else any(passing)
    found = attributes.get(rule.key)
    if isinstance(rule.value, Values):
        return rule.value.hold(found) == (rule.type == "in")
    match rule.type:
        case "eq" | "ne":
            return _same(found, rule.value) == (rule.type == "eq")
        case _:
            return _ordered(rule.type, found, rule.value)


class _Reader:
    """Reads one filter with all its parts."""

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self._left = _MOST
        self._values_left = limits.SEARCH_FILTER_VALUES

    def read(self, raw: object, path: str, *, depth: int) -> Filter:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise InvalidParameter(
                f"Invalid '{path}': filters may be nested {_DEEPEST} deep and hold {_MOST} parts.",
                param=path,
            )
        if not isinstance(raw, Mapping):
            raise wrong_type(path, "an object", raw)
        kind = _text(raw, "type", path)
        if kind in _COMPOUNDS:
            self._refuse_unknown(raw, ("type", "filters"), path)
            return Compound(kind, self._parts(raw, path, depth=depth + 1))
        if kind in _COMPARISONS:
            self._refuse_unknown(raw, ("type", "key", "value"), path)
            return Comparison(kind, _text(raw, "key", path), self._value(kind, raw, path))
        raise not_among(f"{path}.type", kind, (*_COMPARISONS, *_COMPOUNDS))

    def _parts(self, raw: Mapping[str, object], path: str, *, depth: int) -> tuple[Filter, ...]:
        path = f"{path}.filters"
        parts = _given(raw, "filters", path)
        if not isinstance(parts, list):
            raise wrong_type(path, "an array of objects", parts)
        if not parts:
            raise array_too_short(path, limit=1)
        return tuple(
            self.read(part, f"{path}[{place}]", depth=depth) for place, part in enumerate(parts)
        )

    def _value(self, kind: str, raw: Mapping[str, object], path: str) -> Scalar | Values:
        path = f"{path}.value"
        value = _given(raw, "value", path)
        if kind not in {"in", "nin"}:
            return _scalar(value, path, ordered=kind not in {"eq", "ne"})
        if not isinstance(value, list):
            raise wrong_type(path, "an array of strings", value)
        if len(value) > self._values_left:
            raise array_too_long(path, len(value), limit=self._values_left)
        self._values_left -= len(value)
        return Values.of([_scalar(one, f"{path}[{place}]") for place, one in enumerate(value)])

    def _refuse_unknown(self, raw: Mapping[str, object], known: Sequence[str], path: str) -> None:
        for key in raw:
            if key not in known and not self._lenient:
                raise unknown(f"{path}.{key}")


def _scalar(raw: object, path: str, *, ordered: bool = False) -> Scalar:
    if ordered and (isinstance(raw, bool) or not isinstance(raw, str | int | float)):
        raise wrong_type(path, "one of a string or decimal number", raw)
    if not isinstance(raw, str | int | float | bool):
        raise wrong_type(path, "one of a string, decimal number or boolean", raw)
    return raw


def _text(raw: Mapping[str, object], key: str, path: str) -> str:
    text = _given(raw, key, f"{path}.{key}")
    if not isinstance(text, str):
        raise wrong_type(f"{path}.{key}", "a string", text)
    return text


def _given(raw: Mapping[str, object], key: str, path: str) -> object:
    if key not in raw:
        raise missing(path)
    return raw[key]


def _same(found: Scalar | None, wanted: Scalar) -> bool:
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
