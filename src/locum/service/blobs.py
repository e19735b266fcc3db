"""Bytes that arrive: counted, written to a blob, and gone again unless a row comes to hold them."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from locum import logs
from locum.errors import LocumError, TooLarge
from locum.service.scope import House, Scope
from locum.store.blobs import BlobWriter


class Arriving:
    """A blob being written."""

    def __init__(self, writer: BlobWriter, *, limit: int) -> None:
        self.size = 0
        self.key: str | None = None
        self._writer = writer
        self._limit = limit

    async def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._limit:
            raise TooLarge(f"The file is too large: it may have at most {self._limit} bytes.")
        await self._writer.write(piece)

    async def keep(self) -> str:
        """Make it lasting; the key for the row that holds it."""
        self.key = await self._writer.commit()
        return self.key


@asynccontextmanager
async def arriving(scope: Scope, *, limit: int) -> AsyncIterator[Arriving]:
    """Whatever ends the block early, a client that hangs up above all, leaves no blob."""
    writer = await scope.house.blobs.create()
    blob = Arriving(writer, limit=limit)
    try:
        yield blob
    except LocumError:
        if blob.key is not None:
            await _discard_unheld(scope, blob.key)
        raise
    finally:
        await _abort(writer)


async def _abort(writer: BlobWriter) -> None:
    """Where the store is out of reach, the sweep finds what is left; why it came to this counts."""
    try:
        await writer.abort()
    except (LocumError, OSError) as error:
        logs.warning("blob.left_behind", reason=type(error).__name__)


async def join(scope: Scope, blob: Arriving, keys: Sequence[str], *, hashed: bool) -> str | None:
    """Write blobs one after the other into a new one; its MD5 when that is asked for."""
    digest = hashlib.md5(usedforsecurity=False) if hashed else None
    for key in keys:
        async for piece in scope.house.blobs.open(key):
            await blob.write(piece)
            if digest is not None:
                digest.update(piece)
    return None if digest is None else digest.hexdigest()


async def discard(house: House, keys: Sequence[str]) -> None:
    """Remove blobs whose rows are gone; what fails here is left to the sweep."""
    for key in keys:
        try:
            await house.blobs.delete(key)
        except (LocumError, OSError) as error:
            logs.warning("blob.left_behind", reason=type(error).__name__)


async def _discard_unheld(scope: Scope, key: str) -> None:
    """The row was refused. Whether a commit that failed took place is asked, not guessed."""
    try:
        if key in await scope.store.files.known_blobs([key]):
            return
    except LocumError as error:
        logs.warning("blob.left_behind", reason=type(error).__name__)
        return
    await discard(scope.house, [key])
