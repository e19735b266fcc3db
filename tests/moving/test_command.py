"""The commands as people use them: sample in, server on, old ids work; out again, and back."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from tests.kit.databases import fresh_url
from tests.kit.moving import at, contents, sample
from tests.kit.server import running

from locum import moves
from locum.cli import main


@pytest.fixture(autouse=True)
def _only_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def _first_thread(dump: Path) -> dict[str, Any]:
    thread: dict[str, Any] = json.loads((dump / "threads.jsonl").read_text().splitlines()[0])
    return thread


def test_a_program_goes_on_with_the_ids_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = sample(tmp_path, threads=10)
    assert main(["import", str(dump), "--data", "data"]) == 0
    assert "threads             10 created" in capsys.readouterr().out
    thread = _first_thread(dump)
    with running(data=tmp_path / "data", allow_downloads=True) as server, server.sdk() as sdk:
        _go_on(sdk, thread)
        (file,) = sdk.files.list().data
        assert sdk.files.content(file.id).read().startswith(b"Employees have twenty days")


def _go_on(sdk: OpenAI, thread: dict[str, Any]) -> None:
    run, answer = thread["runs"][0], thread["messages"][0]
    assert sdk.beta.threads.retrieve(thread["id"]).created_at == thread["created_at"]
    messages = sdk.beta.threads.messages.list(thread["id"]).data
    assert [one.id for one in messages] == [one["id"] for one in thread["messages"]]
    assert messages[0].run_id == run["id"]
    steps = sdk.beta.threads.runs.steps.list(thread_id=thread["id"], run_id=run["id"]).data
    assert [one.id for one in steps] == [one["id"] for one in run["steps"]]
    step = sdk.beta.threads.runs.steps.retrieve(
        steps[0].id, thread_id=thread["id"], run_id=run["id"]
    )
    assert step.step_details.type == "message_creation"
    assert step.step_details.message_creation.message_id == answer["id"]
    found = sdk.beta.threads.runs.retrieve(run["id"], thread_id=thread["id"])
    assert found.status == "completed"
    sdk.beta.threads.messages.create(thread["id"], role="user", content="And now?")
    new = sdk.beta.threads.runs.create_and_poll(
        thread_id=thread["id"], assistant_id=run["assistant_id"], tool_choice="none"
    )
    assert new.status == "completed"
    listed = sdk.beta.threads.messages.list(thread["id"], order="asc").data
    assert [one.role for one in listed] == ["user", "assistant", "user", "assistant"]


def test_there_and_back_by_folder_and_by_stream(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    dump = sample(tmp_path, threads=4)
    assert main(["import", str(dump), "--data", "a"]) == 0
    assert main(["export", "out", "--data", "a"]) == 0
    capsysbinary.readouterr()
    assert main(["export", "-", "--data", "a"]) == 0
    Path("all.jsonl").write_bytes(capsysbinary.readouterr().out)
    assert main(["import", "all.jsonl", "--data", "b", "--report", "told.json"]) == 0
    assert main(["export", "again", "--data", "b"]) == 0
    told = json.loads(Path("told.json").read_text())
    assert told["objects"]["threads"] == {"created": 4}
    assert told["notes"] == []
    first, second = contents(Path("out")), contents(Path("again"))
    first.pop("manifest.json")
    manifest = json.loads(second.pop("manifest.json"))
    assert first == second
    assert manifest["projects"]["proj_default"]["messages"] == 8
    assert any(line.startswith("API keys") for line in manifest["left_out"])


def test_what_one_key_was_shown_is_not_imported_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor is what a dry run has read: that was then."""
    with running() as server:
        of_one, _ = server.add_key("proj_one")
        of_other, _ = server.add_key("proj_other")
        one, other = server.http(key=of_one), server.http(key=of_other)
        one.post("/v1/assistants", {"model": "m", "name": "one's"})
        words = ["import", "--from", f"{server.url}/v1", "--report", "told.json"]
        monkeypatch.setenv("LOCUM_IMPORT_KEY", of_one)
        assert main([*words, "--dry-run"]) == 0
        assert _told()["assistants"] == {"created": 1}
        monkeypatch.setenv("LOCUM_IMPORT_KEY", of_other)
        main([*words, "--dry-run"])
        assert _told() == {}
        other.post("/v1/assistants", {"model": "m", "name": "the other's"})
        assert main(words) == 0
        assert _told()["assistants"] == {"created": 1}


def _told() -> Any:
    return json.loads(Path("told.json").read_text())["objects"]


