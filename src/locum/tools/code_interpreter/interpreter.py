"""One running interpreter, seen from the server: its pipes, its signals, its end.

It runs only while a call does. Between calls it stands still (SIGSTOP) and is alone: what the code
has left running behind itself is killed, so an idle session costs no time and changes nothing.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import msgspec
from msgspec import Struct

from locum.tools.code_interpreter import processes
from locum.tools.code_interpreter.frames import (
    Frame,
    FrameReader,
    HostileFrameError,
    Ready,
    Request,
    Taken,
    encode,
)
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.sandbox import SandboxUnavailable

_START_S = 20.0
_END_S = 10.0
# On a busy machine it takes a while until a process that is told to stand still does.
_SETTLING_S, _PAUSE_S = 5.0, 0.001
_KILLING_ROUNDS = 200
_READ = 1 << 16
_LONGEST_COMPLAINT = 500


class Launch(Struct, frozen=True, kw_only=True):
    """How to start a runner behind one kind of walls."""

    command: list[str]
    """Ends where the runner's settings follow."""

    environment: Mapping[str, str]
    walls: str
    data: str
    """The data directory as the runner sees it."""

    uid: int | None
    """The user the runner becomes, where the server is root."""

    limits: Limits
    descriptors: tuple[int, ...] = ()
    """Inherited by the command, and closed here once it runs."""

    scratch: tuple[str, ...] = ()
    """File systems of its own that end with it, as the runner sees them."""


