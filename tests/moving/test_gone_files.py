"""Files whose bytes are gone: an export tells of them, and leaves nothing in their place."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.kit.moving import Place, at, contents, quiet, said

from locum.cli import main
from locum.moving.exporting import Export, Exporter
from locum.moving.sinks import FolderSink

FILE: dict[str, Any] = {"id": "file-abcdef", "object": "file", "filename": "a.txt", "bytes": 5}


def _dump(folder: Path) -> Path:
    (folder / "files").mkdir(parents=True)
    (folder / "files.jsonl").write_text(json.dumps(FILE | {"created_at": 1}), "utf-8")
    (folder / "files" / "file-abcdef").write_text("Hello", "utf-8")
    return folder


def _lose_bytes(blobs: Path) -> None:
    for path in [*blobs.rglob("*")]:
        if path.is_file():
            path.unlink()


def test_a_file_without_its_bytes_is_told_of_and_leaves_no_empty_one(tmp_path: Path) -> None:
    async def run(here: Place) -> None:
        await here.take(_dump(tmp_path / "dump"))
        _lose_bytes(here.folder / "blobs")
        sink = FolderSink(tmp_path / "out")
        exporter = Exporter(here.store, here.blobs, sink, tick=quiet)
        await exporter.run(Export())
        sink.finish({})
        assert exporter.missing == ["file-abcdef: its content is gone"]
        assert [name for name in contents(tmp_path / "out") if "/files/" in name] == []

    at(run)

    async def again(here: Place) -> None:
        report = await here.take(tmp_path / "out")
        assert said(report, "files") == ["not imported: its content is not in the dump"]

    at(again)


def test_the_command_tells_of_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(_dump(tmp_path / "dump")), "--data", "data"]) == 0
    _lose_bytes(tmp_path / "data" / "blobs")
    assert main(["export", "out", "--data", "data"]) == 1
    assert "! file-abcdef: its content is gone" in capfd.readouterr().err
    left_out = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["left_out"]
    assert "file-abcdef: its content is gone" in left_out
