"""The smallest value a JSON schema admits, always the same one."""

from collections.abc import Mapping
from typing import Any

# A schema that must contain itself has no value at all; this is where we stop looking.
_DEEPEST = 16


def smallest(schema: Mapping[str, Any]) -> Any:
    """Make a value for `schema`. Strings say the name of the property they stand in."""
    return _value(schema, root=schema, name="text", depth=0)


def smallest_arguments(schema: Mapping[str, Any], *, words: str | None = None) -> dict[str, Any]:
    """Fill a function's schema with the least it admits, and `words` in its first property."""
    least = smallest(schema)
    arguments: dict[str, Any] = least if isinstance(least, dict) else {}
    if words is not None:
        properties: Mapping[str, Any] = schema.get("properties") or {"query": {}}
        first = next(iter(properties))
        arguments[first] = [words] if properties[first].get("type") == "array" else words
    return arguments


def _value(schema: Any, *, root: Mapping[str, Any], name: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    for given in ("enum", "examples"):
        if isinstance(schema.get(given), list) and schema[given]:
            return schema[given][0]
    if "default" in schema:
        return schema["default"]
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, root=root, depth=depth)
    if kind == "array":
        item = schema.get("items", {})
        least = schema.get("minItems", 0)
        return [_value(item, root=root, name=name, depth=depth + 1) for _ in range(least)]
    return _scalar(kind, schema, name)


def _object(schema: Mapping[str, Any], *, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {
        name: _value(properties.get(name, {}), root=root, name=name, depth=depth + 1)
        for name in schema.get("required", ())
    }


def _scalar(kind: str | None, schema: Mapping[str, Any], name: str) -> Any:
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    text = name.ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any]) -> int | float:
    least: int | float = schema.get("minimum", 0)
    if "exclusiveMinimum" in schema:
        least = max(least, schema["exclusiveMinimum"] + 1)
    most: int | float = schema.get("maximum", least)
    return min(least, most)


def _kind(schema: Mapping[str, Any]) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return kind


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the first of alternatives that is not null."""
    for _ in range(_DEEPEST):
        if "$ref" in schema:
            schema = _referred(schema["$ref"], root)
        elif "allOf" in schema:
            merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                merged = _merged(merged, _resolved(part, root))
            schema = merged
        elif choices := schema.get("anyOf") or schema.get("oneOf"):
            schema = next((one for one in choices if one.get("type") != "null"), choices[0])
        else:
            break
    return schema


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    for key in ("properties", "required"):
        if key in one and key in other:
            both = (one[key], other[key])
            merged[key] = {**both[0], **both[1]} if key == "properties" else [*both[0], *both[1]]
    return merged


def _referred(reference: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(found, Mapping):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, Mapping) else {}
