"""The projects that things go into: one rule for every way in, and nothing falls elsewhere."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.kit.moving import Place, at, contents
from tests.moving.test_shapes import NESTED

from locum.cli import main
from locum.moving.sources import SourceError

BAD = ["web shop", "a/b", "", "..", "a\nb", "x" * 129]
GOOD = ["_shop", ".shop", "-shop", "läden", "x" * 128]


def _export(folder: Path, project_id: object) -> Path:
    folder.mkdir()
    told = {"object": "locum.project", "id": project_id, "name": "A shop"}
    (folder / "project.json").write_text(json.dumps(told), "utf-8")
    (folder / "threads.jsonl").write_text(json.dumps(NESTED), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def _only_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("project_id", [*BAD, ["a"]])
def test_a_project_that_cannot_be_is_refused_by_name(tmp_path: Path, project_id: Any) -> None:
    dump = _export(tmp_path / "dump", project_id)

    async def run(here: Place) -> None:
        with pytest.raises(SourceError, match="no name of a project") as refused:
            await here.take(dump)
        assert str(project_id)[:64] in str(refused.value)
        assert contents(await here.give()).keys() == {"manifest.json"}
        assert not [*(here.folder / "imports").iterdir()]
        # Where it is to go can be said.
        assert (await here.take(dump, project="proj_shop")).is_whole

    at(run)


@pytest.mark.parametrize("project_id", GOOD)
def test_whatever_project_a_key_can_be_made_for_can_be_imported(
    tmp_path: Path, project_id: str
) -> None:
    assert main(["keys", "create", f"--project={project_id}"]) == 0
    dump = _export(tmp_path / "dump", project_id)

    async def run(here: Place) -> None:
        assert (await here.take(dump)).is_whole
        assert await here.store.threads.find(project_id, "thread_aaaaaa") is not None

    at(run)


@pytest.mark.parametrize("project_id", BAD)
def test_no_command_makes_a_project_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], project_id: str
) -> None:
    dump = str(_export(tmp_path / "dump", "proj_shop"))
    for words in (["keys", "create"], ["import", dump]):
        assert main([*words, "--project", project_id]) == 1
        assert f"'{project_id[:64]}" in capsys.readouterr().err


def test_a_project_that_is_here_can_be_used_whatever_its_name(tmp_path: Path) -> None:
    dump = str(_export(tmp_path / "dump", "web shop"))
    assert main(["keys", "projects"]) == 0
    with sqlite3.connect(tmp_path / ".locum" / "locum.db") as database:
        database.execute("INSERT INTO projects (id, name, created_at) VALUES ('web shop', 'S', 1)")
    database.close()
    assert main(["import", dump]) == 0
    assert main(["import", dump, "--project", "web shop"]) == 0
    assert main(["keys", "create", "--project", "web shop"]) == 0
    with sqlite3.connect(tmp_path / ".locum" / "locum.db") as database:
        assert database.execute("SELECT project_id FROM threads").fetchall() == [("web shop",)]
    database.close()


def test_a_project_that_only_owns_something_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody makes the project of the settings, which may have any name."""
    dump = str(_export(tmp_path / "dump", None))
    monkeypatch.setenv("LOCUM_PROJECT", "web shop")
    assert main(["import", dump]) == 0
    assert main(["keys", "create"]) == 0
    monkeypatch.delenv("LOCUM_PROJECT")
    with sqlite3.connect(tmp_path / ".locum" / "locum.db") as database:
        database.execute("DELETE FROM api_keys")
        database.execute("DELETE FROM projects")
    database.close()
    assert main(["keys", "create", "--project", "web shop"]) == 0
