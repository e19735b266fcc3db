"""`locum steps`: one run as a tree, the same from the database and from a server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.kit.server import Server
from tests.kit.talk import Talk, function

from locum.cli import main
from locum.terminal.paint import Paint
from locum.terminal.tree import Told, tree

_DIALOGUE = """\
!say Let me see.
!call get_weather {"city":"Paris"}
!then
!say It is {result} there.
"""


def _done(server: Server) -> Any:
    talk = Talk(server.http())
    run = talk.run(_DIALOGUE, tools=[function("get_weather")])
    assert talk.submit(run, ["mild"]).status == 200
    return talk.until(run, "completed")


def test_a_run_is_shown_with_its_steps_and_what_went_in_and_out(
    make_server: Callable[..., Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(data=tmp_path)
    run = _done(server)
    assert main(["steps", run["id"], "--url", server.url]) == 0
    there = capsys.readouterr().out
    assert main(["steps", run["id"], "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == there
    lines = there.splitlines()
    assert lines[0].startswith(f"{run['id']} completed 0 s ")
    assert lines[0].endswith(" tokens scripted")
    assert run["thread_id"] in lines[1]
    shown = [line.split(" step_")[0] for line in lines[2:]]
    assert shown[0].startswith("├─ 1 message completed 0 s 0 + ")
    assert shown[1] == "│     Let me see."
    assert shown[2].startswith("├─ 2 get_weather completed 0 s ")
    assert shown[3:5] == ['│     {"city":"Paris"}', "│     → mild"]
    assert shown[5].startswith("└─ 3 message completed 0 s ")
    assert shown[6:] == ["      It is mild there."]


def test_programs_get_the_run_as_the_api_shows_it(
    make_server: Callable[..., Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(data=tmp_path)
    run = _done(server)
    steps = Talk(server.http()).steps(run)
    for source in (["--url", f"{server.url}/v1"], ["--data", str(tmp_path)]):
        assert main(["steps", run["id"], "--json", *source]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["run"], told["steps"]) == (run, steps)
        assert list(told["texts"].values()) == ["Let me see.", "It is mild there."]


def test_a_run_that_is_not_there_is_missed(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steps", "run_nope", "--data", str(tmp_path)]) == 1
    assert "There is no run 'run_nope' in the database" in capsys.readouterr().err
    assert main(["steps", "run_nope", "--url", server.url]) == 1
    assert "No run found with id 'run_nope'." in capsys.readouterr().err
    assert main(["steps", "run_nope", "--url", "ftp://a"]) == 1
    assert "looks like 'http://host:8000'" in capsys.readouterr().err


def test_whoever_may_see_nothing_is_told_so(
    make_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = make_server()
    secret, _ = server.add_key("proj_a")
    monkeypatch.setenv("LOCUM_API_KEY", "sk-wrong-key-0123456789")
    assert main(["steps", "run_1", "--url", server.url]) == 1
    assert "Incorrect API key provided" in capsys.readouterr().err
    monkeypatch.setenv("LOCUM_API_KEY", secret)
    assert main(["steps", "run_1", "--url", server.url]) == 1
    assert "No run found" in capsys.readouterr().err


def _step(calls: list[Any], **more: Any) -> dict[str, Any]:
    details = {"type": "tool_calls", "tool_calls": calls}
    return {"id": "step_1", "created_at": 5, "step_details": details, "usage": None} | more


def test_code_and_searches_and_failures_show_what_matters() -> None:
    code = {
        "type": "code_interpreter",
        "code_interpreter": {
            "input": "plot()",
            "outputs": [
                {"type": "logs", "logs": "done\n"},
                {"type": "image", "image": {"file_id": "file-1"}},
            ],
        },
    }
    found = {"file_name": "lease.txt", "score": 0.914, "content": [{"text": "Rent is due."}]}
    search = {"type": "file_search", "file_search": {"results": [found]}}
    error = {"code": "server_error", "message": "It broke."}
    run = {
        "id": "run_1",
        "status": "incomplete",
        "created_at": 5,
        "completed_at": 9,
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "model": "gpt-4o",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "last_error": error,
        "incomplete_details": {"reason": "max_completion_tokens"},
        "required_action": None,
    }
    steps = [
        _step([code], status="completed", completed_at=7),
        _step([search], status="failed", failed_at=8, last_error=error),
        _step([], status="in_progress"),
    ]
    assert list(tree(Told(run, steps, {}), paint=Paint(is_on=False), width=60)) == [
        "run_1 incomplete 4 s 3 + 4 tokens gpt-4o",
        "│ thread_1 · asst_1",
        "├─ 1 code_interpreter completed 2 s step_1",
        "│     plot()",
        "│     → done",
        "│     → [picture file-1]",
        "├─ 2 file_search failed 3 s step_1",
        "│     0.91 lease.txt Rent is due.",
        "│     server_error: It broke.",
        "└─ 3 tool calls in_progress step_1",
        "server_error: It broke.",
        "incomplete: max_completion_tokens",
    ]
