"""Bytes too large for a row: written whole or not at all, read in pieces, found by a random key.

A blob is never changed. The row that holds its key is written after it and deleted before it,
so whatever fails in between leaves a blob without a row, and `sweep` removes those.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

PIECE_BYTES = 256 * 1024
_SWEPT_TOGETHER = 500


class BlobMissing(Exception):
    """The bytes that a row speaks of are gone."""


class BlobWriter(Protocol):
    async def write(self, data: bytes) -> None: ...

    async def commit(self) -> str:
        """Make it lasting; its key."""
        ...

    async def abort(self) -> None:
        """Leave nothing behind. Harmless after `commit`, so it belongs into a `finally`."""
        ...


class Stored(Struct, frozen=True):
    """What lies there: a blob, or the remains of one that was never finished."""

    key: str
    modified_at: float


class Blobs(Protocol):
    async def create(self) -> BlobWriter: ...

    def open(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` on, in pieces of at most `PIECE_BYTES`."""
        ...

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The blob as a file, for a program that needs one. Only to be read."""
        ...

    async def delete(self, key: str) -> None:
        """Remove it; one that is not there is removed already."""
        ...

    def stored(self) -> AsyncIterator[Stored]: ...


async def sweep(
    blobs: Blobs, known: Callable[[list[str]], Awaitable[set[str]]], *, before: float
) -> int:
    """Remove what no row holds and nobody has touched since `before`; how many there were.

    The age matters: a blob is there before its row is.
    """
    swept = 0
    old: list[str] = []
    async for stored in blobs.stored():
        if stored.modified_at < before:
            old.append(stored.key)
        if len(old) >= _SWEPT_TOGETHER:
            swept += await _remove_unknown(blobs, known, old)
            old.clear()
    return swept + await _remove_unknown(blobs, known, old)


async def _remove_unknown(
    blobs: Blobs, known: Callable[[list[str]], Awaitable[set[str]]], keys: list[str]
) -> int:
    unknown = set(keys) - await known(keys)
    for key in unknown:
        await blobs.delete(key)
    return len(unknown)
