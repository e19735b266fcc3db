"""From bytes to typed input, and from a refusal to the platform's own words.

Good input is decoded in one step by msgspec. Only when that refuses is the input walked a
second time, to say which parameter is wrong, how, and what would be right. A body may be long:
of it only the place that msgspec names is walked to, as what stands before that is good.
"""

import re
import typing
from functools import cache
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import inspect

from locum import brackets, limits
from locum.errors import (
    InvalidParameter,
    InvalidRequest,
    array_too_long,
    array_too_short,
    missing,
    not_among,
    string_too_long,
    unknown,
    wrong_type,
)
from locum.wire.fields import Unfit

T = TypeVar("T")

# Values of our own that the original did not know: accepted, but its messages stay its own.
_OURS = {"mcp"}

# Fewer digits than Python refuses to read.
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,1000}")

_INDEX = re.compile(r"\[([0-9]{1,9})\]")
# Below a map it is the map that is named, and its keys and values are few.
_NAMED = re.compile(r"`\$\.?([^`]*?)(?:\[\.\.\.\])?`\Z")

# What an object without keys is to clients in PHP, and no body at all to some in .NET.
_EMPTY = {b"[]", b"null"}
_LONGEST_EMPTY = max(map(len, _EMPTY))

_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using"
    " your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was"
    " not valid JSON. If you have trouble figuring out how to fix this, please contact us through"
    " our help center at help.openai.com.)"
)


def decode_body(kind: type[T], body: bytes, *, lenient: bool = False) -> T:
    anything: Any = kind
    if len(body) <= _LONGEST_EMPTY and body in _EMPTY and _asks_nothing(kind):
        body = b""
    _refuse_many(body)
    try:
        decoded = _decoder(anything).decode(body or b"{}")
        _refuse_nesting(body)
        return cast(T, decoded)
    except msgspec.ValidationError:
        # Read whole, of two keys that are called alike the last one counts.
        value = parse_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(_NOT_JSON) from error
    if lenient:
        value = _known_only(value, _info(anything))
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as refusal:
        raise _refused(value, kind, refusal, named=_named_in(refusal)) from refusal


def _asks_nothing(kind: type) -> bool:
    info = _info(kind)
    return isinstance(info, inspect.StructType) and not any(one.required for one in info.fields)


def _refused(
    value: Any, kind: type, refusal: msgspec.ValidationError, *, named: str | None = None
) -> InvalidRequest:
    found = _explain(value, _info(kind), "", named)
    return found or InvalidRequest(f"Invalid request: {refusal}.")


def _named_in(refusal: msgspec.ValidationError) -> str:
    """The place that a refusal ends in, written as our own paths; empty for the whole."""
    found = _NAMED.search(str(refusal))
    return found[1] if found else ""


def parse_json(body: bytes) -> Any:
    _refuse_many(body)
    try:
        value = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(_NOT_JSON) from error
    _refuse_nesting(body)
    return value


def _refuse_nesting(body: bytes) -> None:
    if brackets.nests_too_deep(body):
        raise InvalidRequest(_NOT_JSON)


def _refuse_many(body: bytes) -> None:
    if brackets.holds_too_many(body):
        raise InvalidRequest(
            "Invalid body: too many values. Expected JSON with at most"
            f" {limits.JSON_VALUES} values, but got more."
        )


def convert_query(kind: type[T], pairs: list[tuple[str, str]]) -> T:
    """Read query parameters; unknown ones are ignored, empty ones count as absent."""
    value = _gather(kind, pairs) if pairs else {}
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as refusal:
        raise _refused(value, kind, refusal) from refusal


# ---------------------------------------------------------------------- queries


