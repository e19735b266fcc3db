"""Bytes of files in a dump, and what only looks like them: neither is taken for the other."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.kit.moving import Place, at, contents, said
from tests.moving.test_shapes import MESSAGES, NESTED, THREAD

from locum.moving.report import Report

NAME = "file-abcdef"
LARGE = NESTED | {"metadata": {"padding": "x" * 20_000}}


def _file(filename: str, data: bytes) -> dict[str, Any]:
    told = {"id": NAME, "object": "file", "created_at": 1, "purpose": "assistants"}
    return told | {"filename": filename, "bytes": len(data)}


def _write(folder: Path, files: dict[str, Any]) -> Path:
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return folder


def _taken(*paths: Path) -> tuple[Report, dict[str, bytes]]:
    async def run(here: Place) -> tuple[Report, dict[str, bytes]]:
        report = await here.take(*paths)
        return report, contents(await here.give())

    found: tuple[Report, dict[str, bytes]] = at(run)
    return found


def _bytes_of(found: dict[str, bytes], project: str = "proj_default") -> bytes | None:
    return found.get(f"projects/{project}/files/{NAME}")


# ------------------------------------------------------------- a dump with the name of a file


@pytest.mark.parametrize("dump", [NESTED, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "name",
    [
        "file-backup2024.json",
        "assistant-export.jsonl",
        "thread.file-backup2024.json",
        # What is named by whoever imports is meant to be a dump.
        "file-backup2024",
        "backup.txt",
    ],
)
def test_a_dump_is_read_whatever_its_name_looks_like(
    tmp_path: Path, name: str, dump: dict[str, Any]
) -> None:
    _write(tmp_path, {name: dump})
    report, _ = _taken(tmp_path / name)
    assert report.objects["threads"] == {"created": 1}
    assert report.objects["messages"] == {"created": 3}
    assert report.notes == []


@pytest.mark.parametrize("folder", ["assistant-exports", "file-backup2024/of/march"])
def test_a_dump_in_a_folder_that_looks_like_a_file_is_read(tmp_path: Path, folder: str) -> None:
    _write(
        tmp_path,
        {
            f"{folder}/a/report.json": {"total": 7},
            f"{folder}/files.json": [_file("report.json", b'{"total": 7}')],
            f"{folder}/threads.json": [THREAD],
            f"{folder}/messages.json": MESSAGES,
        },
    )
    report, found = _taken(tmp_path)
    counts = {kind: states["created"] for kind, states in report.objects.items()}
    assert counts == {"files": 1, "threads": 1, "messages": 3}
    assert report.notes == []
    assert _bytes_of(found) == b'{"total": 7}'


def test_an_export_in_such_a_folder_keeps_its_projects(tmp_path: Path) -> None:
    async def made(here: Place) -> Path:
        await here.take(_write(tmp_path / "in", {"thread.json": NESTED}), project="proj_other")
        given = await here.give()
        with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
            for path in (path for path in given.rglob("*") if path.is_file()):
                archive.write(path, f"assistant-exports/{path.relative_to(given)}")
        return tmp_path / "out.zip"

    report, found = _taken(at(made))
    assert report.notes == []
    assert "projects/proj_other/messages.jsonl" in found


def test_bytes_that_look_like_a_dump_are_those_of_the_file_they_are_named_after(
    tmp_path: Path,
) -> None:
    data = json.dumps(NESTED).encode()
    for place in (f"{NAME}.json", f"{NAME}/contents.json", f"x/{NAME}/assistant-notes.json"):
        dump = _write(tmp_path / place.replace("/", "-"), {place: data})
        _write(dump, {"files.json": [_file("thread.json", data)]})
        report, found = _taken(dump)
        assert report.objects == {"files": {"created": 1}}
        assert _bytes_of(found) == data


def test_a_source_that_is_neither_dump_nor_bytes_is_told_of(tmp_path: Path) -> None:
    _write(tmp_path, {"thread.json": NESTED, "photo.png": b"\x89PNG\r\n", NAME: b"\0\1"})
    report, _ = _taken(tmp_path / "thread.json", tmp_path / "photo.png", tmp_path / NAME)
    assert report.objects["threads"] == {"created": 1}
    assert {note.id for note in report.notes} == {"photo.png", NAME}
    assert all(one.startswith("not imported: it is not JSON") for one in said(report))
    assert not report.is_whole


# --------------------------------------------------------------- originals by name and size


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("report.json", b'{"total": 7}'),
        ("report.json", b"[1, 2, 3]\n"),
        ("report.json", b"no JSON at all"),
        ("messages.json", b'[{"id": "a", "text": "of another program"}]'),
        ("manifest.json", b'{"name": "an app"}'),
        ("project.json", b'{"name": "an app"}'),
        ("package.jsonl", b'{"messages": [{"role": "user", "content": "tune"}]}\n' * 2),
        ("empty.json", b""),
        ("file-exports.csv", b"a,b\n"),
        ("file-exports.json", b'{"a": "b"}'),
        ("thread.json", json.dumps(THREAD).encode()),
    ],
)
@pytest.mark.parametrize("where", ["originals", "a-first", "itself"])
def test_an_original_is_found_by_name_and_size_whatever_it_is(
    tmp_path: Path, name: str, data: bytes, where: str
) -> None:
    dump = _write(tmp_path / "dump", {"export.json": {"files": [_file(name, data)]}})
    paths = [dump, _write(tmp_path / "originals", {name: data})]
    if where == "a-first":
        paths.reverse()
    elif where == "itself":
        paths[1] /= name
    report, found = _taken(*paths)
    assert report.objects["files"] == {"created": 1}
    assert report.notes == []
    assert _bytes_of(found) == data


def test_json_of_another_size_is_told_of_as_before(tmp_path: Path) -> None:
    dump = {"export.json": {"files": [_file("report.json", b"{}")]}, "report.json": {"total": 7}}
    report, _ = _taken(_write(tmp_path, dump))
    assert said(report, "files") == ["not imported: its content is not in the dump"]
    assert said(report, "source") == ["not imported: it was not recognised"]


def test_two_originals_of_one_name_and_size_are_nobodys(tmp_path: Path) -> None:
    dump: dict[str, Any] = {"a/report.json": [1], "b/report.json": [2]}
    dump["export.json"] = {"files": [_file("report.json", b"[1]")]}
    report, _ = _taken(_write(tmp_path, dump))
    assert said(report, "files") == ["not imported: its content is not in the dump"]
