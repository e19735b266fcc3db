from collections.abc import Callable
from typing import Any

import pytest

from locum.llm.minimal import smallest, smallest_arguments
from locum.llm.protocol import ModelError

NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "examples": ["e"]}, "e"),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "maximum": -1}, -1),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "boolean"]}, False),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "object", "properties": {"a": {"type": "null"}}}, {}),
        ({"properties": {"a": {"type": "string"}}, "required": ["a", "b"]}, {"a": "a", "b": "b"}),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 0),
        ({"oneOf": [{"type": "null"}]}, None),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, 0),
        ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, {"name": "name"}),
        ({"$ref": "elsewhere"}, "text"),
        ({"$ref": "#/nowhere"}, "text"),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
    ],
)
def test_the_smallest_value_of_a_schema(schema: dict[str, Any], value: Any) -> None:
    assert smallest(schema) == value


def test_a_schema_that_must_contain_itself_ends() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}},
        "required": ["next"],
    }
    value = smallest(schema)
    while value is not None:
        value = value["next"]


def test_a_reference_to_itself_ends() -> None:
    assert smallest({"$ref": "#"}) == "text"


def _fan(keyword: str, one_level: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """A small schema whose every level asks for twenty of the next."""
    levels = {f"d{n}": one_level({"$ref": f"#/$defs/d{n + 1}"}) for n in range(10)}
    return {"$ref": "#/$defs/d0", "$defs": levels, "title": keyword}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**9},
        {"type": "string", "minLength": 10**30},
        {"type": "array", "minItems": 10**9},
        {"type": "object", "minProperties": 10**9},
        {"type": "array", "minItems": 10_000, "items": {"const": "x" * 100}},
        {"type": "array", "minItems": 10_000, "items": {"type": "string", "minLength": 100}},
        _fan("items", lambda of: {"type": "array", "minItems": 20, "items": of}),
        _fan("allOf", lambda of: {"allOf": [of] * 20}),
        _fan(
            "properties",
            lambda of: {
                "properties": dict.fromkeys(map(str, range(20)), of),
                "required": [*map(str, range(20))],
            },
        ),
    ],
    ids=lambda schema: schema.get("title") or next(key for key in schema if key != "type"),
)
def test_a_value_that_would_be_very_large_is_not_made(schema: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="too large to be written") as refused:
        smallest(schema)
    assert refused.value.code == "invalid_prompt"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"minLength": "9", "maxLength": "1"}, "text"),
        ({"minLength": 6.0}, "text.."),
        ({"maxLength": -1}, ""),
        ({"type": "array", "minItems": "many"}, []),
        ({"type": "object", "required": 5, "minProperties": True}, {}),
        ({"properties": [], "required": [{}, "a"]}, {"a": "a"}),
        ({"anyOf": "ab", "allOf": 5}, "text"),
        ({"anyOf": [True]}, "text"),
        ({"allOf": [7, {"const": 1}]}, 1),
        ({"allOf": [{"$ref": "#"}]}, "text"),
        ({"type": "number", "minimum": "low", "exclusiveMinimum": True}, 0),
    ],
)
def test_a_keyword_that_is_not_what_it_should_be_says_nothing(
    schema: dict[str, Any], value: Any
) -> None:
    assert smallest(schema) == value


@pytest.mark.parametrize(
    ("least", "value"),
    [
        (1, {"a": "a"}),
        (2, {"a": "a", "b": "b"}),
        (3, {"a": "a", "b": "b", "property1": "property1"}),
    ],
)
def test_an_object_has_as_many_properties_as_it_must(least: int, value: Any) -> None:
    text = {"type": "string"}
    schema = {"properties": {"b": text, "a": text}, "required": ["a"], "minProperties": least}
    assert smallest(schema) == value


@pytest.mark.parametrize("properties", [{"a": True}, {"a": {"type": "string"}}, {"a": 5}])
def test_words_go_into_the_first_property_whatever_is_said_of_it(properties: Any) -> None:
    assert smallest_arguments({"properties": properties}, words="Hi") == {"a": "Hi"}
