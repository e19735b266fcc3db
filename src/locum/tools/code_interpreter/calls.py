"""One call: code goes in, outputs come out, and every way it can end is a log."""

import asyncio
import codecs
from collections.abc import AsyncGenerator, Iterator
from secrets import token_hex

from locum.tools.code_interpreter import processes
from locum.tools.code_interpreter.files import DataDirectory
from locum.tools.code_interpreter.frames import (
    Done,
    Frame,
    HostileFrameError,
    Ready,
    Request,
    Said,
    Shown,
    Taken,
)
from locum.tools.code_interpreter.interpreter import Interpreter
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import Logs, Output, Picture

_MEMORY_EVERY_S = 0.05
_DISK_EVERY_S = 0.25
_READ = 1 << 16
# Past its limit, output is read and dropped at this pace: the pipe then slows the code down.
_DROP, _DROP_EVERY_S = 1 << 20, 0.05
_NOT_SHOWN = b"[a picture was not shown: no PNG, or too large]"
_PNG = b"\x89PNG\r\n\x1a\n"
# SIGXCPU, as told by the walls and by the kernel; not every system has a name for it.
_OUT_OF_CPU = frozenset({128 + 24, -24})
_DYING_S = 0.5
_DIED = "The interpreter died."


class Call:
    def __init__(self, interpreter: Interpreter, data: DataDirectory, limits: Limits) -> None:
        self._interpreter = interpreter
        self._data = data
        self._limits = limits
        self._token = token_hex(16)
        self._taken = Taken(self._token)
        self._text = _Text(limits.output_bytes)
        self._pictures = 0
        self._over = False
        self._dead = False
        self._hostile = False
        self._deadline = 0.0
        self._interrupted = False

    async def outputs(self, code: str) -> AsyncGenerator[Output, None]:
        """Ends with the interpreter settled and ready for the next call, or killed."""
        loop = asyncio.get_running_loop()
        allowed = max(self._limits.disk_bytes, (await self._data.usage()).size_bytes)
        self._deadline = loop.time() + self._limits.wall_s
        watch = _Watch(self._interpreter, self._data, self._limits, allowed_bytes=allowed)
        try:
            end = await self._begin(code)
            while end is None and not self._over:
                await self._interpreter.readable(_MEMORY_EVERY_S)
                async for output in self._arrived():
                    yield output
                end = self._ended() or await watch.complaint(loop.time())
        finally:
            watch.end()
        end = await self._stop(end, watch)
        for output in self._rest():
            yield output
        if end is not None:
            yield Logs(self._text.on_a_new_line(end))

    async def _stop(self, end: str | None, watch: "_Watch") -> str | None:
        """Leave the interpreter settled or dead, and the disk within its limit."""
        if end is not None or not await self._interpreter.settle():
            if end == _DIED:
                # Its pipes close before it can be asked what it died of.
                await self._interpreter.gone(_DYING_S)
            await self._interpreter.kill()
            if end is None or end == _DIED:
                end = self._death()
        elif self._interrupted:
            end = self._timed_out()
        overfull = await watch.disk()
        if overfull is not None:
            if watch.is_held:
                await self._interpreter.kill()
            await self._data.shrink(to=watch.allowed_bytes)
        return end or overfull

    async def _begin(self, code: str) -> str | None:
        self._interpreter.resume()
        try:
            async with asyncio.timeout(self._limits.wall_s):
                taken = await self._interpreter.send(Request(self._token, code))
        except TimeoutError:
            return self._timed_out()
        return None if taken else _DIED

    async def _arrived(self) -> AsyncGenerator[Output, None]:
        # Frames are read before what is printed: all that the code printed before it sent a frame
        # is then in the pipe, and is told first.
        try:
            frames, self._dead = self._interpreter.frames()
        except HostileFrameError:
            frames, self._hostile = [], True
        for output in self._printed():
            yield output
        idle = self._text.full
        for frame in frames:
            told = list(self._told(frame))
            idle = idle or not (told or self._over)
            for output in told:
                yield output
            # Never waited for: code that sends and does not read must not hold us up.
            if isinstance(frame, Said | Shown) and not self._interpreter.acknowledge(self._taken):
                self._hostile = True
        if idle and not (self._over or self._hostile):
            await asyncio.sleep(_DROP_EVERY_S)

    def _printed(self) -> Iterator[Output]:
        left = _DROP
        while left > 0 and (data := self._interpreter.printed(_READ)):
            left -= len(data)
            if text := self._text.add(data):
                yield Logs(text)

    def _rest(self) -> Iterator[Output]:
        yield from self._printed()
        if text := self._text.end():
            yield Logs(text)

    def _told(self, frame: Frame) -> Iterator[Output]:
        if isinstance(frame, Ready) or frame.call != self._token or self._over:
            self._hostile = True
        elif isinstance(frame, Done):
            self._over = True
        elif isinstance(frame, Said):
            if text := self._text.add(frame.text.encode(), line=True):
                yield Logs(text)
        elif not frame.data.startswith(_PNG) or len(frame.data) > self._limits.picture_bytes:
            if text := self._text.add(_NOT_SHOWN, line=True):
                yield Logs(text)
        elif self._pictures < self._limits.pictures:
            self._pictures += 1
            yield Picture(frame.data)

    def _ended(self) -> str | None:
        if self._hostile:
            return "The interpreter was stopped: it broke the rules of its protocol."
        if self._over:
            return None
        if self._dead or not self._interpreter.alive:
            return _DIED
        now = asyncio.get_running_loop().time()
        if now >= self._deadline + self._limits.grace_s:
            return self._timed_out()
        if now >= self._deadline and not self._interrupted:
            self._interrupted = True
            self._interpreter.interrupt()
        return None

    def _timed_out(self) -> str:
        return f"timed out after {self._limits.wall_s:g} s"

    def _death(self) -> str:
        if self._interpreter.status in _OUT_OF_CPU:
            return f"The interpreter died: it used up its {self._limits.cpu_s} s of CPU time."
        return _DIED


