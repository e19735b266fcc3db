"""Calls point down. The contract stands in `pyproject.toml`; `make lint` prints what breaks it."""

import tomllib
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

_ROOT = Path(__file__).parent.parent


def _rooms() -> set[str]:
    source = _ROOT / "src" / "locum"
    return {path.name for path in source.iterdir() if (path / "__init__.py").exists()}


def test_the_layers_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(_ROOT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_every_room_stands_in_the_map_and_in_the_contract() -> None:
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    held = {name.strip() for layer in layers for name in layer.split("|")}
    drawn = (_ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for room in _rooms():
        assert room in held, f"{room} has no place in the layers contract"
        assert f"`{room}/`" in drawn, f"{room} is not in ARCHITECTURE.md"
