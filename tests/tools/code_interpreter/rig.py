"""One sandbox and one event loop, driven from tests that are plain functions."""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import TypeVar

from locum.tools.code_interpreter.bubblewrap import Bubblewrap, candidates
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.processes import descendants
from locum.tools.code_interpreter.sandbox import Logs, Output, Picture, SandboxUnavailable
from locum.tools.code_interpreter.sessions import SandboxSettings, Sessions, WalledSession
from locum.tools.code_interpreter.unsafe import UnsafeSubprocess

Result = TypeVar("Result")

WALLED, UNSAFE = "bubblewrap", "unsafe-subprocess"
PATIENCE_S = 60.0


class FrozenClock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> int:
        return int(self.seconds)

    def now_ns(self) -> int:
        return self.now() * 1_000_000_000

    def monotonic(self) -> float:
        return self.seconds


class Rig:
    def __init__(self, sandbox: Sessions, loop: asyncio.Runner) -> None:
        self.sandbox = sandbox
        self._loop = loop
        self._keys = count()

    def wait(self, coroutine: Coroutine[None, None, Result]) -> Result:
        async def bounded() -> Result:
            async with asyncio.timeout(PATIENCE_S):
                return await coroutine

        return self._loop.run(bounded())

    def session(self, key: str | None = None) -> WalledSession:
        return self.wait(self.sandbox.session(key or f"thread_{next(self._keys)}"))

    def run(self, session: WalledSession, code: str) -> list[Output]:
        async def collected() -> list[Output]:
            async with aclosing(session.run(code)) as outputs:
                return [output async for output in outputs]

        return self.wait(collected())

    def logs(self, session: WalledSession, code: str) -> str:
        return "".join(o.text for o in self.run(session, code) if isinstance(o, Logs))

    def pictures(self, session: WalledSession, code: str) -> list[bytes]:
        return [o.data for o in self.run(session, code) if isinstance(o, Picture)]

    def read(self, session: WalledSession, name: str) -> bytes:
        async def whole() -> bytes:
            return b"".join([chunk async for chunk in await session.read(name)])

        return self.wait(whole())


def sandbox_of(
    tier: str,
    directory: Path,
    *,
    limits: Limits | None = None,
    packages: Path | None = None,
    hidden: Path | None = None,
    pool: int = 0,
    live: int = 64,
    clock: FrozenClock | None = None,
) -> Sessions:
    settings = SandboxSettings(
        directory=directory,
        packages=packages,
        hidden=hidden,
        limits=limits or Limits(),
        pool=pool,
        live=live,
    )
    if tier == UNSAFE:
        return UnsafeSubprocess(settings, clock=clock)
    found = candidates()
    if not found:
        raise SandboxUnavailable("no bubblewrap is installed")
    return Bubblewrap(settings, bwrap=found[0], clock=clock)


def our_processes() -> set[int]:
    """Every live process below this one: what a sandbox has started and not yet ended.

    Looked at twice, as where they are killed. A database that other tests have started here has
    processes that come and go when it likes.
    """
    found = descendants(os.getpid()) | descendants(os.getpid())
    return {pid for pid in found if _name(pid) != "postgres"}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
