"""The Python that runs within: the one this server was made with, without the server's packages."""

import os
import sys
from pathlib import Path

RUNNER = Path(__file__).with_name("runner.py")
# Numeric libraries start a thread for each core they see; each counts as a process.
_THREADS = str(min(4, os.cpu_count() or 1))


def executable() -> Path:
    """The interpreter below any virtual environment."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    below = Path(sys.base_prefix).resolve() / "bin" / version
    return below if below.exists() else Path(sys.executable).resolve()


def prefixes() -> list[Path]:
    """What that interpreter needs and /usr does not hold."""
    places = {Path(sys.base_prefix).resolve(), Path(sys.base_exec_prefix).resolve()}
    return sorted(place for place in places if not place.is_relative_to("/usr"))


def command(runner: str) -> list[str]:
    """Without the interpreter's own site, which may hold anything and take 30 ms, and bytecode."""
    return [str(executable()), "-S", "-s", "-P", "-B", "-X", "utf8", runner]


def environment(
    *,
    packages: str | None,
    fonts: str = "/tmp/matplotlib",  # noqa: S108 -- within the sandbox
) -> dict[str, str]:
    """All of it: nothing of the server's own environment goes in."""
    variables = {
        "HOME": "/tmp",  # noqa: S108 -- within the sandbox
        "LANG": "C.UTF-8",
        "MKL_NUM_THREADS": _THREADS,
        "NUMEXPR_NUM_THREADS": _THREADS,
        "OMP_NUM_THREADS": _THREADS,
        "OPENBLAS_NUM_THREADS": _THREADS,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "USER": "sandbox",
    }
    if libraries := [str(prefix / "lib") for prefix in prefixes()]:
        variables["LD_LIBRARY_PATH"] = ":".join(libraries)
    if packages is not None:
        variables |= {"PYTHONPATH": packages, "MPLCONFIGDIR": fonts}
    return variables
