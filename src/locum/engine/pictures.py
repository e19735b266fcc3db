"""The pictures of a prompt: read when it is known which the model will see, and no more than that.

They are sent as text with the request, so a request carries the newest as far as there is room.
"""

import base64
from collections.abc import Sequence
from pathlib import PurePath

from locum.llm import protocol as llm
from locum.store.blobs import BlobMissing, Blobs
from locum.store.tables import Store
from locum.wire.files import File

# Pictures larger than this are left out; no model takes them.
_LARGEST_BYTES = 20 * 1024 * 1024
# As they are sent, all those of a request: what large providers take of one.
_TOGETHER_BYTES = 50 * 1024 * 1024
_MEDIA = {
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
_SIGNS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_DELETED = llm.Text("[A picture that has been deleted.]")


class Stored(llm.Image, frozen=True, kw_only=True):
    """A picture that is a file here, and has not been read yet."""

    file_id: str


def stored(file_id: str, detail: str) -> Stored:
    return Stored(llm.ImageURL("", detail), file_id=file_id)


def said_by_user(parts: Sequence[llm.Part]) -> llm.User:
    """As text where it is nothing else: not every server takes parts."""
    if all(isinstance(part, llm.Text) for part in parts):
        return llm.User("\n".join(part.text for part in parts if isinstance(part, llm.Text)))
    return llm.User(tuple(parts))


class Pictures:
    """Those of one run: what was read for a turn is not read again for the next."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        # What the last request showed, by file: its address with all its bytes.
        self._read: dict[str, str] = {}

    async def shown(
        self, project_id: str, messages: Sequence[llm.Message]
    ) -> tuple[llm.Message, ...]:
        """The messages with their pictures, the newest of them as far as there is room."""
        album = _Album(self._store, self._blobs, project_id=project_id, known=self._read)
        told = [await album.message(message) for message in reversed(messages)]
        self._read = album.read
        return tuple(reversed(told))


class _Album:
    """The pictures of one request, gone through from its end."""

    def __init__(
        self, store: Store, blobs: Blobs, *, project_id: str, known: dict[str, str]
    ) -> None:
        self.read: dict[str, str] = {}
        self._store = store
        self._blobs = blobs
        self._project_id = project_id
        self._known = known
        self._files: dict[str, tuple[File, str] | None] = {}
        self._room = _TOGETHER_BYTES

    async def message(self, message: llm.Message) -> llm.Message:
        if not isinstance(message, llm.User) or isinstance(message.content, str):
            return message
        parts = [await self._part(part) for part in reversed(message.content)]
        return said_by_user(parts[::-1])

    async def _part(self, part: llm.Part) -> llm.Part:
        match part:
            case llm.Text():
                return part
            case Stored():
                return await self._stored(part)
        if len(part.image_url.url) > self._room:
            return _no_longer("A picture that")
        self._room -= len(part.image_url.url)
        return part

    async def _stored(self, part: Stored) -> llm.Part:
        if part.file_id not in self._files:
            found = await self._store.files.with_blob(self._project_id, part.file_id)
            self._files[part.file_id] = found
        kept = self._files[part.file_id]
        if kept is None:
            return _DELETED
        file, blob = kept
        if file.bytes > _LARGEST_BYTES:
            return llm.Text(f"[The picture {file.filename} is too large to be shown.]")
        if _address_chars(file) > self._room:
            return _no_longer(f"The picture {file.filename}")
        address = self.read.get(file.id) or self._known.get(file.id)
        try:
            address = address or await self._address(file, blob)
        except BlobMissing:
            return _DELETED
        self.read[file.id] = address
        self._room -= len(address)
        return llm.Image(llm.ImageURL(address, part.image_url.detail))

    async def _address(self, file: File, blob: str) -> str:
        data = b"".join([piece async for piece in self._blobs.open(blob)])
        return f"data:{_media(file, data)};base64,{base64.b64encode(data).decode()}"


def _no_longer(named: str) -> llm.Text:
    return llm.Text(f"[{named} is no longer shown: there is no room for it.]")


def _media(file: File, data: bytes) -> str:
    """What a picture is, whatever it is called: models' servers refuse what is neither."""
    for sign, media in _SIGNS.items():
        if data.startswith(sign):
            return media
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return _MEDIA.get(PurePath(file.filename).suffix.lower(), "image/png")


def _address_chars(file: File) -> int:
    return len("data:image/jpeg;base64,") + -(-file.bytes // 3) * 4
