"""The distributions, built once, offline, with the build backend that is pinned."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.docs.pages import ROOT

_BUILD_S = 120


class Distributions(NamedTuple):
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, into=folder, target="sdist")
    return Distributions(build(ROOT, into=folder, target="wheel"), next(folder.glob("*.tar.gz")))


def build(source: Path, *, into: Path, target: str) -> Path:
    """Without an environment of its own for the build, so nothing is downloaded."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=_BUILD_S,
    )
    return next(into.glob("*.whl" if target == "wheel" else "*.tar.gz"))
