"""What the code interpreter asks of the walls around it, whichever they are."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from pathlib import Path
from typing import ClassVar, Protocol

from msgspec import Struct


class Logs(Struct, frozen=True):
    """Printed text, the value of the last expression, a traceback, or what stopped the code."""

    text: str


class Picture(Struct, frozen=True):
    """An image the code has shown, as PNG bytes."""

    data: bytes


Output = Logs | Picture


class Owner(Struct, frozen=True):
    """Whose session it is."""

    project_id: str = ""
    thread_id: str = ""


class Session(Protocol):
    """One Python process behind walls; its variables live as long as it does."""

    def run(self, code: str) -> AsyncGenerator[Output, None]:
        """Run `code` and tell its outputs as they come.

        Exceptions of the code, time-outs, kills and dead interpreters are `Logs`, never raised;
        after a death the next call starts a fresh interpreter over the same files, and says so.
        Only where none can be started, `SandboxUnavailable` is raised.
        Closing the iterator, or cancelling its task, stops the code at once, children included.
        """
        ...

    async def put(self, name: str, source: Path, *, of: str = "") -> None:
        """Show a copy of `source` as `/mnt/data/{name}`; `name` is one safe path segment.

        What is `of` something can be told from what code has written, and taken away.
        """
        ...

    async def keep_only(self, of: Collection[str]) -> set[str]:
        """Take away what was put there of anything but these; the names that have become free.

        What the code has changed since is its own, and stays.
        """
        ...

    async def files(self) -> dict[str, "Written"]:
        """Regular files below `/mnt/data`, by relative path; links and devices are not files."""
        ...

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """The bytes of one file of `files()`; never follows a link out of `/mnt/data`."""
        ...

    async def close(self) -> None:
        """End the process. The files stay."""
        ...


class Written(Struct, frozen=True):
    size_bytes: int
    modified_ns: int


class Kept(Struct, frozen=True):
    """What is known of a session, whether it lives or not."""

    owner: Owner
    of: frozenset[str]
    """What there are copies of in it."""


class Sandbox(Protocol):
    """Makes sessions, or says why it cannot."""

    tier: ClassVar[str]

    @property
    def live(self) -> int:
        """How many sessions have a process, or are about to."""
        ...

    async def session(self, key: str, owner: Owner) -> Session:
        """The live session of `key` (a thread), or a new one over that key's files."""
        ...

    async def forget(self, key: str) -> None:
        """End the session and delete its files."""
        ...

    async def kept(self) -> dict[str, Kept | None]:
        """Sessions that live here or have files here, but for those of others that still serve.

        What is told of one is None when its files are nobody's.
        """
        ...

    async def keep_only(self, key: str, of: Collection[str]) -> None:
        """As of a `Session`, unless code runs in it. Of what is nobody's nothing is kept."""
        ...

    async def check(self) -> str:
        """One line for `locum doctor`; raises `SandboxUnavailable` with what to do."""
        ...

    async def close(self) -> None: ...


class SandboxUnavailable(Exception):
    """No walls can be built here. The message says why and what would help."""
