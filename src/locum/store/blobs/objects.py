"""Blobs in an S3-compatible store, each as numbered objects of one size.

Not as one multipart upload: what a killed one leaves is billed and cannot be listed. Objects
can, so a blob that was never finished is swept like any other that no row holds. And a
reader asks for a range at a time, so that a slow client holds no connection open.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from locum.errors import Unavailable
from locum.store.blobs import PIECE_BYTES, BlobMissing, Stored

_OBJECT_BYTES = 8 * 1024 * 1024
_RANGE_BYTES = 1024 * 1024
_TIMEOUT = "60s"
_CONNECT_TIMEOUT = "5s"


class ObjectStoreBlobs:
    """A key is `token-size`: with the size, a reader knows every object and every range."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def at(cls, url: str, *, endpoint: str | None = None, retries: int = 3) -> "ObjectStoreBlobs":
        """The store at `s3://bucket/prefix`; its keys are read from the usual AWS_* variables."""
        return cls(
            from_url(
                url,
                config={"endpoint": endpoint} if endpoint else {},
                client_options={
                    "timeout": _TIMEOUT,
                    "connect_timeout": _CONNECT_TIMEOUT,
                    "allow_http": bool(endpoint and endpoint.startswith("http://")),
                },
                retry_config={"max_retries": retries},
            )
        )

    async def create(self) -> "_ObjectWriter":
        return _ObjectWriter(self._store, secrets.token_hex(16))

    async def open(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        token, size = _parts(key)
        while start < size:
            number, offset = divmod(start, _OBJECT_BYTES)
            end = min(offset + _RANGE_BYTES, _OBJECT_BYTES, offset + size - start)
            with _failures_named(missing=BlobMissing(key)):
                found = await obstore.get_range_async(
                    self._store, _name(token, number), start=offset, end=end
                )
            view = memoryview(found)
            for at in range(0, len(view), PIECE_BYTES):
                yield bytes(view[at : at + PIECE_BYTES])
            start += len(view)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        with tempfile.NamedTemporaryFile(prefix="locum-blob-", buffering=0) as file:
            async for piece in self.open(key):
                await asyncio.to_thread(file.write, piece)
            yield Path(file.name)

    async def delete(self, key: str) -> None:
        token, size = _parts(key)
        await _delete(self._store, token, objects=-(-size // _OBJECT_BYTES))

    async def stored(self) -> AsyncIterator[Stored]:
        """Objects are listed by name, so those of one blob stand together, the last one last."""
        token, size, modified_at = "", 0, 0.0
        with _failures_named(missing=_unreachable()):
            async for some in obstore.list(self._store):
                for found in some:
                    owner, _, number = found["path"].rpartition("/")
                    if owner != token and token:
                        yield Stored(f"{token}-{size}", modified_at)
                    token = owner
                    size = int(number) * _OBJECT_BYTES + found["size"]
                    modified_at = found["last_modified"].timestamp()
        if token:
            yield Stored(f"{token}-{size}", modified_at)


class _ObjectWriter:
    def __init__(self, store: ObjectStore, token: str) -> None:
        self._store = store
        self._token = token
        self._gathered = bytearray()
        self._objects = 0
        self._size = 0
        self._committed = False

    async def write(self, data: bytes) -> None:
        self._gathered += data
        while len(self._gathered) >= _OBJECT_BYTES:
            await self._put(bytes(self._gathered[:_OBJECT_BYTES]))
            del self._gathered[:_OBJECT_BYTES]

    async def commit(self) -> str:
        if self._gathered:
            await self._put(bytes(self._gathered))
            self._gathered.clear()
        self._committed = True
        return f"{self._token}-{self._size}"

    async def abort(self) -> None:
        if not self._committed:
            await _delete(self._store, self._token, objects=self._objects)

    async def _put(self, data: bytes) -> None:
        number = self._objects
        # Counted before it is sent: one that failed half-way may have arrived all the same.
        self._objects += 1
        with _failures_named(missing=_unreachable()):  # What is missing then is the bucket.
            await obstore.put_async(
                self._store, _name(self._token, number), data, use_multipart=False
            )
        self._size += len(data)


async def _delete(store: ObjectStore, token: str, *, objects: int) -> None:
    names = [_name(token, number) for number in range(objects)]
    with suppress(BlobMissing), _failures_named(missing=BlobMissing(token)):
        if names:
            await obstore.delete_async(store, names)


def _name(token: str, number: int) -> str:
    return f"{token}/{number:06}"


def _parts(key: str) -> tuple[str, int]:
    token, _, size = key.partition("-")
    return token, int(size)


@contextmanager
def _failures_named(*, missing: Exception) -> Iterator[None]:
    """What the store says in words of ours; `missing` is what it means that nothing is there."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing from error
    except BaseError as error:
        raise _unreachable() from error


def _unreachable() -> Unavailable:
    return Unavailable("The file store cannot be reached at the moment. Try again.")
