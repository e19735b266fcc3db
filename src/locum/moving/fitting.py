"""Foreign JSON fitted to a wire type: what the type does not know is dropped and noted.

The wire types are strict with clients and say nothing of what others have written. Here a null
where a default stands, a whole number written as a float and a key of a newer version are no
reason to lose an object; a value of another kind is.
"""

from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

T = TypeVar("T", bound=Struct)

_MOST_DEPTH = 64


class Unfit(Exception):
    """The object cannot be what it is said to be; the message names the place and the reason."""


def fit(value: object, kind: type[T]) -> tuple[T, tuple[str, ...]]:
    """The value as the wire type, and the paths of what had no place in it."""
    dropped: list[str] = []
    fitted = _fit(value, _shape(kind), "", dropped)
    try:
        return msgspec.convert(fitted, kind), tuple(dropped)
    except msgspec.ValidationError as error:
        raise Unfit(str(error)) from error


@cache
def _shape(kind: type[Any]) -> inspect.Type:
    return inspect.type_info(kind)


def _fit(value: object, kind: inspect.Type, path: str, dropped: list[str]) -> object:
    if path.count(".") > _MOST_DEPTH:
        raise Unfit(f"{path}: nested too deeply")
    match kind:
        case inspect.Metadata(type=inner):
            return _fit(value, inner, path, dropped)
        case inspect.StructType():
            return _fit_struct(value, kind, path, dropped)
        case inspect.UnionType(types=types):
            return _fit(value, _chosen(value, types, path), path, dropped)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            if not isinstance(value, list):
                raise _wrong(path, "an array", value)
            return [_fit(one, item, f"{path}[{index}]", dropped) for index, one in enumerate(value)]
        case inspect.DictType(value_type=below):
            if not isinstance(value, dict):
                raise _wrong(path, "an object", value)
            return {
                name: _fit(one, below, f"{path}.{name}", dropped) for name, one in value.items()
            }
        case inspect.IntType():
            return _whole(value)
    return value


def _fit_struct(value: object, kind: inspect.StructType, path: str, dropped: list[str]) -> object:
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    fitted: dict[str, object] = {}
    fields = {field.encode_name: field for field in kind.fields}
    for name, one in value.items():
        field = fields.get(name)
        if field is not None:
            if one is None and not _takes_null(field.type) and not field.required:
                continue  # Python's clients write every field they know, most of them as null.
            fitted[name] = _fit(one, field.type, f"{path}.{name}", dropped)
        elif name == kind.tag_field:
            fitted[name] = one
        elif one is not None:
            dropped.append(f"{path}.{name}".removeprefix("."))
    for name, field in fields.items():
        if field.required and name not in fitted and _takes_null(field.type):
            fitted[name] = None
    return fitted


def _chosen(value: object, types: tuple[inspect.Type, ...], path: str) -> inspect.Type:
    """The member of a union that the value is meant to be."""
    plain = [_bare(one) for one in types]
    if isinstance(value, dict):
        structs = [one for one in plain if isinstance(one, inspect.StructType)]
        tagged = [one for one in structs if one.tag_field and value.get(one.tag_field) == one.tag]
        if tagged:
            return tagged[0]
        untagged = [one for one in structs if not one.tag_field]
        if untagged:
            return untagged[0]
        if structs:
            known = ", ".join(f"'{one.tag}'" for one in structs)
            field = structs[0].tag_field or "type"
            raise Unfit(
                f"{path.removeprefix('.')}: {field} {_short(value.get(field))} is none of {known}"
            )
    wanted: tuple[type[inspect.Type], ...] = (inspect.AnyType,)
    match value:
        case None:
            wanted = (inspect.NoneType,)
        case dict():
            wanted = (inspect.DictType,)
        case list():
            wanted = (inspect.ListType, inspect.VarTupleType)
        case bool():
            wanted = (inspect.BoolType,)
        case int() | float():
            wanted = (inspect.FloatType, inspect.IntType)
        case str():
            wanted = (inspect.StrType, inspect.LiteralType)
    for one in plain:
        if isinstance(one, wanted):
            return one
    return inspect.AnyType()


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _takes_null(kind: inspect.Type) -> bool:
    kind = _bare(kind)
    if isinstance(kind, inspect.UnionType):
        return any(isinstance(one, inspect.NoneType) for one in kind.types)
    return isinstance(kind, inspect.NoneType | inspect.AnyType)


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _wrong(path: str, wanted: str, value: object) -> Unfit:
    return Unfit(f"{path.removeprefix('.') or 'it'}: expected {wanted}, got {_short(value)}")


def _short(value: object) -> str:
    """What a value is, never what it says: it may be somebody's message."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
    return "an object"
