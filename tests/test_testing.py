"""The server that our users' tests start: whole, offline, scripted, and gone afterwards."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openai import NotFoundError, OpenAI
from tests.kit.http import Http

from locum import testing


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def _ask(client: OpenAI, text: str) -> str:
    assistant = client.beta.assistants.create(model="gpt-4o")
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": text}]},
        poll_interval_ms=10,
    )
    assert run.status == "completed", run.last_error
    message = next(iter(client.beta.threads.messages.list(run.thread_id)))
    (part,) = message.content
    assert part.type == "text"
    return part.text.value


@pytest.mark.slow
def test_a_server_answers_by_rule_sees_no_setting_of_the_machine_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUM_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    rules = {"weather": "!say It is {user}", "": "!say I only know the weather."}
    with testing.server(rules, allow_downloads=True, cors_origins=["http://a.example"]) as url:
        with OpenAI(base_url=url, api_key="any", max_retries=0) as client:
            assert _ask(client, "The weather?") == "It is The weather?"
            assert _ask(client, "And the time?") == "I only know the weather."
            with pytest.raises(NotFoundError):
                client.beta.threads.retrieve("thread_none")
        http = Http(_port(url), {"Origin": "http://a.example", "Authorization": "Bearer any"})
        answer = http.get("/v1/models")
        assert answer.headers["access-control-allow-origin"] == "http://a.example"
    with pytest.raises(ConnectionRefusedError):
        http.get("/v1/models")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_why_a_server_did_not_start_is_told() -> None:
    with (
        pytest.raises(testing.NotStarted, match="'gpt-4o'"),
        testing.server(model="gpt-4o"),
    ):
        raise AssertionError