class Interpreter:
    @classmethod
    async def start(cls, launch: Launch) -> Self:
        """Raises `SandboxUnavailable` with what the walls complained about."""
        interpreter = cls(launch)
        try:
            await interpreter._meet()
        except BaseException:
            await interpreter.end()
            raise
        return interpreter

    def __init__(self, launch: Launch) -> None:
        self._loop = asyncio.get_running_loop()
        requests, self._requests = os.pipe()
        self._frames, frames = os.pipe()
        self._printed, printed = os.pipe()
        self._ours = [self._requests, self._frames, self._printed]
        for descriptor in self._ours:
            os.set_blocking(descriptor, False)
        self._watched = [self._frames, self._printed]
        self._reader = FrameReader(
            longest_text=launch.limits.output_bytes, largest_picture=launch.limits.picture_bytes
        )
        self._arrived = asyncio.Event()
        self._runner: int | None = None
        self.is_open = False
        """Whether the server may see what the runner holds, if that does not hide it."""
        self._namespaced = launch.walls == "namespaces"
        self._scratch = launch.scratch
        self._killed = False
        try:
            self._process = _spawn(launch, requests=requests, frames=frames, printed=printed)
        except SandboxUnavailable:
            self._close()
            raise

    async def _meet(self) -> None:
        complaint = b""
        deadline = self._loop.time() + _START_S
        while True:
            await self.readable(max(0.0, deadline - self._loop.time()))
            frames, ended = self.frames()
            complaint += self.printed(_READ) or b""
            if frames and isinstance(frames[0], Ready):
                break
            if ended or frames or self._loop.time() >= deadline:
                said = complaint.decode(errors="replace").strip()[-_LONGEST_COMPLAINT:]
                raise SandboxUnavailable(f"The interpreter did not start: {said or 'no answer'}")
        self._runner = self._process.pid
        if self._namespaced:
            # bwrap, then the first process of the namespace, then the runner.
            self._runner = processes.children(processes.children(self._process.pid)[0])[0]
        processes.first_to_go(self._runner)
        self.is_open = not processes.is_shut(self._runner)
        await self.settle()

    @property
    def alive(self) -> bool:
        return not self._killed and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """How it ended: as `Popen.returncode`, with 128 added to a signal by the walls."""
        return self._process.returncode

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def _signal(self, number: signal.Signals) -> None:
        # The runner cannot have been replaced: it is a child of a process that has not yet ended.
        if self._runner is not None and self.alive:
            with suppress(ProcessLookupError):
                os.kill(self._runner, number)

    async def settle(self) -> bool:
        """Stop the runner and kill all else; whether that was possible."""
        if self._runner is None:
            return False
        top = self._top()
        deadline = self._loop.time() + _SETTLING_S
        while self.alive and self._loop.time() < deadline:
            # Each time: the end of a process can have the kernel wake the runner.
            self._signal(signal.SIGSTOP)
            # In this order: no process can appear once its parents all stand still or are dead.
            still = processes.stopped(self._runner)
            alone = processes.kill_below(top, but=self._runner)
            # Looked at again: a child may have been made so that its end wakes its parent.
            if still and alone and processes.stopped(self._runner):
                return True
            await asyncio.sleep(_PAUSE_S)
        return False

    def tree(self) -> set[int]:
        """The processes that belong to the code, the runner among them."""
        return processes.descendants(self._top()) | {self._runner or self._process.pid}

    def scratch_entries(self) -> int:
        """How many files and directories there are in its scratch space."""
        found = 0
        for path in self._scratch:
            with suppress(OSError):
                status = os.statvfs(f"/proc/{self._runner}/root{path}")
                found += status.f_files - status.f_ffree
        return found

    def _top(self) -> int:
        """The ancestor of everything: the first process of the namespace, or the runner."""
        if not self._namespaced:
            return self._process.pid
        below = processes.children(self._process.pid)
        return below[0] if below else self._process.pid

    async def send(self, message: Request) -> bool:
        """Whether the runner took it; a runner that reads nothing ends by the call's time."""
        left = memoryview(encode(message))
        while left:
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                await self._writable()
            except BrokenPipeError:
                return False
        return True

    def acknowledge(self, message: Taken) -> bool:
        """Whether there was room for it; there is, for a runner that reads what it is told."""
        try:
            os.write(self._requests, encode(message))
        except BlockingIOError:
            return False
        except BrokenPipeError:
            # It is ending, which its other pipe will tell.
            return True
        return True

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._requests, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_writer(self._requests)

    async def readable(self, timeout_s: float) -> None:
        """Until something has come, or the time is over."""
        self._arrived.clear()
        for descriptor in self._watched:
            self._loop.add_reader(descriptor, self._arrived.set)
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return
        finally:
            for descriptor in self._watched:
                self._loop.remove_reader(descriptor)

    def frames(self) -> tuple[list[Frame], bool]:
        """The frames that have come, and whether no more will."""
        data = _read_now(self._frames, _READ)
        if data is None:
            return [], False
        return self._reader.feed(data), data == b""

    def printed(self, most: int) -> bytes | None:
        """What has been printed; nothing where nothing has."""
        data = _read_now(self._printed, most)
        if data == b"" and self._printed in self._watched:
            # Closed by the code: readable for ever, with nothing to read.
            self._watched.remove(self._printed)
        return data or None

    def kill_now(self) -> None:
        """Returns at once; the kernel ends the rest."""
        if self._killed:
            return
        self._killed = True
        if self._process.poll() is not None:
            return
        if not self._namespaced:
            self._process.send_signal(signal.SIGSTOP)
            for _ in range(_KILLING_ROUNDS):
                if processes.kill_below(self._process.pid):
                    break
        elif not processes.kill_below(self._process.pid):
            # With the first process of a namespace the kernel kills all others, and bwrap ends when
            # the last of them has: waiting for it is waiting for them.
            return
        self._process.kill()

    async def kill(self) -> None:
        """Returns when it is gone. What it has printed can still be read."""
        self.kill_now()
        if self._process.returncode is None and not await self.gone(_END_S):
            self._process.kill()
            self._process.wait()

    async def end(self) -> None:
        """Kill it and let go of its pipes; not while somebody reads them."""
        await self.kill()
        self._close()

    def _close(self) -> None:
        while self._ours:
            os.close(self._ours.pop())

    async def gone(self, timeout_s: float) -> bool:
        """Wait for it to end by itself."""
        try:
            handle = os.pidfd_open(self._process.pid)
        except ProcessLookupError:
            return self._process.poll() is not None
        ended = asyncio.Event()
        self._loop.add_reader(handle, ended.set)
        try:
            async with asyncio.timeout(timeout_s):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(handle)
            os.close(handle)
        return self._process.poll() is not None


def _spawn(launch: Launch, *, requests: int, frames: int, printed: int) -> subprocess.Popen[bytes]:
    limits = launch.limits
    settings = {
        "requests": requests,
        "frames": frames,
        "walls": launch.walls,
        "server": os.getpid(),
        "data": launch.data,
        "uid": launch.uid,
        "longest_text": limits.output_bytes,
        "largest_picture": limits.picture_bytes,
        "rlimits": {
            "RLIMIT_CPU": limits.cpu_s,
            "RLIMIT_DATA": limits.memory_bytes,
            "RLIMIT_FSIZE": limits.disk_bytes,
            "RLIMIT_NPROC": limits.processes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_CORE": 0,
        },
    }
    theirs = (requests, frames, printed, *launch.descriptors)
    try:
        return subprocess.Popen(  # noqa: S603 -- the command is ours, word by word
            [*launch.command, msgspec.json.encode(settings).decode()],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(requests, frames, *launch.descriptors),
            env=dict(launch.environment),
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        raise SandboxUnavailable(f"{launch.command[0]} cannot be started: {error}") from error
    finally:
        for descriptor in theirs:
            os.close(descriptor)


def _read_now(descriptor: int, most: int) -> bytes | None:
    try:
        return os.read(descriptor, most)
    except BlockingIOError:
        return None


__all__ = ["HostileFrameError", "Interpreter", "Launch"]