class _Watch:
    """Looks at what the code holds while it runs; the kernel limits only one process at a time."""

    def __init__(
        self,
        interpreter: Interpreter,
        data: DataDirectory,
        limits: Limits,
        *,
        allowed_bytes: int,
    ) -> None:
        self._interpreter = interpreter
        self._data = data
        self._limits = limits
        self.allowed_bytes = allowed_bytes
        self.is_held = False
        """Whether only the end of the interpreter lets go of something that is too much."""

        self._memory_at = self._disk_at = 0.0
        self._look: asyncio.Task[str | None] | None = None

    async def complaint(self, now: float) -> str | None:
        if now >= self._memory_at:
            self._memory_at = now + _MEMORY_EVERY_S
            if complaint := await self._processes():
                return complaint
        if self._look is None and now >= self._disk_at:
            # Not waited for: it takes as long as the code makes it take.
            self._look = asyncio.create_task(self.disk())
        elif self._look is not None and self._look.done():
            look, self._look, self._disk_at = self._look, None, now + _DISK_EVERY_S
            return look.result()
        return None

    def end(self) -> None:
        if self._look is not None:
            self._look.cancel()

    async def _processes(self) -> str | None:
        tree = self._interpreter.tree()
        if len(tree) > self._limits.processes:
            return f"killed: more than {self._limits.processes} processes"
        limit = self._limits.memory_bytes
        held = processes.resident_bytes(tree)
        if held > limit:
            held = await asyncio.to_thread(processes.share_bytes, tree)
        if held > limit:
            return f"killed: more than {limit >> 20} MiB of memory"
        return None

    async def disk(self) -> str | None:
        holders = self._interpreter.tree() if self._interpreter.alive else ()
        if self._interpreter.is_open and any(map(processes.is_shut, holders)):
            self.is_held = True
            return "killed: what a process holds was hidden"
        usage = await self._data.usage(holders)
        self.is_held = usage.nameless_bytes != 0
        if usage.nameless_bytes is None:
            return f"killed: more than {self._limits.mappings} mappings of memory"
        if usage.size_bytes + usage.nameless_bytes > self.allowed_bytes:
            limit = self._limits.disk_bytes >> 20
            return f"stopped: more than {limit} MiB in /mnt/data; the newest files were removed"
        if usage.too_deep or usage.entries > self._limits.disk_entries:
            limit = self._limits.disk_entries
            return f"stopped: more than {limit} files in /mnt/data, or too deep; it was emptied"
        if self._interpreter.scratch_entries() > self._limits.scratch_entries:
            self.is_held = True
            return f"stopped: more than {self._limits.scratch_entries} files in /tmp and /dev/shm"
        return None


class _Text:
    """The bytes of the logs as text, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._limit = limit
        self._left = limit
        self._line_is_open = False
        self.full = False

    def add(self, data: bytes, *, line: bool = False) -> str:
        """The text to tell; `line` begins it on a new line."""
        if self.full:
            return ""
        data, more = data[: self._left], len(data) > self._left
        self._left -= len(data)
        text = self._decoder.decode(data)
        if line and self._line_is_open:
            text = f"\n{text}"
        if text:
            self._line_is_open = not text.endswith("\n")
        if more:
            self.full = True
            text += self.on_a_new_line(f"[output cut after {self._limit} bytes]\n")
            self._line_is_open = False
        return text

    def end(self) -> str:
        return "" if self.full else self._decoder.decode(b"", final=True)

    def on_a_new_line(self, text: str) -> str:
        return f"\n{text}" if self._line_is_open else text