def test_what_stayed_behind_makes_the_command_say_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "threads.json").write_text('[{"id": "chat_1"}]')
    assert main(["import", "threads.json"]) == 1
    assert "! threads: not imported: an id of threads begins with thread_" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import"], "Name what to import"),
        (["import", "nothing.json"], "There is no nothing.json"),
        (["import", "--from", "nowhere"], "looks like"),
        (["import", "--from", "http://127.0.0.1:1/v1", "--key-file", "key"], "No such file"),
        (["export", "full"], "is not empty"),
        (["export", "out", "--thread", "thread_none"], "No thread found"),
        (["export", "out", "--to", "responses", "--thread", "thread_none"], "No thread found"),
        (["export", "out", "--project", "proj_none"], "There is no project 'proj_none' here"),
        (["export", "-", "--to", "responses", "--project", "proj_none"], "There is no project"),
        (["backup", "b"], "There is no"),
        (["restore", "b"], "There is no b"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    if arguments[0] == "export":
        assert main(["migrate", "--data", "data"]) == 0
    assert main([*arguments, "--data", "data"]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_where_a_report_cannot_be_written_nothing_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", str(sample(tmp_path, threads=1)), "--data", "data"]
    assert main([*words, "--report", "none/told.json"]) == 1
    assert "none/told.json" in capsys.readouterr().err
    assert main([*words, "--report", "told.json"]) == 0
    assert _told()["threads"] == {"created": 1}


@pytest.mark.parametrize("more", [[], ["--to", "responses"]])
def test_no_export_is_made_of_a_folder_that_is_not_there(
    capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert main(["export", "out", *more, "--data", "mistyped"]) == 1
    assert "mistyped/locum.db. Name the folder with --data." in capsys.readouterr().err
    assert not Path("out").exists()
    assert not Path("mistyped").exists()


def test_a_project_that_owns_nothing_yet_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "--project", "proj_new", "--data", "data"]) == 0
    assert main(["export", "out", "--project", "proj_new", "--data", "data"]) == 0
    assert "proj_new" in capsys.readouterr().err


def test_responses_are_written_to_a_folder_and_to_a_stream(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["import", str(sample(tmp_path, threads=2)), "--data", "a"]) == 0
    assert main(["export", "out", "--to", "responses", "--data", "a"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "conversation_items.jsonl",
        "conversations.jsonl",
        "responses.jsonl",
    ]
    capsysbinary.readouterr()
    assert main(["export", "-", "--to", "responses", "--data", "a"]) == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert len(lines) == sum(len(path.read_bytes().splitlines()) for path in Path("out").iterdir())


def test_backup_and_restore_go_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(sample(tmp_path, threads=2)), "--data", "a"]) == 0
    assert main(["backup", "b.tgz", "--data", "a"]) == 0
    assert main(["restore", "b.tgz", "--data", "c"]) == 0
    assert main(["restore", "b.tgz", "--data", "c"]) == 1
    assert main(["restore", "b.tgz", "--data", "c", "--force"]) == 0
    assert main(["export", "from-a", "--data", "a"]) == 0
    assert main(["export", "from-c", "--data", "c"]) == 0
    assert "--force" in capsys.readouterr().err
    first, second = (contents(Path(name)) for name in ("from-a", "from-c"))
    assert first.pop("manifest.json") is not None
    assert second.pop("manifest.json") is not None
    assert first == second


@pytest.mark.slow
def test_an_import_goes_on_while_a_server_serves_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = sample(tmp_path, threads=6)
    thread = _first_thread(dump)

    async def run(_: object) -> None:
        async with fresh_url() as url:
            monkeypatch.setenv("LOCUM_DATABASE_URL", url)
            await asyncio.to_thread(_serve_and_import, tmp_path, url, dump, thread)

    at(run)


def _serve_and_import(tmp_path: Path, url: str, dump: Path, thread: dict[str, Any]) -> None:
    with running(data=tmp_path / "data", database_url=url) as server, server.sdk() as sdk:
        mine = sdk.beta.threads.create()
        assert main(["import", str(dump), "--data", str(tmp_path / "data")]) == 0
        _go_on(sdk, thread)
        assert sdk.beta.threads.retrieve(mine.id).id == mine.id


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_and_a_file_sees_nothing() -> None:
    terminal, file = _Terminal(), io.StringIO()
    for out in (terminal, file):
        bar = moves.Bar(out)
        bar("reading", 5, 0)
        bar("importing", 10, 10)
    assert file.getvalue() == ""
    assert terminal.getvalue().endswith(f"importing {'█' * 30} 10/10\n")


def test_the_project_of_everybody_is_exported_before_anything_is_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["migrate", "--data", "data"]) == 0
    assert main(["export", "-", "--project", "proj_default", "--data", "data"]) == 0
    assert "There is no project" not in capsys.readouterr().err


def test_an_export_and_a_backup_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(sample(tmp_path, threads=1)), "--data", "data"]) == 0
    assert main(["export", "exported", "--data", "data"]) == 0
    assert main(["backup", "kept", "--data", "data"]) == 0
    capsys.readouterr()
    assert main(["restore", "exported", "--data", "new"]) == 1
    assert "`locum import`" in capsys.readouterr().err
    assert main(["import", "kept", "--data", "new"]) == 1
    told = capsys.readouterr()
    assert "`locum restore`" in told.out + told.err
