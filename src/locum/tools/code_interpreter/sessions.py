"""Sessions by key: a warm interpreter for new ones, a bound on live ones, an end for idle ones.

What the walls are is not known here: a tier gives the `Launch`. The files of a session are in
`sessions/{key}`. A warm interpreter waits over an empty directory in `pool/`, which is renamed
when a new key comes: a bind mount follows its directory. A key that has files starts cold. Copies
of files are made in the pool as well: all in it bears the name of its server, and ends with it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import ClassVar

from msgspec import Struct

from locum import logs
from locum.clock import Clock, SystemClock
from locum.tools.code_interpreter.calls import Call
from locum.tools.code_interpreter.files import DataDirectory, Laid, remove_tree
from locum.tools.code_interpreter.interpreter import Interpreter, Launch
from locum.tools.code_interpreter.limits import Limits
from locum.tools.code_interpreter.notes import Notes, session_path
from locum.tools.code_interpreter.sandbox import (
    Kept,
    Logs,
    Output,
    Owner,
    SandboxUnavailable,
    Written,
)
from locum.tools.code_interpreter.users import Users

_SWEEP_EVERY_S = 30.0
_REFILL_AFTER_S = 0.25
_LOST = (
    "The interpreter was started again: variables of earlier calls are lost, "
    "files in /mnt/data are kept.\n"
)
_NOBODY = Owner()


class SandboxSettings(Struct, frozen=True, kw_only=True):
    directory: Path
    """Holds the files of all sessions. Only the server's user may enter it."""

    hidden: Path | None = None
    """The server's own folder, of which code sees nothing, wherever it lies."""

    packages: Path | None = None
    """What `locum sandbox install` has made; without it there is the standard library alone."""

    limits: Limits = Limits()
    idle_s: float = 3600.0
    pool: int = 1
    """Interpreters kept warm for new sessions."""

    live: int = 64
    """Interpreters of sessions at a time. The one idle for longest makes room."""


class Seat:
    """What is held for a key. The interpreter comes and goes; the files stay."""

    def __init__(self, data: DataDirectory, uid: int | None) -> None:
        self.data = data
        self.uid = uid
        self.interpreter: Interpreter | None = None
        self.turn = asyncio.Lock()
        self.used_at = 0.0
        self.has_variables = False
        self.is_read = False
        """While a call reads from the interpreter, which it then lets go of itself."""

    async def empty(self) -> None:
        """In the middle of a call too, which then ends as if the interpreter had died."""
        interpreter, self.interpreter = self.interpreter, None
        if interpreter is None:
            return
        if self.is_read:
            await interpreter.kill()
        else:
            await interpreter.end()


class WalledSession:
    """A `Session`: a name for what the sandbox holds under one key."""

    def __init__(self, sessions: "Sessions", key: str, owner: Owner) -> None:
        self._sessions = sessions
        self._key = key
        self._owner = owner

    async def run(self, code: str) -> AsyncGenerator[Output, None]:
        """Raises `SandboxUnavailable` when no interpreter can be started."""
        async with self._turn() as seat, aclosing(self._sessions.call(seat, code)) as outputs:
            async for output in outputs:
                yield output

    async def put(self, name: str, source: Path, *, of: str = "") -> None:
        def coming(one: Laid) -> None:
            if of:
                self._sessions.notes.add(self._key, of, one)

        seat = await self._seat()
        await seat.data.put(name, source, through=self._sessions.in_pool(), coming=coming)

    async def keep_only(self, of: Collection[str]) -> set[str]:
        async with self._turn():
            return await asyncio.to_thread(self._sessions.notes.keep_only, self._key, of)

    async def files(self) -> dict[str, Written]:
        seat = await self._seat()
        return await seat.data.files()

    async def read(self, name: str) -> AsyncIterator[bytes]:
        seat = await self._seat()
        return await seat.data.read(name)

    async def close(self) -> None:
        await self._sessions.leave(self._key)

    async def _seat(self) -> Seat:
        return await self._sessions.seat(self._key, self._owner)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Seat]:
        while True:
            seat = await self._seat()
            async with seat.turn:
                # While this call waited for its turn, the session may have been ended.
                if self._sessions.holds(self._key, seat):
                    yield seat
                    return


