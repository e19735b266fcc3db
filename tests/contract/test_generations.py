"""Programs for older and other official clients, unchanged but for their base URL.

Each generation gets an environment of its own, built once from pinned names and hashes.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.requirements import covers
from tests.kit.environments import environment
from tests.kit.server import Server

_HERE = Path(__file__).parent
_CLIENTS, _NODE = _HERE / "clients", _HERE / "node"
_BUILD_S = 300
_PROGRAM_S = 90


@covers("sdk:python_generations")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("pins", "program"),
    [
        ("requirements-2.txt", "second_version.py"),
        ("requirements-1.txt", "second_version.py"),
        ("requirements-1-first.txt", "first_version.py"),
    ],
)
def test_a_program_for_an_older_python_client(server: Server, pins: str, program: str) -> None:
    python = environment(_CLIENTS / pins)
    _run(str(python), str(_CLIENTS / program), f"{server.url}/v1")


@covers("sdk:python_generations")
@pytest.mark.slow
def test_the_same_program_under_the_newest_python_client(server: Server) -> None:
    _run(sys.executable, str(_CLIENTS / "second_version.py"), f"{server.url}/v1")


@covers("sdk:node_generations")
@pytest.mark.node
@pytest.mark.parametrize("package", ["openai", "openai-4"])
def test_a_program_for_the_node_client(server: Server, package: str) -> None:
    _run_node("program.mjs", package, server)


@covers("sdk:node_files")
@pytest.mark.node
@pytest.mark.parametrize("package", ["openai", "openai-4"])
def test_files_are_searched_and_cited_for_the_node_client(reading: Server, package: str) -> None:
    _run_node("files.mjs", package, reading)


def _run_node(program: str, package: str, server: Server) -> None:
    node = shutil.which("node")
    assert node is not None, "the tests marked `node` need Node.js"
    _install_node_clients()
    _run(node, str(_NODE / program), package, f"{server.url}/v1")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROGRAM_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("well")


def _install_node_clients() -> None:
    """Install what the lock names, unless it is there."""
    installed = _NODE / "node_modules" / ".package-lock.json"
    lock = _NODE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    assert npm is not None, "the tests marked `node` need npm"
    subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        cwd=_NODE,
        check=True,
        timeout=_BUILD_S,
    )
