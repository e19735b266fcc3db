"""The packages of the sandbox are there whole or not at all. A program of ours stands for pip."""

import asyncio
import sys
from pathlib import Path

import pytest

from locum.tools.code_interpreter import packages
from locum.tools.code_interpreter.packages import PackagesUnavailable, install, installed

# Writes what it was asked for into the directory it was given, and a font list's importable stub.
PIP = """
import pathlib, sys
building, *rest = sys.argv[1:]
(pathlib.Path(building) / 'matplotlib').mkdir(exist_ok=True)
(pathlib.Path(building) / 'matplotlib' / '__init__.py').touch()
(pathlib.Path(building) / 'matplotlib' / 'font_manager.py').touch()
with open(pathlib.Path(building) / 'asked', 'a') as file: print(*rest, file=file)
print('collected')
"""
BROKEN = "import sys; print('no network'); sys.exit(1)"


def _stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(
        packages, "_installer", lambda building: [sys.executable, "-c", program, str(building)]
    )


def test_packages_are_installed_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, PIP)
    told: list[str] = []
    assert installed(tmp_path) is None

    target = asyncio.run(install(tmp_path, progress=told.append))
    again = asyncio.run(install(tmp_path, progress=told.append))

    assert installed(tmp_path) == target == again
    assert told == ["collected"]
    assert "--require-hashes -r " in (target / "asked").read_text()
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_failed_installation_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, BROKEN)

    with pytest.raises(PackagesUnavailable, match="no network"):
        asyncio.run(install(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_other_packages_replace_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, PIP)
    asyncio.run(install(tmp_path))

    target = asyncio.run(install(tmp_path, extra=["seaborn"]))

    assert installed(tmp_path) is None
    assert installed(tmp_path, extra=["seaborn"]) == target
    first, second = (target / "asked").read_text().splitlines()
    assert first.startswith("--require-hashes")
    assert second == f"-c {target.with_name(f'.building-{target.name}')}/.constraints seaborn"
    pins = (target / ".constraints").read_text()
    assert "numpy==" in pins
    assert "--hash" not in pins
    assert "\\" not in pins


def test_every_pinned_package_has_a_hash() -> None:
    lines = packages._PINNED.read_text(encoding="utf-8").splitlines()
    pins = [number for number, line in enumerate(lines) if "==" in line]

    assert len(pins) > 7
    assert all("--hash=sha256:" in lines[number + 1] for number in pins)


def test_where_there_is_no_installer_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda _name: None)

    with pytest.raises(PackagesUnavailable, match="Neither pip nor uv"):
        asyncio.run(install(tmp_path))

    monkeypatch.setattr("shutil.which", lambda _name: "/somewhere/uv")
    assert packages._installer(tmp_path)[:3] == ["/somewhere/uv", "pip", "install"]
