"""Limits that an operator sets, as clients meet them: 429, and when to come back."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.contract.requirements import covers
from tests.kit.server import ANY_KEY, Server
from tests.kit.talk import ENDED, Talk

pytestmark = pytest.mark.slow

MakeServer = Callable[..., Server]
_SLOW_DOWN = "You've exceeded the rate limit, please slow down and try again later."


@covers("limits:requests")
def test_requests_beyond_the_limit_are_refused_and_told_when_to_return(
    make_server: MakeServer,
) -> None:
    server = make_server(requests_per_minute=3)
    http = server.http()
    left = [http.get("/v1/assistants").headers for _ in range(3)]
    assert [headers["x-ratelimit-remaining-requests"] for headers in left] == ["2", "1", "0"]
    assert left[0]["x-ratelimit-limit-requests"] == "3"
    assert left[2]["x-ratelimit-reset-requests"] == "60.000s"

    refused = http.post("/v1/threads", {})
    assert refused.status == 429
    assert refused.error == {
        "message": _SLOW_DOWN,
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["retry-after-ms"] == "20000"
    assert refused.headers["x-request-id"].startswith("req_")

    server.clock.advance(20)
    assert http.get("/v1/assistants").status == 200
    assert http.get("/v1/assistants").status == 429


@covers("limits:retry")
def test_the_official_client_returns_when_it_is_told_to(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(requests_per_minute=60)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        server.clock.advance(seconds)

    monkeypatch.setattr("openai._base_client.time.sleep", sleep)
    with OpenAI(api_key=ANY_KEY, base_url=f"{server.url}/v1", max_retries=1) as client:
        for _ in range(61):
            assert client.beta.assistants.list().data == []
    assert slept == [1.0]


@covers("limits:projects")
def test_a_project_at_its_limit_is_no_concern_of_others(make_server: MakeServer) -> None:
    server = make_server(requests_per_minute=1)
    (busy, _), (quiet, _) = server.add_key("proj_busy"), server.add_key("proj_quiet")
    other, _ = server.add_key("proj_busy")
    assert server.http(busy).get("/v1/assistants").status == 200
    assert server.http(other).get("/v1/assistants").status == 429
    assert server.http(quiet).get("/v1/assistants").status == 200


@covers("limits:queue")
def test_runs_are_refused_when_too_many_of_their_project_wait(make_server: MakeServer) -> None:
    server = make_server(max_runs_per_project=1, max_queued_runs=2)
    key, _ = server.add_key("proj_busy")
    talk = Talk(server.http(key))
    driven = talk.until(talk.begin("!think 3600"), "in_progress")
    server.clock.advance(1)
    waiting = [talk.begin("hello") for _ in range(2)]

    assistant_id, thread_id = talk.assistant(), talk.thread("hello")
    body = {"assistant_id": assistant_id}
    refused = talk.http.post(f"/v1/threads/{thread_id}/runs", body)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(refused.headers["retry-after"]) <= 120
    assert talk.http.post("/v1/threads/runs", body).status == 429
    with pytest.raises(openai.RateLimitError), server.sdk(key) as client:
        client.beta.threads.runs.create(thread_id, assistant_id=assistant_id)
    assert talk.http.get(f"/v1/threads/{thread_id}/runs").json["data"] == []

    talk.cancel(driven)
    for run in waiting:
        assert talk.until(run, *ENDED)["status"] == "completed"
    server.clock.advance(1)
    assert talk.http.post(f"/v1/threads/{thread_id}/runs", body).status == 200


@covers("limits:share")
def test_a_project_has_no_more_runs_driven_than_its_share(make_server: MakeServer) -> None:
    server = make_server(max_runs_per_project=2)
    (busy_key, _), (quiet_key, _) = server.add_key("proj_busy"), server.add_key("proj_quiet")
    busy, quiet = Talk(server.http(busy_key)), Talk(server.http(quiet_key))
    runs: list[Any] = [busy.begin("!think 3600") for _ in range(5)]
    assert quiet.run("hello")["status"] == "completed"
    # That a run has begun is written a moment after it has.
    for run in runs[:2]:
        busy.until(run, "in_progress")
    assert [busy.read(run)["status"] for run in runs[2:]] == ["queued"] * 3
    busy.cancel(runs[0])
    assert busy.until(runs[2], "in_progress")
    assert busy.read(runs[3])["status"] == "queued"
    for run in runs[1:]:
        busy.cancel(run)
