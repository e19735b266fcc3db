"""A model in a process of our own: any GGUF file, run by llama.cpp, with no key and no network.

The process starts with the first turn, has a low priority, and is started again when it has died.
"""

import asyncio
import importlib.util
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.llm.chat import ChatCompletions
from locum.llm.endpoint import Timeouts
from locum.llm.llama_server import Ready, Wanted
from locum.llm.protocol import Event, ModelError, Request

_START_S = 180.0
_STOP_S = 5.0
_DEATH_S = 0.3


class Loading(Struct, frozen=True, kw_only=True):
    """How a GGUF file is loaded. `threads=0` leaves one core to everything else."""

    context_tokens: int = 8192
    parallel: int = 2
    threads: int = 0


class Embedded:
    name: ClassVar[str] = "embedded"

    def __init__(
        self,
        gguf: Path,
        *,
        label: str | None = None,
        loading: Loading = Loading(),  # noqa: B008 — frozen, so it can be shared
        timeouts: Timeouts = Timeouts(),  # noqa: B008
        command: Sequence[str] = (sys.executable, "-m", "locum.llm.llama_server"),
    ) -> None:
        self._gguf = gguf
        self._label = label or gguf.stem
        self._timeouts = timeouts
        self._wanted = Wanted(
            gguf=str(gguf),
            key=secrets.token_urlsafe(24),
            threads=loading.threads or max(1, _cores() - 1),
            context_tokens=loading.context_tokens,
            parallel=loading.parallel,
        )
        self._process = _Process(self._wanted, command)
        self._chat: ChatCompletions | None = None
        self._starting = asyncio.Lock()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        request = replace(request, model=self._label)
        was_restarted = False
        while True:
            chat = await self._running()
            has_begun = False
            try:
                async with aclosing(chat.stream(request)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
            except ModelError as error:
                is_final = has_begun or was_restarted or error.code != "server_error"
                if is_final or not await self._process.has_died():
                    raise
                # What killed it was perhaps another turn; this one is asked once more.
                was_restarted = True
            else:
                return

    @property
    def is_running(self) -> bool:
        return self._process.is_alive

    async def start(self) -> None:
        """Load the model now, so that the first turn need not wait for it."""
        await self._running()

    async def models(self) -> list[str]:
        return [self._label]

    async def check(self) -> str:
        self._look()
        return f"The embedded model {self._label} is loaded here when it is first asked."

    async def close(self) -> None:
        async with self._starting:
            await self._stop()

    async def _running(self) -> ChatCompletions:
        """Give the way to the process, which is started unless it lives."""
        async with self._starting:
            if self._chat and self.is_running:
                return self._chat
            await self._stop()
            self._look()
            address = await self._process.start()
            self._chat = ChatCompletions(
                f"{address}/v1", key=self._wanted.key, timeouts=self._timeouts, retries=1
            )
            return self._chat

    async def _stop(self) -> None:
        if self._chat:
            await self._chat.close()
            self._chat = None
        await self._process.stop()

    def _look(self) -> None:
        if not self._gguf.is_file():
            raise ModelError(
                f"The weights of {self._label} are not there: run `locum model get`, "
                "or name a GGUF file of your own."
            )
        if importlib.util.find_spec("xllamacpp") is None:
            raise ModelError("The embedded model needs a runtime: pip install 'locum[embedded]'.")


def _cores() -> int:
    # macOS cannot say which cores a process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process:
    """One `llama_server` process at a time. Its standard input is what keeps it alive."""

    def __init__(self, wanted: Wanted, command: Sequence[str]) -> None:
        self._wanted = wanted
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def has_died(self) -> bool:
        """Say whether it is dead, waiting a moment, as a death is heard of after its noise."""
        if self._process is None:
            return False  # Stopped, on purpose.
        try:
            async with asyncio.timeout(_DEATH_S):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def start(self) -> str:
        """Start, wait until the model is loaded, and say where it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Ctrl-C in a terminal is for the server, which ends its runs before its model.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START_S):
                ready = await self._introduce(self._process)
        except TimeoutError:
            ready = Ready(failure=f"it was not loaded within {_START_S:g} s")
        except BaseException:
            await self.stop()
            raise
        if not ready.address:
            await self.stop()
            file = Path(self._wanted.gguf).name
            raise ModelError(f"The embedded model cannot run '{file}': {ready.failure}")
        return ready.address

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin
        process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _introduce(self, process: asyncio.subprocess.Process) -> Ready:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(msgspec.json.encode(self._wanted) + b"\n")
            await process.stdin.drain()
            return msgspec.json.decode(await process.stdout.readline(), type=Ready)
        except (ConnectionError, msgspec.DecodeError):
            return Ready(failure="its process ended before the model was loaded")
