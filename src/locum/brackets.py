"""How deep JSON nests and how many values it holds, counted in its bytes.

To read a value takes up to a hundred times the memory of its bytes, so that it comes too late to
count them then. Most bodies are too short, or have too few brackets, to be looked at twice.
"""

from collections.abc import Iterator
from itertools import accumulate

from locum import limits

# Each of them begins a value, and every value that has neighbours has one at its side.
_BEGINNINGS = (b"{", b"[", b",")
_STEPS = dict(zip(b"{[}]", (1, 1, -1, -1), strict=True))
_NO_BRACKETS = bytes({*range(256)} - _STEPS.keys())
_PIECE = 1 << 16


def holds_too_many(body: bytes) -> bool:
    """Whether these bytes, which need not be JSON, hold more values than we read."""
    if len(body) <= limits.JSON_VALUES or _begun_in(body) <= limits.JSON_VALUES:
        return False
    return any(total > limits.JSON_VALUES for total in accumulate(map(_begun_in, _outside(body))))


def nests_too_deep(body: bytes) -> bool:
    """Whether this JSON nests deeper than all who read it could write it."""
    if body.count(b"{") + body.count(b"[") <= limits.NESTING:
        return False
    depth = 0
    for piece in _outside(body):
        brackets = piece.translate(None, _NO_BRACKETS)
        depths = list(accumulate(map(_STEPS.__getitem__, brackets), initial=depth))
        if max(depths) > limits.NESTING:
            return True
        depth = depths[-1]
    return False


def _outside(body: bytes) -> Iterator[bytes]:
    """What stands outside of strings. In pieces, as there may be millions of strings."""
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    inside = 0
    for start in range(0, len(unescaped), _PIECE):
        parts = unescaped[start : start + _PIECE].split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2


def _begun_in(piece: bytes) -> int:
    return sum(map(piece.count, _BEGINNINGS))