def _gather(kind: type, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    fields = {field.encode_name: field for field in _fields(kind)}
    value: dict[str, Any] = {}
    for name, text in pairs:
        stem, _, inner = name.partition("[")
        if name in fields and not name.endswith("]"):
            if text:
                value[name] = _number_in(text) if _is_whole(fields[name]) else text
        elif f"{stem}[]" in fields:
            # `include[]=`, `include=` and `include[0]=` are three spellings of one list.
            if text:
                value.setdefault(f"{stem}[]", []).append(text)
        elif _is_map(fields.get(stem)) and inner.endswith("]"):
            held = value.setdefault(stem, {})
            if isinstance(held, dict):  # Else the parameter was also given plain; that is told.
                held[inner[:-1]] = text
    return value


def _is_map(field: inspect.Field | None) -> bool:
    return field is not None and isinstance(field.type, inspect.DictType)


def _is_whole(field: inspect.Field) -> bool:
    return isinstance(field.type, inspect.IntType)


def _number_in(text: str) -> int | str:
    """What reads as a number becomes one, so that bounds are explained as bounds."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


# --------------------------------------------------------------------- the walk


def _explain(value: Any, kind: inspect.Type, path: str, named: str | None) -> InvalidRequest | None:
    """What is wrong with a value: all of it is looked at, or only what leads to the named place."""
    match kind:
        case inspect.UnionType():
            return _explain_union(value, kind, path, named)
        case inspect.StructType():
            return _explain_struct(value, kind, path, named)
        case inspect.LiteralType():
            return _explain_literal(value, _declared(frozenset(map(str, kind.values))), path)
        case inspect.StrType():
            return _explain_string(value, kind, path)
        case inspect.IntType() | inspect.FloatType():
            return _explain_number(value, kind, path)
        case inspect.BoolType():
            return None if isinstance(value, bool) else wrong_type(path, "a boolean", value)
        case inspect.NoneType():
            return None if value is None else wrong_type(path, "null", value)
        case inspect.DictType():
            return _explain_map(value, kind, path)
        case inspect.VarTupleType() | inspect.ListType():
            return _explain_array(value, kind, path, named)
    return None


def _explain_struct(
    value: Any, kind: inspect.StructType, path: str, named: str | None
) -> InvalidRequest | None:
    if not isinstance(value, dict):
        return wrong_type(path, "an object", value)
    fields = {field.encode_name: field for field in kind.fields}
    for key, inner in value.items():
        if key == kind.tag_field:
            if failure := _explain_literal(inner, (kind.tag,), _join(path, key)):
                return failure
        elif key in fields:
            place = _join(path, key)
            if _leads(place, named) and (
                failure := _explain(inner, fields[key].type, place, named)
            ):
                return failure
        elif kind.forbid_unknown_fields:
            return unknown(_join(path, key))
    required = [field.encode_name for field in kind.fields if field.required]
    if kind.tag_field is not None:
        required.insert(0, kind.tag_field)
    for key in required:
        if key not in value:
            return missing(_join(path, key))
    return _explain_together(value, kind, path)


def _explain_together(
    value: dict[str, Any], kind: inspect.StructType, path: str
) -> InvalidRequest | None:
    """What a struct asks of its fields together, once each of them is right."""
    try:
        msgspec.convert(value, kind.cls)
    except msgspec.ValidationError as refusal:
        if isinstance(refusal.__cause__, Unfit):
            unfit = refusal.__cause__
            name = _join(path, unfit.field) if unfit.field else path
            return InvalidParameter(f"Invalid '{name}': {unfit.reason}.", param=name)
    return None


def _explain_union(
    value: Any, kind: inspect.UnionType, path: str, named: str | None
) -> InvalidRequest | None:
    choices = [t for t in kind.types if not isinstance(t, inspect.CustomType)]
    if value is None and any(isinstance(t, inspect.NoneType) for t in choices):
        return None
    choices = [t for t in choices if not isinstance(t, inspect.NoneType) and not _is_unset(t)]
    if len(choices) == 1:
        return _explain(value, choices[0], path, named)
    structs = [t for t in choices if isinstance(t, inspect.StructType)]
    if isinstance(value, dict) and structs:
        return _explain_tagged(value, structs, path, named)
    fitting = [t for t in choices if _takes(t, value)]
    if not fitting:
        return wrong_type(path, _one_of(choices), value)
    failures = [_explain(value, t, path, named) for t in fitting]
    return None if None in failures else failures[0]


def _explain_tagged(
    value: dict[str, Any], structs: list[inspect.StructType], path: str, named: str | None
) -> InvalidRequest | None:
    if len(structs) == 1:
        return _explain_struct(value, structs[0], path, named)
    tag_field = structs[0].tag_field
    assert tag_field is not None
    if tag_field not in value:
        return missing(_join(path, tag_field))
    tag = value[tag_field]
    for struct in structs:
        if struct.tag == tag:
            return _explain_struct(value, struct, path, named)
    return _explain_literal(tag, tuple(str(s.tag) for s in structs), _join(path, tag_field))


def _explain_literal(value: Any, allowed: tuple[Any, ...], path: str) -> InvalidRequest | None:
    if not isinstance(value, str):
        return wrong_type(path, "a string", value)
    if value in allowed:
        return None
    return not_among(path, value, [each for each in allowed if each not in _OURS])


def _explain_string(value: Any, kind: inspect.StrType, path: str) -> InvalidRequest | None:
    if not isinstance(value, str):
        return wrong_type(path, "a string", value)
    if kind.max_length is not None and len(value) > kind.max_length:
        return string_too_long(path, len(value), limit=kind.max_length)
    if kind.min_length is not None and len(value) < kind.min_length:
        return InvalidParameter(
            f"Invalid '{path}': empty string. Expected a string with minimum length"
            f" {kind.min_length}, but got an empty string instead.",
            param=path,
            code="empty_string",
        )
    if kind.pattern is not None and not re.search(kind.pattern, value):
        shown = kind.pattern.replace("\\Z", "$")
        return InvalidParameter(
            f"Invalid '{path}': string does not match pattern."
            f" Expected a string that matches the pattern '{shown}'.",
            param=path,
        )
    return None


def _explain_number(
    value: Any, kind: inspect.IntType | inspect.FloatType, path: str
) -> InvalidRequest | None:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return wrong_type(path, "an integer" if whole else "a decimal number", value)
    noun = "integer" if whole else "decimal"
    if kind.le is not None and value > kind.le:
        return InvalidParameter(
            f"Invalid '{path}': {noun} above maximum value."
            f" Expected a value <= {_number(kind.le)}, but got {_number(value)} instead.",
            param=path,
            code=f"{noun}_above_max_value",
        )
    if kind.ge is not None and value < kind.ge:
        return InvalidParameter(
            f"Invalid '{path}': {noun} below minimum value."
            f" Expected a value >= {_number(kind.ge)}, but got {_number(value)} instead.",
            param=path,
            code=f"{noun}_below_min_value",
        )
    return None


def _explain_array(
    value: Any, kind: inspect.VarTupleType | inspect.ListType, path: str, named: str | None
) -> InvalidRequest | None:
    path = path.removesuffix("[]")
    if not isinstance(value, list):
        return wrong_type(path, f"an array of {_plural(kind.item_type)}", value)
    if kind.max_length is not None and len(value) > kind.max_length:
        return array_too_long(path, len(value), limit=kind.max_length)
    if kind.min_length is not None and len(value) < kind.min_length:
        return array_too_short(path, limit=kind.min_length)
    for index in _to_walk(len(value), path, named):
        if failure := _explain(value[index], kind.item_type, f"{path}[{index}]", named):
            return failure
    return None


def _leads(path: str, named: str | None) -> bool:
    return named is None or named == path or named.startswith((f"{path}.", f"{path}["))


def _to_walk(length: int, path: str, named: str | None) -> range:
    """The places in an array that lead to the named one: all of them, one or, at its end, none.

    A key that is not known may read like a place, and one that is not there.
    """
    if named is None:
        return range(length)
    found = _INDEX.match(named.removeprefix(path))
    return range(length)[int(found[1]) :][:1] if found else range(0)


def _explain_map(value: Any, kind: inspect.DictType, path: str) -> InvalidRequest | None:
    if not isinstance(value, dict):
        return wrong_type(path, "an object", value)
    if kind.max_length is not None and len(value) > kind.max_length:
        return InvalidParameter(
            f"Invalid '{path}': too many properties. Expected an object with at most"
            f" {kind.max_length} properties, but got an object with {len(value)} properties"
            " instead.",
            param=path,
            code="object_above_max_properties",
        )
    for key, item in value.items():
        name = _join(path, key)
        for inner, type_ in ((key, kind.key_type), (item, kind.value_type)):
            if failure := _explain(inner, type_, name, None):
                return failure
    return None


# -------------------------------------------------------------------- the words


def _one_of(choices: list[inspect.Type]) -> str:
    names = [_singular(choice) for choice in choices]
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return f"an {names[0]}" if names[0][0] in "aeio" else f"a {names[0]}"
    first = f"an {names[0]}" if names[0][0] in "aeio" else f"a {names[0]}"
    return f"one of {', '.join([first, *names[1:-1]])} or {names[-1]}"


def _singular(kind: inspect.Type) -> str:
    match kind:
        case inspect.StrType() | inspect.LiteralType():
            return "string"
        case inspect.IntType():
            return "integer"
        case inspect.FloatType():
            return "decimal number"
        case inspect.BoolType():
            return "boolean"
        case inspect.VarTupleType() | inspect.ListType():
            return f"array of {_plural(kind.item_type)}"
    return "object"


def _plural(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        kind = kind.types[0]
    return f"{_singular(kind)}s"


def _number(value: float) -> str:
    # An integer may be larger than any float.
    return str(value) if isinstance(value, int) or not value.is_integer() else str(int(value))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


# -------------------------------------------------------------------- the types


def _takes(kind: inspect.Type, value: Any) -> bool:
    """Whether the JSON type of `value` is the one that `kind` is written in."""
    match kind:
        case inspect.StrType() | inspect.LiteralType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType() | inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.VarTupleType() | inspect.ListType():
            return isinstance(value, list)
    return isinstance(value, dict)


def _is_unset(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.CustomType)


def _known_only(value: Any, kind: inspect.Type) -> Any:
    """Drop the keys that no type knows, as the lenient setting wishes."""
    match kind:
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field for field in kind.fields}
            known = {
                key: _known_only(inner, fields[key].type) if key in fields else inner
                for key, inner in value.items()
                if key in fields or key == kind.tag_field
            }
            # What holds nothing that is known is absent: taken for empty, it might clear something.
            return {key: left for key, left in known.items() if left != {} or value[key] == {}}
        case inspect.UnionType() if isinstance(value, dict):
            structs = [t for t in kind.types if isinstance(t, inspect.StructType)]
            for struct in structs:
                if len(structs) == 1 or value.get(struct.tag_field or "") == struct.tag:
                    return _known_only(value, struct)
        case inspect.UnionType() if isinstance(value, list):
            for choice in kind.types:
                if isinstance(choice, inspect.VarTupleType | inspect.ListType):
                    return _known_only(value, choice)
        case inspect.VarTupleType() | inspect.ListType() if isinstance(value, list):
            return [_known_only(item, kind.item_type) for item in value]
    return value


@cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


@cache
def _declared(values: frozenset[str]) -> tuple[str, ...]:
    """The values of a Literal as they were written; inspection hands them out sorted."""
    structs: list[type] = [msgspec.Struct]
    for struct in structs:
        structs.extend(struct.__subclasses__())
        for hint in typing.get_type_hints(struct).values():
            for literal in _literals(hint):
                if frozenset(literal) == values:
                    return literal
    return tuple(sorted(values))


def _literals(hint: Any) -> list[tuple[str, ...]]:
    if typing.get_origin(hint) is Literal:
        return [typing.get_args(hint)]
    return [found for inner in typing.get_args(hint) for found in _literals(inner)]


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _fields(kind: type) -> tuple[inspect.Field, ...]:
    info = _info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields
