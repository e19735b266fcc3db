"""What is published: whole, installable with nothing else, and the same from either form."""

import ast
import email
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import ROOT
from tests.kit.http import Http
from tests.kit.talk import Talk
from tests.packaging.conftest import Distributions, build

from locum import __version__

_SOURCE = ROOT / "src"
_STOP_S = 30
_UNIT_S = 120
# Distribution and import names that differ.
_IMPORTED_AS = {
    "opentelemetry-sdk": "opentelemetry",
    "python-multipart": "python_multipart",
    "quicktok-v1": "quicktok",
}
_PROBE = """
import locum, pathlib, sys
print(pathlib.Path(locum.__file__).parent)
"""


def test_the_wheel_holds_every_file_of_the_package(built: Distributions) -> None:
    ours = {
        path.relative_to(_SOURCE).as_posix()
        for path in (_SOURCE / "locum").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert _files(built.wheel) == ours
    assert "locum/web/static/index.html" in ours
    assert "locum/py.typed" in ours
    assert "locum/tools/code_interpreter/packages.txt" in ours
    assert {name for name in ours if name.startswith("locum/store/migrations/sqlite/")}


def test_the_wheel_that_is_built_of_the_sdist_is_the_same(
    built: Distributions, tmp_path: Path
) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(
        tmp_path / built.sdist.name.removesuffix(".tar.gz"), into=tmp_path, target="wheel"
    )
    assert again.read_bytes() == built.wheel.read_bytes()


def test_the_sdist_holds_what_packagers_need(built: Distributions) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py"} <= names
    assert not [name for name in names if "node_modules" in name or name.startswith(".venv")]


def test_the_metadata_says_what_people_look_for(built: Distributions) -> None:
    metadata = _metadata(built.wheel)
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in metadata.get_all("Classifier", [])
    assert {"embedded", "search", "sandbox", "all"} <= set(metadata.get_all("Provides-Extra", []))


def test_pip_comes_along_for_models_are_fetched_with_it(built: Distributions) -> None:
    """Environments that `uv tool install` makes have none of their own."""
    required = _metadata(built.wheel).get_all("Requires-Dist", [])
    assert [line for line in required if line.startswith("pip>=") and "extra" not in line]


def test_whatever_is_imported_is_required(built: Distributions) -> None:
    required = {
        re.split(r"[\[;<>=~! ]", line)[0]
        for line in _metadata(built.wheel).get_all("Requires-Dist", [])
    }
    importable = {_IMPORTED_AS.get(name, name.replace("-", "_")) for name in required}
    foreign = set(_imports()) - set(sys.stdlib_module_names) - {"locum"}
    # The runner within the walls finds them among the packages of the sandbox.
    assert foreign - importable == {"PIL", "matplotlib"}


@pytest.mark.slow
def test_the_wheel_alone_serves_in_an_empty_folder(built: Distributions, tmp_path: Path) -> None:
    python = _fresh_environment(tmp_path / "venv", built.wheel)
    home = subprocess.run(
        [python, "-c", _PROBE],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=_UNIT_S,
    )
    assert Path(home.stdout.strip()).is_relative_to(tmp_path)
    command = [str(python.parent / "locum"), "serve", "--port", "0", "--model", "scripted"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = next(line for line in server.stdout if "listens on" in line)
            http = Http(
                int(told.rpartition(":")[2].partition("/")[0]), {"Authorization": "Bearer k"}
            )
            _looks_whole(http)
        finally:
            server.terminate()
            server.wait(_STOP_S)
    assert (tmp_path / ".locum" / "locum.db").exists()


def _looks_whole(http: Http) -> None:
    """The page and its parts, and a run from end to end."""
    page = http.get("/")
    assert page.status == 200
    assert b"<title>Locum" in page.body
    for path in re.findall(rb'(?:src|href)="(/page/[^"]+)"', page.body):
        assert http.get(path.decode()).status == 200
    talk = Talk(http)
    run = talk.run("Is everything here?")
    assert run["status"] == "completed"
    assert [step["type"] for step in talk.steps(run)] == ["message_creation"]


def _fresh_environment(folder: Path, wheel: Path) -> Path:
    """With the wheel, what it requires, and none of the extras.

    What is required is lent by our own environment, so that nothing is downloaded; the extras
    are hidden, so that the server has to do without them.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--quiet", str(wheel)], check=True, timeout=_UNIT_S)
    site = next(folder.glob("lib/python*/site-packages"))
    extras = ("xllamacpp", "onnxruntime", "pypdfium2", "selectolax")
    (site / "_hidden.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({extras!r}))\n", "utf-8"
    )
    (site / "borrowed.pth").write_text(
        f"{sysconfig.get_path('purelib')}\nimport _hidden\n", "utf-8"
    )
    return python


def _files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def _imports() -> Iterator[str]:
    for path in (_SOURCE / "locum").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]
