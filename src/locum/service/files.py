"""Files: bytes with a name and a purpose."""

from collections.abc import AsyncGenerator

from msgspec import Struct


class Download(Struct, frozen=True):
    """The bytes of a file, as they are read, and how they are labelled."""

    pieces: AsyncGenerator[bytes, None]
    media: str
    headers: dict[str, str]
