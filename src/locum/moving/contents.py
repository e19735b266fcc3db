"""The bytes of files that move: looked for in the sources, copied into blobs, compared."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from locum.moving.kinds import FILES
from locum.moving.objects import Refused, made
from locum.moving.sources import Sources
from locum.moving.writing import CREATED, DIFFERS, REFUSED, REPLACED, UNCHANGED, Writer, same
from locum.store.blobs import BlobMissing, Blobs
from locum.store.staging import Staged, Staging
from locum.store.tables import Store
from locum.wire.files import File

_PIECE_BYTES: Final = 256 * 1024


class Contents:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        staging: Staging,
        sources: Sources,
        *,
        writer: Writer,
        replaces: bool,
        dry: bool,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._staging = staging
        self._sources = sources
        self._writer = writer
        self._replaces = replaces
        self._dry = dry

    async def write_file(self, project_id: str, staged: Staged, *, now: int) -> str:
        """A file with its bytes. Without them there is nothing to import: it is refused."""
        value: dict[str, Any] = msgspec.json.decode(staged.document)
        held = await self._store.files.find(project_id, staged.id)
        before = None if held is None else held.read()
        try:
            file, notes = made(FILES, value, now=before.created_at if before else now)
            path = self._path(project_id, file, is_here=before is not None, now=now)
            state = await self._settled(project_id, file, before, path)
        except Refused as refused:
            self._writer.note(FILES, staged.id, f"not imported: {refused}")
            return REFUSED
        for said in notes:
            self._writer.note(FILES, staged.id, said)
        return state

    def _path(self, project_id: str, file: File, *, is_here: bool, now: int) -> str | None:
        """Where the bytes lie: by the id of the file, else by its name and its size."""
        if file.expires_at is not None and file.expires_at <= now:
            raise Refused("it has expired")
        name = file.filename.rpartition("/")[2]
        path = self._staging.content(project_id, file.id) or self._staging.content(
            "", f"name/{name}/{file.bytes}"
        )
        if not path and not is_here:
            raise Refused("its content is not in the dump")
        return path or None

    async def _settled(
        self, project_id: str, file: File, before: File | None, path: str | None
    ) -> str:
        if path is None:
            assert before is not None
            return self._compared(file, before, is_same=same(before, file))
        size, digest = await self._measure(path)
        if size != file.bytes:
            self._writer.note(FILES, file.id, f"it was said to have {file.bytes} bytes, not {size}")
            file = replace(file, bytes=size)
        if before is not None:
            kept = same(before, file) and digest == await self._digest(project_id, file.id)
            state = self._compared(file, before, is_same=kept)
            if state != REPLACED:
                return state
        if not self._dry:
            await self._store_file(project_id, file, path, replaces=before is not None)
        return CREATED if before is None else REPLACED

    def _compared(self, file: File, before: File, *, is_same: bool) -> str:
        if is_same:
            return UNCHANGED
        if not self._replaces:
            what = "content" if same(before, file) else "object"
            self._writer.note(FILES, file.id, f"another {what} is here; see --replace")
            return DIFFERS
        return REPLACED

    async def _store_file(self, project_id: str, file: File, path: str, *, replaces: bool) -> None:
        """The blob first, then the row that holds it; a blob that nobody holds is swept."""
        writer = await self._blobs.create()
        try:
            async for piece in self._pieces(path):
                await writer.write(piece)
            key = await writer.commit()
        finally:
            await writer.abort()
        columns: dict[str, Any] = {
            "purpose": file.purpose,
            "expires_at": file.expires_at,
            "blob": key,
        }
        old: str | None = None
        async with self._store.transaction() as tx:
            if replaces:
                old = await self._store.files.blob(project_id, file.id, reader=tx)
                await self._store.files.replace(tx, project_id, file.id, file, **columns)
            else:
                await self._store.files.insert(tx, project_id, file.id, file, **columns)
        if old is not None:
            await self._blobs.delete(old)

    async def _measure(self, path: str) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        async for piece in self._pieces(path):
            size += len(piece)
            digest.update(piece)
        return size, digest.hexdigest()

    async def _digest(self, project_id: str, file_id: str) -> str | None:
        key = await self._store.files.blob(project_id, file_id)
        if key is None:
            return None
        digest = hashlib.sha256()
        try:
            async for piece in self._blobs.open(key):
                digest.update(piece)
        except BlobMissing:
            return None
        return digest.hexdigest()

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        try:
            with self._sources.open(path) as file:
                while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                    yield piece
        except (OSError, RuntimeError, EOFError) as error:
            raise Refused(f"its content cannot be read: {error}") from error