class Sessions(ABC):
    """A `Sandbox`, but for its walls. `prepare` comes first."""

    tier: ClassVar[str]
    follows_renames: ClassVar[bool] = True
    """Whether a running interpreter still finds its directory when that has moved."""

    has_users: ClassVar[bool] = True

    def __init__(self, settings: SandboxSettings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self.notes = Notes(settings.directory)
        self._users = Users(any_at_all=self.has_users)
        self._seats: dict[str, Seat] = {}
        self._pool: list[Seat] = []
        self._opening = asyncio.Lock()
        self._filling = asyncio.Lock()
        self._room = asyncio.Condition()
        self._starting = 0
        self._chores: set[asyncio.Task[None]] = set()
        self._closed = False

    @abstractmethod
    def launch(self, data: Path, uid: int | None) -> Launch:
        """How to start a runner over one data directory."""

    @abstractmethod
    async def check(self) -> str:
        """See `Sandbox.check`."""

    async def try_out(self) -> None:
        """Start an interpreter as a session would, let it add, end it."""
        seat = await self._start_fresh()
        try:
            async with aclosing(self.call(seat, "20 + 22")) as outputs:
                said = [output async for output in outputs]
        finally:
            await self._discard(seat)
        if said != [Logs("42")]:
            raise SandboxUnavailable(f"The interpreter does not answer as it should: {said!r}")

    async def prepare(self) -> None:
        """Make the directories, remove what a crash has left in the pool, warm the pool."""
        await asyncio.to_thread(self._make_ready)
        await self._fill_pool()
        self._do(self._sweep_for_ever())

    async def session(self, key: str, owner: Owner = _NOBODY) -> WalledSession:
        async with self._opening:
            if key in self._seats and not await asyncio.to_thread(self.notes.has, key):
                await self._give_up(key)
        await self.seat(key, owner)
        return WalledSession(self, key, owner)

    async def forget(self, key: str) -> None:
        async with self._opening:
            seat = self._seats.pop(key, None)
            if seat is not None:
                await seat.empty()
                self._users.give_back(seat.uid)
            await asyncio.to_thread(self.notes.remove, key)

    async def kept(self) -> dict[str, Kept | None]:
        return await asyncio.to_thread(self.notes.kept)

    async def keep_only(self, key: str, of: Collection[str]) -> None:
        async with self._opening:
            seat = self._seats.get(key)
            if seat is None:
                await asyncio.to_thread(self.notes.keep_only, key, of)
            elif not seat.turn.locked():
                async with seat.turn:
                    await asyncio.to_thread(self.notes.keep_only, key, of)

    async def leave(self, key: str) -> None:
        """End the interpreter of a key, without a word about it to its next call."""
        async with self._opening:
            if key in self._seats:
                await self._give_up(key)

    async def sweep(self) -> None:
        """End the sessions that have been idle for too long."""
        oldest = self._clock.monotonic() - self.settings.idle_s
        for key, seat in list(self._seats.items()):
            if seat.used_at <= oldest and not seat.turn.locked():
                await self.leave(key)

    async def close(self) -> None:
        self._closed = True
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        for key in list(self._seats):
            await self.leave(key)
        while self._pool:
            await self._discard(self._pool.pop())
        await asyncio.to_thread(self.notes.end)

    async def seat(self, key: str, owner: Owner) -> Seat:
        if self._closed:
            raise SandboxUnavailable("The sandbox is closed.")
        path = session_path(self.settings.directory, key)
        async with self._opening:
            seat = self._seats.get(key)
            if seat is None:
                await asyncio.to_thread(self.notes.take, key, owner)
                warm = None if path.exists() else await self._take_warm(path)
                seat = self._seats[key] = warm or await self._open(path)
            seat.used_at = self._clock.monotonic()
        return seat

    def in_pool(self) -> Path:
        """A place for what belongs to no session yet."""
        return self.settings.directory / "pool" / f"{self.notes.server}-{token_hex(8)}"

    def holds(self, key: str, seat: Seat) -> bool:
        return self._seats.get(key) is seat

    async def call(self, seat: Seat, code: str) -> AsyncGenerator[Output, None]:
        interpreter, fresh = await self._interpreter_of(seat)
        if fresh and seat.has_variables:
            yield Logs(_LOST)
        seat.has_variables = True
        seat.is_read = True
        finished = False
        try:
            call = Call(interpreter, seat.data, self.settings.limits)
            async with aclosing(call.outputs(code)) as outputs:
                async for output in outputs:
                    yield output
            finished = True
        finally:
            if not finished:
                interpreter.kill_now()
            seat.is_read = False
            if not interpreter.alive:
                seat.interpreter = None
                await interpreter.end()
            seat.used_at = self._clock.monotonic()
            async with self._room:
                self._room.notify_all()

    async def _interpreter_of(self, seat: Seat) -> tuple[Interpreter, bool]:
        if seat.interpreter is not None and seat.interpreter.alive:
            return seat.interpreter, False
        await seat.empty()
        await self._make_room()
        try:
            seat.interpreter = await Interpreter.start(self.launch(seat.data.path, seat.uid))
        finally:
            self._starting -= 1
        return seat.interpreter, True

    async def _make_room(self) -> None:
        try:
            async with asyncio.timeout(self.settings.limits.wall_s), self._room:
                while not await self._has_room():
                    await self._room.wait()
                self._starting += 1
        except TimeoutError as error:
            many = self.settings.live
            raise SandboxUnavailable(f"All {many} interpreters are busy.") from error

    async def _has_room(self) -> bool:
        while self.live >= self.settings.live:
            key = self._idle_for_longest(lambda seat: seat.interpreter is not None)
            if key is None:
                return False
            await self._seats[key].empty()
        return True

    def _idle_for_longest(self, counts: Callable[[Seat], bool]) -> str | None:
        idle = [key for key, seat in self._seats.items() if counts(seat) and not seat.turn.locked()]
        return min(idle, key=lambda key: self._seats[key].used_at, default=None)

    @property
    def live(self) -> int:
        return self._starting + sum(seat.interpreter is not None for seat in self._seats.values())

    async def _take_warm(self, path: Path) -> Seat | None:
        # Without room the session starts cold: its first call waits for room, and no other session.
        while self._pool and await self._has_room():
            seat = self._pool.pop()
            self._do(self._fill_pool_soon())
            if seat.interpreter is not None and seat.interpreter.alive:
                seat.data.move(path)
                return seat
            await self._discard(seat)
        return None

    async def _open(self, path: Path) -> Seat:
        uid = await self._user()
        data = DataDirectory(path, owner=uid, limits=self.settings.limits)
        try:
            await data.make()
        except BaseException:
            self._users.give_back(uid)
            raise
        return Seat(data, uid)

    async def _user(self) -> int | None:
        """One that is free, else that of the session idle for longest, which ends."""
        if self._users.all_taken:
            key = self._idle_for_longest(lambda seat: seat.uid is not None)
            if key is not None:
                await self._give_up(key)
        return self._users.take()

    async def _fill_pool(self) -> None:
        wanted = self.settings.pool if self.follows_renames else 0
        async with self._filling:
            while len(self._pool) < wanted and not self._closed:
                self._pool.append(await self._start_fresh())

    async def _fill_pool_soon(self) -> None:
        # The call that took the last one goes first.
        await asyncio.sleep(_REFILL_AFTER_S)
        try:
            await self._fill_pool()
        except SandboxUnavailable as error:
            # The next session starts cold, and tells its caller if that fails as well.
            logs.warning("sandbox.pool_not_filled", reason=str(error))

    async def _start_fresh(self) -> Seat:
        """An interpreter over an empty directory of no key."""
        seat = await self._open(self.in_pool())
        try:
            seat.interpreter = await Interpreter.start(self.launch(seat.data.path, seat.uid))
        except BaseException:
            await self._discard(seat)
            raise
        return seat

    async def _discard(self, seat: Seat) -> None:
        await seat.empty()
        await asyncio.to_thread(remove_tree, seat.data.path)
        self._users.give_back(seat.uid)

    async def _give_up(self, key: str) -> None:
        seat = self._seats.pop(key)
        await seat.empty()
        # Else another server over this directory has it by now, and a user of its own in it.
        if await asyncio.to_thread(self.notes.has, key):
            await seat.data.disown()
        self._users.give_back(seat.uid)

    def _do(self, chore: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            await self.sweep()

    def _make_ready(self) -> None:
        directory = self.settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        for name in ("sessions", "pool"):
            (directory / name).mkdir(exist_ok=True)
        self.notes.begin()
        for left in (directory / "pool").iterdir():
            server, _, _ = left.name.partition("-")
            if self.notes.lives(server):
                continue
            if left.is_dir():
                remove_tree(left)
            else:
                left.unlink(missing_ok=True)
