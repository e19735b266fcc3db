"""Blobs: whole or not at all, in a directory and in an object store alike."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.kit.object_store import CREDENTIALS, bucket

from locum.errors import StorageFull, Unavailable
from locum.store.blobs import PIECE_BYTES, BlobMissing, Blobs, sweep
from locum.store.blobs.local import LocalBlobs
from locum.store.blobs.objects import ObjectStoreBlobs

_OBJECT_BYTES = 8 * 1024 * 1024
Check = Callable[[Blobs], Awaitable[None]]
_FUTURE = 9e12


@pytest.fixture(params=["local", "objects"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Check], None]]:
    """Run a check against one kind of blobs, empty at first."""

    async def bounded(check: Check, blobs: Blobs) -> None:
        async with asyncio.timeout(60):
            await check(blobs)

    if request.param == "local":
        yield lambda check: asyncio.run(bounded(check, LocalBlobs(tmp_path / "blobs")))
    else:
        with bucket() as (url, endpoint):
            blobs = ObjectStoreBlobs.at(url, endpoint=endpoint)
            yield lambda check: asyncio.run(bounded(check, blobs))


async def _put(blobs: Blobs, *pieces: bytes) -> str:
    writer = await blobs.create()
    try:
        for piece in pieces:
            await writer.write(piece)
        return await writer.commit()
    finally:
        await writer.abort()


async def _get(blobs: Blobs, key: str, *, start: int = 0) -> bytes:
    return b"".join([piece async for piece in blobs.open(key, start=start)])


async def _keys(blobs: Blobs) -> list[str]:
    return [stored.key async for stored in blobs.stored()]


async def _known_none(keys: list[str]) -> set[str]:
    return set()


@pytest.mark.parametrize(
    "size",
    [0, 1, PIECE_BYTES, PIECE_BYTES + 1, _OBJECT_BYTES, 2 * _OBJECT_BYTES + 12_345],
)
def test_what_was_written_is_read_from_anywhere(on: Callable[[Check], None], size: int) -> None:
    data = os.urandom(size)

    async def check(blobs: Blobs) -> None:
        half = size // 3
        key = await _put(blobs, data[:half], b"", data[half:])
        for start in {0, 1, size // 2, PIECE_BYTES, _OBJECT_BYTES - 1, size - 1, size, size + 9}:
            if start >= 0:
                assert await _get(blobs, key, start=start) == data[start:], start

    on(check)


def test_pieces_are_small(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        key = await _put(blobs, bytes(3 * PIECE_BYTES + 1))
        sizes = [len(piece) async for piece in blobs.open(key)]
        assert max(sizes) <= PIECE_BYTES
        assert min(sizes) >= 1

    on(check)


def test_many_small_writes_make_one_blob(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        key = await _put(blobs, *[bytes([number % 256]) * 999 for number in range(1500)])
        data = await _get(blobs, key)
        assert len(data) == 999 * 1500
        assert data[-1] == 1499 % 256

    on(check)


def test_a_blob_can_be_had_as_a_file(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        key = await _put(blobs, b"a", b"b")
        async with blobs.local(key) as path:
            assert path.read_bytes() == b"ab"

    on(check)


def test_what_is_not_there_is_missing(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        key = await _put(blobs, b"x")
        await blobs.delete(key)
        await blobs.delete(key)
        with pytest.raises(BlobMissing):
            await _get(blobs, key)
        with pytest.raises(BlobMissing):
            async with blobs.local(key):
                pass
        assert await _keys(blobs) == []

    on(check)


def test_an_aborted_blob_leaves_nothing(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        writer = await blobs.create()
        await writer.write(bytes(2 * _OBJECT_BYTES + 5))
        await writer.abort()
        await writer.abort()
        assert await _keys(blobs) == []

    on(check)


def test_a_reader_may_leave_early(on: Callable[[Check], None]) -> None:
    """An open file that is forgotten would warn, and a warning fails the test."""

    async def check(blobs: Blobs) -> None:
        key = await _put(blobs, bytes(5 * PIECE_BYTES))
        async for _ in blobs.open(key):
            break
        await blobs.delete(key)

    on(check)


def test_two_blobs_never_share_a_key(on: Callable[[Check], None]) -> None:
    async def check(blobs: Blobs) -> None:
        keys = [await _put(blobs, b"same") for _ in range(5)]
        assert sorted(await _keys(blobs)) == sorted(set(keys))

    on(check)


def test_sweeping_removes_orphans_and_the_unfinished_but_nothing_known_or_young(
    on: Callable[[Check], None],
) -> None:
    async def check(blobs: Blobs) -> None:
        kept, empty = await _put(blobs, bytes(_OBJECT_BYTES + 1)), await _put(blobs)
        await _put(blobs, b"orphan")
        killed = await blobs.create()
        await killed.write(bytes(_OBJECT_BYTES + PIECE_BYTES))

        async def known(keys: list[str]) -> set[str]:
            return {kept, empty} & set(keys)

        assert await sweep(blobs, known, before=0) == 0
        assert await sweep(blobs, known, before=_FUTURE) == 2
        assert await sweep(blobs, known, before=_FUTURE) == 0
        assert len(await _get(blobs, kept)) == _OBJECT_BYTES + 1
        assert await _get(blobs, empty) == b""
        await killed.abort()

    on(check)


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reaches inside: a disk cannot be filled in a test without the rights to mount one."""

    def fail(_: BinaryIO, __: bytearray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def check() -> None:
        blobs = LocalBlobs(tmp_path)
        monkeypatch.setattr("locum.store.blobs.local._write_all", fail)
        with pytest.raises(StorageFull):
            await _put(blobs, bytes(PIECE_BYTES))
        with pytest.raises(StorageFull):
            await _put(blobs, b"x")
        assert await _keys(blobs) == []

    asyncio.run(check())


def test_another_failure_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    async def check() -> None:
        blobs = LocalBlobs(tmp_path / "blobs")
        (tmp_path / "blobs" / "unfinished").rmdir()
        with pytest.raises(FileNotFoundError):
            await blobs.create()

    asyncio.run(check())


def test_a_key_from_outside_reaches_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    blobs = LocalBlobs(tmp_path / "blobs")
    for key in ("../secret", "unfinished/../../secret", "/etc/passwd", "..", "aa/bb", ""):
        with pytest.raises(AssertionError):
            asyncio.run(_get(blobs, key))


def test_a_store_that_cannot_be_reached_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(endpoint: str) -> None:
        blobs = ObjectStoreBlobs.at("s3://bucket", endpoint=endpoint, retries=0)
        with pytest.raises(Unavailable):
            await _put(blobs, b"x")
        with pytest.raises(Unavailable):
            await _keys(blobs)

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asyncio.run(check(f"http://127.0.0.1:{port}"))
