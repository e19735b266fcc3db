"""Directories that code has closed, to a server that has no more rights than the code.

Root walks in everywhere; where the tests are root, they give that up for a while.
"""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum.tools.code_interpreter.files import DataDirectory, remove_tree
from locum.tools.code_interpreter.limits import Limits

_NOBODY = 65_534
_PR_SET_DUMPABLE = 4


@pytest.fixture
def data() -> Iterator[Path]:
    # Not below pytest's own directory, which only its user may enter.
    holder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    if user == 0:
        os.chown(holder, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
        # Else the kernel closes /proc/self to who has just changed.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
    try:
        path = holder / "data"
        path.mkdir()
        (path / "sub" / "below").mkdir(parents=True)
        (path / "sub" / "file").write_text("12345")
        (path / "sub" / "below" / "file").write_text("1234567")
        yield path
    finally:
        os.seteuid(user)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
        shutil.rmtree(holder)


def _close(data: Path, mode: int) -> None:
    for path in (data / "sub" / "below", data / "sub", data):
        path.chmod(mode)


closed = pytest.mark.parametrize("mode", [0, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600])


@closed
def test_what_lies_in_closed_directories_is_seen_and_counted(data: Path, mode: int) -> None:
    _close(data, mode)
    directory = DataDirectory(data, owner=None, limits=Limits())

    assert directory._files().keys() == {"sub/file", "sub/below/file"}
    _close(data, mode)
    assert directory._usage().entries == 4


@closed
def test_what_is_too_much_is_removed_from_closed_directories(data: Path, mode: int) -> None:
    _close(data, mode)
    directory = DataDirectory(data, owner=None, limits=Limits())

    directory._shrink(0)

    assert directory._files() == {}


@closed
def test_files_are_laid_out_in_a_closed_directory(data: Path, mode: int) -> None:
    source = data.parent / "source"
    source.write_text("new")
    _close(data, mode)
    directory = DataDirectory(data, owner=None, limits=Limits())

    directory._put("sub", source, data.parent / "coming")

    assert directory._files().keys() == {"sub"}


@closed
def test_closed_directories_are_deleted(data: Path, mode: int) -> None:
    _close(data, mode)

    remove_tree(data)

    assert not data.exists()
