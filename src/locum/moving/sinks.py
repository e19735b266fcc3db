"""Where an export goes: a folder, or one stream of lines. An import reads either."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from locum.moving.gathering import CONTENT, EXPORT, PROJECT
from locum.moving.kinds import Kind
from locum.moving.sources import MARKER
from locum.store.blobs import BlobMissing

_VERSION: Final = 1
# A multiple of three, so that only the last piece is padded.
_PIECE_BYTES: Final = 3 * 64 * 1024
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")


class FolderSink:
    """`projects/{id}/{kind}.jsonl`, and the bytes of files in `projects/{id}/files/{file id}`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._project = folder
        self._open: dict[str, IO[str]] = {}
        self._held = ExitStack()

    def begin_project(self, project_id: str, name: str) -> None:
        self.close()
        self._project = self._folder / "projects" / _folder_name(project_id)
        (self._project / "files").mkdir(parents=True)
        (self._project / MARKER).write_text(f"{_project(project_id, name)}\n", "utf-8")

    def write(self, kind: Kind, line: str) -> None:
        file = self._open.get(kind.name)
        if file is None:
            path = self._project / f"{kind.name}.jsonl"
            file = self._held.enter_context(path.open("w", encoding="utf-8"))
            self._open[kind.name] = file
        file.write(f"{line}\n")

    async def write_content(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        assert _PLAIN.match(file_id), "a file's id is a file name, too"
        path = self._project / "files" / file_id
        try:
            with await asyncio.to_thread(path.open, "wb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
        except BlobMissing:
            # An import would take what is there for all there was.
            await asyncio.to_thread(path.unlink)
            raise

    def finish(self, told: dict[str, object]) -> None:
        """Say at last what the folder holds: one without this file is not whole."""
        self.close()
        manifest = {"object": EXPORT, "version": _VERSION} | told
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        (self._folder / "manifest.json").write_bytes(text + b"\n")

    def close(self) -> None:
        self._held.close()
        self._open.clear()


class LinesFolder:
    """One file of lines for each name: conversations, their items, responses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, IO[bytes]] = {}
        self._held = ExitStack()

    def write(self, name: str, value: dict[str, Any]) -> None:
        if name not in self._open:
            path = self._folder / f"{name}.jsonl"
            self._open[name] = self._held.enter_context(path.open("wb"))
        self._open[name].write(msgspec.json.encode(value) + b"\n")

    def close(self) -> None:
        self._held.close()
        self._open.clear()


class StreamSink:
    """One line after the other; bytes go in pieces, as lines of their own."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._line(msgspec.json.encode({"object": EXPORT, "version": _VERSION}))

    def begin_project(self, project_id: str, name: str) -> None:
        self._line(_project(project_id, name).encode())

    def write(self, kind: Kind, line: str) -> None:
        del kind  # Every line says what it is.
        self._line(line.encode())

    async def write_content(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        gathered = bytearray()
        async for piece in pieces:
            gathered += piece
            while len(gathered) >= _PIECE_BYTES:
                self._content(file_id, bytes(gathered[:_PIECE_BYTES]))
                del gathered[:_PIECE_BYTES]
        self._content(file_id, bytes(gathered))

    def _content(self, file_id: str, data: bytes) -> None:
        told = {"object": CONTENT, "file_id": file_id, "base64": base64.b64encode(data).decode()}
        self._line(msgspec.json.encode(told))

    def _line(self, line: bytes) -> None:
        self._out.write(line + b"\n")


def _folder_name(project_id: str) -> str:
    """The id, which operators choose, or what is as good as it in a path."""
    if _PLAIN.match(project_id):
        return project_id
    return hashlib.sha256(project_id.encode()).hexdigest()[:32]


def _project(project_id: str, name: str) -> str:
    told = {"object": PROJECT, "id": project_id, "name": name}
    return msgspec.json.encode(told).decode()
