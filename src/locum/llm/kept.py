"""What a server gave with the calls of an answer and wants to see again with their results.

Gemini signs calls and refuses them without the signature; OpenRouter has details of its own for
that; DeepSeek and Kimi want to read again what they thought before they called. None of it belongs
to a run: it is kept in memory, the newest of it, and `quirks.py` knows what to write where it is
lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from locum.llm.protocol import Request, call_ids

_MOST_BYTES = 16 << 20
_IN_PIECES = ("text", "summary")


class Given(Struct, frozen=True):
    # Of each call, in their order.
    extras: tuple[Any, ...] = ()
    thoughts: str = ""
    details: Sequence[Any] = ()

    def __bool__(self) -> bool:
        return bool(self.thoughts or self.details or any(self.extras))


class Kept:
    """Found again by all that was said before the calls, so that nobody reads another's."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._given: dict[bytes, Given] = {}

    def keep(self, request: Request, ids: Sequence[str], given: Given) -> None:
        if not given:
            return
        said = _said_to(request.model)
        for message in request.messages:
            said.update(_encoded(message))
        key = _key(said, ids)
        self._drop(key)
        self._given[key] = given
        self._bytes += _size(given)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._given)))

    def of(self, request: Request) -> Mapping[int, Given]:
        """What was given with the calls of each of these messages, by their places."""
        found: dict[int, Given] = {}
        ids = [call_ids(message) for message in request.messages]
        last = max((place for place, those in enumerate(ids) if those), default=-1)
        if not self._given or last < 0:
            return found
        said = _said_to(request.model)
        for place, message in enumerate(request.messages[: last + 1]):
            if ids[place] and (given := self._given.get(_key(said, ids[place]))):
                found[place] = given
            said.update(_encoded(message))
        return found

    def _drop(self, key: bytes) -> None:
        if given := self._given.pop(key, None):
            self._bytes -= _size(given)


def joined(pieces: Iterable[Any]) -> list[dict[str, Any]]:
    """Details as OpenRouter wants them back; what is text comes in pieces of one place."""
    # Each with the name of its text, if it has one, and the pieces of that.
    details: list[tuple[dict[str, Any], str | None, list[str]]] = []
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        told = next((name for name in _IN_PIECES if isinstance(piece.get(name), str)), None)
        last, last_told, text = details[-1] if details else ({}, None, [])
        if told and told == last_told and _place(last) == _place(piece):
            last.update({name: value for name, value in piece.items() if value is not None})
            text.append(piece[told])
        else:
            details.append((dict(piece), told, [piece[told]] if told else []))
    return [detail | {told: "".join(text)} if told else detail for detail, told, text in details]


def _place(piece: Mapping[str, Any]) -> tuple[Any, Any]:
    return piece.get("type"), piece.get("index")


def _said_to(model: str) -> blake2b:
    return blake2b(_encoded(model), digest_size=16)


def _key(said: blake2b, ids: Sequence[str]) -> bytes:
    key = said.copy()
    key.update(_encoded(ids))
    return key.digest()


def _encoded(told: Any) -> bytes:
    return msgspec.json.encode(told)


def _size(given: Given) -> int:
    return len(_encoded(given))
