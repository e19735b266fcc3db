"""The shapes dumps have: pages, arrays, threads with all that hangs on them, bundles by name.

Whatever the shape, what comes out is one object after the other, each with its kind and its
owners, in the order in which they stand in the dump.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from locum.moving.kinds import (
    ASSISTANTS,
    BY_LIST,
    BY_OBJECT,
    FILES,
    MESSAGES,
    RUNS,
    STEPS,
    THREADS,
    VECTOR_STORES,
    Kind,
)

_MOST_DEPTH: Final = 16
_PAGE_KEYS: Final = frozenset(
    {"object", "data", "first_id", "last_id", "has_more", "next_page", "body", "total"}
)
# What may stand in an object that is not part of it, and the kind of what stands there.
_WITHIN: Final[Mapping[str, Mapping[str, Kind]]] = {
    "threads": {"messages": MESSAGES, "runs": RUNS, "steps": STEPS, "run_steps": STEPS},
    "runs": {"steps": STEPS, "run_steps": STEPS, "messages": MESSAGES},
    "vector_stores": {"files": BY_LIST["vector_store_files"]}
    | {name: BY_LIST[name] for name in ("vector_store_files", "file_batches")},
    "assistants": {"threads": THREADS},
}
_OWNERS: Final[Mapping[str, Kind]] = {
    "assistant_id": ASSISTANTS,
    "thread_id": THREADS,
    "run_id": RUNS,
    "vector_store_id": VECTOR_STORES,
}
# Names that export scripts give to the fields of messages when they write them flat.
_FLAT: Final[Mapping[str, str]] = {
    "message_id": "id",
    "text": "content",
    "timestamp": "created_at",
    "created": "created_at",
}


class Around(Struct, frozen=True):
    """What is known of an object from where it stands."""

    kind: Kind | None = None
    owners: tuple[tuple[str, str], ...] = ()
    depth: int = 0

    def below(self, kind: Kind | None, **owners: object) -> "Around":
        known = dict(self.owners)
        known.update({name: value for name, value in owners.items() if isinstance(value, str)})
        return Around(kind, tuple(known.items()), self.depth + 1)


class Piece(Struct, frozen=True):
    """One object of a dump; `kind` is None for what was not recognised, and `value` says why."""

    kind: Kind | None
    value: Any


def pieces(value: object, around: Around) -> Iterator[Piece]:
    if around.depth > _MOST_DEPTH:
        yield Piece(None, "it is nested too deeply")
    elif isinstance(value, list):
        inside = replace(around, depth=around.depth + 1)
        for one in value:
            yield from pieces(one, inside)
    elif isinstance(value, dict):
        yield from _of_object(value, around)
    else:
        yield Piece(None, "it is neither an object nor an array")


def _of_object(value: dict[str, Any], around: Around) -> Iterator[Piece]:
    if _is_page(value):
        yield from pieces(value["data"], replace(around, depth=around.depth + 1))
        return
    kind = _kind(value, around)
    if kind is None:
        yield from _of_container(value, around)
        return
    own = dict(value)
    if kind is MESSAGES:
        own = {_FLAT.get(name, name) if _FLAT.get(name) not in own else name: one
               for name, one in own.items()}  # fmt: skip
    for name, known in around.owners:
        if own.get(name) is None and _is_told_by_others(name, kind, own):
            own[name] = known
    inside = [
        (below, own.pop(name))
        for name, below in _WITHIN.get(kind.name, {}).items()
        if isinstance(own.get(name), list | dict)
    ]
    yield Piece(kind, own)
    for below, children in inside:
        yield from pieces(children, _inside(kind, own, below, around))


def _is_told_by_others(name: str, kind: Kind, own: Mapping[str, Any]) -> bool:
    """Whether a field says what an object hangs on, which may be known from where it stands.

    What a user wrote is of no run; nor is an answer that says so itself.
    """
    if kind is MESSAGES and name in ("assistant_id", "run_id"):
        return own.get("role") == "assistant" and name not in own
    return name in kind.type.__struct_fields__


def _inside(kind: Kind, own: dict[str, Any], below: Kind, around: Around) -> Around:
    if kind is THREADS:
        return around.below(below, thread_id=own.get("id"))
    if kind is RUNS:
        return around.below(below, run_id=own.get("id"), thread_id=own.get("thread_id"))
    if kind is VECTOR_STORES:
        return around.below(below, vector_store_id=own.get("id"))
    return around.below(below)


def _is_page(value: dict[str, Any]) -> bool:
    return isinstance(value.get("data"), list) and value.keys() <= _PAGE_KEYS


def _kind(value: dict[str, Any], around: Around) -> Kind | None:
    """By what the object says it is, else by its id, else by the name of its list."""
    told = value.get("object")
    if isinstance(told, str):
        return BY_OBJECT.get(told)
    object_id = value.get("id", value.get("message_id"))
    if not isinstance(object_id, str):
        return None
    if around.kind is not None and around.kind.accepts(object_id):
        return around.kind
    for kind in (*_OWNERS.values(), MESSAGES, STEPS, FILES):
        if kind.accepts(object_id):
            return kind
    # The kind that it stands for, so that its foreign id is what is complained of.
    return around.kind


def _of_container(value: dict[str, Any], around: Around) -> Iterator[Piece]:
    """A bundle: kinds by name, objects by id, or both."""
    if "object" in value:
        yield Piece(None, "Locum has no place for an object of this kind")
        return
    owners = {name: value[name] for name in _OWNERS if name in value}
    for name, kind in (("thread", THREADS), ("run", RUNS), ("vector_store", VECTOR_STORES)):
        inner = value.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("id"), str):
            owners[f"{kind.name.removesuffix('s')}_id"] = inner["id"]
    known = False
    for name, one in value.items():
        if not isinstance(one, list | dict):
            continue
        if name in BY_LIST:
            known = True
            yield from pieces(one, around.below(_listed(name, owners), **owners))
        elif (owner := _owner_of(name)) is not None:
            known = True
            inside = around.kind
            if inside is None or inside in _OWNERS.values():
                inside = MESSAGES if owner == "thread_id" else None
            yield from pieces(one, around.below(inside, **{owner: name}))
    if not known:
        yield Piece(None, "it was not recognised")


def _listed(name: str, owners: Mapping[str, object]) -> Kind:
    if name == "files" and "vector_store_id" in owners:
        return BY_LIST["vector_store_files"]
    return BY_LIST[name]


def _owner_of(name: str) -> str | None:
    return next((field for field, kind in _OWNERS.items() if kind.accepts(name)), None)
