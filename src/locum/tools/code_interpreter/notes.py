"""What is known of each session, beside its files, where its code does not reach.

`notes/{key}` says whose session it is, which server had it last, and what was laid out in it. It is
there before the files are. A server holds a lock on `servers/{name}` for as long as it lives, so
that others over the same directory can tell: the kernel lets go of it, however a process ends.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum.tools.code_interpreter.files import Laid, remove_tree, take_away
from locum.tools.code_interpreter.sandbox import Kept, Owner

try:
    import fcntl
except ImportError:  # A system without it imports this, and never runs it.
    fcntl = None  # type: ignore[assignment]

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Note(Struct, frozen=True, kw_only=True):
    server: str
    owner: Owner
    laid: dict[str, tuple[Laid, ...]]
    """By what it is a copy of."""


_decoder = msgspec.json.Decoder(Note)


def session_path(directory: Path, key: str) -> Path:
    """Where the files of a session lie, whether it lives or not."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not the key of a session: {key!r}")
    return directory / "sessions" / key


class Notes:
    """The notes of one server, or of one that has no sessions yet and only looks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._notes = directory / "notes"
        self._servers = directory / "servers"
        self.server = ""
        self._held: int | None = None

    def begin(self) -> None:
        """Be seen to live."""
        self._notes.mkdir(exist_ok=True)
        self._servers.mkdir(exist_ok=True)
        with self._alone():
            for left in self._notes.glob(".*"):
                left.unlink()
            for server in self._servers.iterdir():
                if not self.lives(server.name):
                    server.unlink(missing_ok=True)
            self.server = token_hex(8)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._held = os.open(self._servers / self.server, flags, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def end(self) -> None:
        if self._held is not None:
            (self._servers / self.server).unlink()
            os.close(self._held)
            self._held = None

    def lives(self, server: str) -> bool:
        """Whether a server over this directory still runs, in whichever container."""
        try:
            handle = os.open(self._servers / server, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def take(self, key: str, owner: Owner) -> None:
        """The session is this server's from now on, with what was laid out in it before."""
        with self._alone():
            old = self._read(key)
            note = Note(server=self.server, owner=owner, laid={} if old is None else old.laid)
            self._write(key, note)

    def has(self, key: str) -> bool:
        """Whether no other server has taken it since."""
        note = self._read(key)
        return note is not None and note.server == self.server

    def add(self, key: str, of: str, one: Laid) -> None:
        with self._alone():
            note = self._read(key)
            if note is None:
                raise FileNotFoundError(key)  # It has just been forgotten.
            laid = {**note.laid, of: (*note.laid.get(of, ()), one)}
            self._write(key, replace(note, laid=laid))

    def remove(self, key: str) -> None:
        """The files of a session, then what is known of it."""
        remove_tree(session_path(self._directory, key))
        (self._notes / key).unlink(missing_ok=True)

    def kept(self) -> dict[str, Kept | None]:
        """The sessions that no other living server has; None is told of those without a note."""
        # In this order: whoever opens a session writes its note before its directory is there.
        paths = [path for path in (self._directory / "sessions").glob("*") if path.is_dir()]
        paths += self._notes.glob("*")
        found = {path.name: self._read(path.name) for path in paths if _KEY.fullmatch(path.name)}
        others = {note.server for note in found.values() if note is not None} - {self.server}
        living = {server for server in others if self.lives(server)}
        return {
            key: None if note is None else Kept(note.owner, frozenset(note.laid))
            for key, note in found.items()
            if note is None or note.server not in living
        }

    def keep_only(self, key: str, of: Collection[str]) -> set[str]:
        """Of what was laid out in a session of no other living server, keep what is of these.

        Only while no code runs in it. One without a note is nobody's: nothing of it is kept.
        """
        if (note := self._read(key)) is not None and note.laid.keys() <= set(of):
            return set()
        with self._alone():
            note, path = self._read(key), session_path(self._directory, key)
            if note is None:
                remove_tree(path)
                return set()
            if note.server != self.server and self.lives(note.server):
                return set()
            gone = note.laid.keys() - set(of)
            freed = take_away(path, [one for name in gone for one in note.laid[name]])
            laid = {name: copies for name, copies in note.laid.items() if name not in gone}
            self._write(key, replace(note, laid=laid))
            return freed

    def _read(self, key: str) -> Note | None:
        try:
            return _decoder.decode((self._notes / key).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _write(self, key: str, note: Note) -> None:
        temporary = self._notes / f".{key}"
        temporary.write_bytes(msgspec.json.encode(note))
        temporary.replace(self._notes / key)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Among all servers over this directory; only ever for a moment."""
        with (self._directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
