"""Run a program to its end, and hear what it said."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_PROGRAM_S = 120


def run(*command: str, environment: Mapping[str, str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
