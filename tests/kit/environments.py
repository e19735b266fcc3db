"""Environments of Python beside our own, for programs that need other packages than we do.

Each is built once, from pinned names and hashes, and kept for the next time.
"""

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

_CACHE = Path.home() / ".cache" / "locum-tests"
_REQUIREMENTS = Path(__file__).parents[2] / "requirements"
_BUILD_S = 300


def tools() -> Path:
    """The folder of commands that look at the project: linters, parsers, the site's generator."""
    return environment(_REQUIREMENTS / "tools.txt").parent


def environment(pins: Path) -> Path:
    """The Python of an environment that holds exactly these packages."""
    seal = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:16]
    directory = _CACHE / f"{pins.stem}-{seal}"
    python = directory / "bin" / "python"
    _CACHE.mkdir(parents=True, exist_ok=True)
    # Tests run side by side, and two of them may want the same one.
    with (_CACHE / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            venv.create(directory, with_pip=True, clear=True)
            _install(python, pins)
            (directory / "complete").touch()
    return python


def _install(python: Path, pins: Path) -> None:
    subprocess.run(
        [
            *(python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            *("--require-hashes", "--only-binary", ":all:", "-r", pins),
        ],
        check=True,
        timeout=_BUILD_S,
    )
