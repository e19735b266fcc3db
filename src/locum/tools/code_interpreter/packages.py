"""What code finds beside the standard library: numpy and friends, never in the server's own venv.

A directory of packages rather than a virtual environment: the interpreter within is the server's
own, and a directory can be bound anywhere. It appears under its final name when it is whole, and
the name tells what is in it, so that other requirements make another directory.
"""

import asyncio
import hashlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from locum.tools.code_interpreter import python
from locum.tools.code_interpreter.files import remove_tree

Progress = Callable[[str], None]

# Where matplotlib keeps its list of fonts; making it takes seconds, in every new session.
FONTS = ".matplotlib"

_PINNED = Path(__file__).with_name("packages.txt")
_TIMEOUT_S = 1800.0
_LAST_LINES = 5


class PackagesUnavailable(Exception):
    """The packages could not be installed. The message says why."""


def installed(directory: Path, *, extra: Sequence[str] = ()) -> Path | None:
    """The packages of the sandbox, if they are there."""
    target = _target(directory, extra)
    return target if target.is_dir() else None


async def install(
    directory: Path, *, extra: Sequence[str] = (), progress: Progress | None = None
) -> Path:
    """Install the pinned packages and the extra ones (`LOCUM_SANDBOX_PACKAGES`), whole or not.

    Wheels only: a source distribution would run its code here, outside any walls. Packages of
    other requirements are removed; a server that uses them must be started again.
    """
    target = _target(directory, extra)
    if target.is_dir():
        return target
    building = directory / f".building-{target.name}"
    tell = progress or _silent
    await asyncio.to_thread(_start_over, building)
    try:
        await _run([*_installer(building), "--require-hashes", "-r", str(_PINNED)], tell=tell)
        await _list_fonts(building, tell=tell)
        if extra:
            await _install_extra(building, extra, tell=tell)
    except BaseException:
        await asyncio.to_thread(remove_tree, building)
        raise
    await asyncio.to_thread(_finish, building, target)
    return target


def _target(directory: Path, extra: Sequence[str]) -> Path:
    named = (_PINNED.read_text(encoding="utf-8"), *sorted(extra), sys.version, sys.platform)
    digest = hashlib.sha256("\0".join(named).encode()).hexdigest()
    return directory / f"packages-{digest[:16]}"


def _start_over(building: Path) -> None:
    building.parent.mkdir(parents=True, exist_ok=True)
    remove_tree(building)
    # Readable by the users of the sessions, whatever the server's umask is.
    building.mkdir()
    building.chmod(0o755)


def _finish(building: Path, target: Path) -> None:
    building.rename(target)
    for other in target.parent.glob("packages-*"):
        if other != target:
            remove_tree(other)


def _installer(building: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    elif (uv := shutil.which("uv")) is not None:
        pip = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise PackagesUnavailable("Neither pip nor uv is there to install packages with.")
    return [*pip, "--only-binary", ":all:", "--target", str(building)]


async def _install_extra(building: Path, extra: Sequence[str], *, tell: Progress) -> None:
    # pip asks for the hashes of everything once it sees one: the pins go without theirs.
    pins = [line.rstrip(" \\") for line in _PINNED.read_text("utf-8").splitlines() if "==" in line]
    constraints = building / ".constraints"
    await asyncio.to_thread(constraints.write_text, "\n".join(pins), "utf-8")
    await _run([*_installer(building), "-c", str(constraints), *extra], tell=tell)


async def _list_fonts(building: Path, *, tell: Progress) -> None:
    environment = python.environment(packages=str(building), fonts=str(building / FONTS))
    command = python.command("-c")
    await _run([*command, "import matplotlib.font_manager"], tell=tell, environment=environment)


async def _run(
    command: list[str], *, tell: Progress, environment: dict[str, str] | None = None
) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    assert process.stdout is not None
    last: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for line in process.stdout:
                last = [*last[1 - _LAST_LINES :], line.decode(errors="replace").strip()]
                tell(last[-1])
            status = await process.wait()
    except TimeoutError as error:
        raise PackagesUnavailable(f"Not done after {_TIMEOUT_S:g} s.") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if status != 0:
        raise PackagesUnavailable("\n".join(last))


def _silent(_line: str) -> None:
    return
