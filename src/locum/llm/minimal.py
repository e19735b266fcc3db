"""The smallest value a JSON schema admits, always the same one.

Schemas come from anybody: a keyword that is not what it should be says nothing, and a value that
would be very large is not made.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from locum.llm.protocol import ModelError

# A schema that must contain itself has no value at all; this is where we stop looking.
_DEEPEST = 16
# Of letters, and of everything else that is made or looked at on the way.
_MOST = 100_000


def smallest(schema: Mapping[str, Any]) -> Any:
    """Make a value for `schema`. Strings say the name of the property they stand in."""
    return _Maker(schema).value(schema, name="text", depth=0)


def smallest_arguments(schema: Mapping[str, Any], *, words: str | None = None) -> dict[str, Any]:
    """Fill a function's schema with the least it admits, and `words` in its first property."""
    least = smallest(schema)
    arguments: dict[str, Any] = least if isinstance(least, dict) else {}
    if words is not None:
        properties = _record(schema, "properties") or {"query": {}}
        first = next(iter(properties))
        kind = _record(properties, first).get("type")
        arguments[first] = [words] if kind == "array" else words
    return arguments


class _Maker:
    """Makes one value, and gives up when it would become too large."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST

    def value(self, schema: Any, *, name: str, depth: int) -> Any:
        self._spend(1 + len(name))
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return None
        schema = self._resolved(schema, depth=0)
        if "const" in schema:
            return self._given(schema["const"])
        for given in ("enum", "examples"):
            if one_of := _list(schema, given):
                return self._given(one_of[0])
        if "default" in schema:
            return self._given(schema["default"])
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth=depth)
        if kind == "array":
            least = self._afforded(schema, "minItems")
            item = schema.get("items", {})
            return [self.value(item, name=name, depth=depth + 1) for _ in range(least)]
        return self._scalar(kind, schema, name)

    def _object(self, schema: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
        properties = _record(schema, "properties")
        names = [name for name in _list(schema, "required") if isinstance(name, str)]
        names = list(dict.fromkeys(names))
        least = self._afforded(schema, "minProperties")
        # More than are required: those it knows first, then any.
        for more in (*properties, *(f"property{number}" for number in range(1, least + 1))):
            if len(names) >= least:
                break
            if more not in names:
                names.append(more)
        return {
            name: self.value(properties.get(name, {}), name=name, depth=depth + 1) for name in names
        }

    def _scalar(self, kind: Any, schema: Mapping[str, Any], name: str) -> Any:
        if kind in ("integer", "number"):
            return _number(schema)
        if kind == "boolean":
            return False
        if kind == "null":
            return None
        least = self._afforded(schema, "minLength")
        self._spend(least)
        text = name.ljust(least, ".")
        most = _number_in(schema, "maxLength")
        return text if most is None else text[: max(int(most), 0)]

    def _resolved(self, schema: Mapping[str, Any], *, depth: int) -> Mapping[str, Any]:
        """Follow references, and take the first of alternatives that is not null."""
        for _ in range(_DEEPEST):
            self._spend(1)
            if depth > _DEEPEST:
                return {}
            if "$ref" in schema:
                schema = _referred(schema["$ref"], self._root)
            elif parts := _list(schema, "allOf"):
                merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
                for part in parts:
                    if isinstance(part, Mapping):
                        merged = _merged(merged, self._resolved(part, depth=depth + 1))
                        self._spend(len(merged) + len(_list(merged, "required")))
                        self._spend(len(_record(merged, "properties")))
                schema = merged
            elif choices := _list(schema, "anyOf") or _list(schema, "oneOf"):
                records = [one if isinstance(one, Mapping) else {} for one in choices]
                schema = next((one for one in records if one.get("type") != "null"), records[0])
            else:
                break
        return schema

    def _given(self, value: Any) -> Any:
        self._spend(len(msgspec.json.encode(value)))
        return value

    def _afforded(self, schema: Mapping[str, Any], keyword: str) -> int:
        least = _number_in(schema, keyword) or 0
        if least > self._left:
            raise _too_large()
        return max(int(least), 0)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _too_large()


def _too_large() -> ModelError:
    message = "The smallest value of the JSON schema is too large to be written here."
    return ModelError(message, code="invalid_prompt")


def _number(schema: Mapping[str, Any]) -> int | float:
    least = _number_in(schema, "minimum") or 0
    beyond = _number_in(schema, "exclusiveMinimum")
    if beyond is not None:
        least = max(least, beyond + 1)
    most = _number_in(schema, "maximum")
    return least if most is None else min(least, most)


def _kind(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return kind


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**_record(one, "properties"), **_record(other, "properties")}
    if "required" in one and "required" in other:
        merged["required"] = [*_list(one, "required"), *_list(other, "required")]
    return merged


def _referred(reference: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(found, Mapping):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, Mapping) else {}


def _record(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    found = schema.get(keyword)
    return found if isinstance(found, Mapping) else {}


def _list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def _number_in(schema: Mapping[str, Any], keyword: str) -> int | float | None:
    found = schema.get(keyword)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
