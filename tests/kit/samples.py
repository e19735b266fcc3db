"""The smallest good value of a wire type, and the names of all its keys."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect


def smallest(kind: Any) -> Any:
    """What a client must send at least."""
    return None if kind is None else _smallest(inspect.type_info(kind))


def keys(kind: Any) -> list[str]:
    """Every key that may stand anywhere in such a value."""
    return [] if kind is None else list(dict.fromkeys(_keys(inspect.type_info(kind))))


def _smallest(kind: inspect.Type) -> Any:
    match kind:
        case inspect.StructType():
            value = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
            return value | {
                field.encode_name: _smallest(field.type) for field in kind.fields if field.required
            }
        case inspect.UnionType():
            return _smallest(next(t for t in kind.types if not isinstance(t, inspect.CustomType)))
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.StrType():
            return "x"
        case inspect.IntType() | inspect.FloatType():
            return kind.ge or 1
        case inspect.BoolType():
            return True
        case inspect.VarTupleType() | inspect.ListType():
            return [_smallest(kind.item_type)] * (kind.min_length or 0)
        case inspect.DictType():
            return {}
    return None


def _keys(kind: inspect.Type) -> Iterator[str]:
    match kind:
        case inspect.StructType():
            if kind.tag_field is not None:
                yield kind.tag_field
            for field in kind.fields:
                yield field.encode_name
                yield from _keys(field.type)
        case inspect.UnionType():
            for inner in kind.types:
                yield from _keys(inner)
        case inspect.VarTupleType() | inspect.ListType():
            yield from _keys(kind.item_type)
        case inspect.DictType():
            yield from _keys(kind.value_type)
