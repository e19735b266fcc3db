"""Calls point down. The contract stands in `pyproject.toml`; `make lint` prints what breaks it."""

import subprocess
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def _rooms() -> set[str]:
    source = _ROOT / "src" / "locum"
    return {path.name for path in source.iterdir() if (path / "__init__.py").exists()}


def test_the_layers_are_kept() -> None:
    # In a process of its own: the tool silences the loggers of whoever calls it.
    told = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout


def test_every_room_stands_in_the_map_and_in_the_contract() -> None:
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    held = {name.strip() for layer in layers for name in layer.split("|")}
    drawn = (_ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for room in _rooms():
        assert room in held, f"{room} has no place in the layers contract"
        assert f"`{room}/`" in drawn, f"{room} is not in ARCHITECTURE.md"
