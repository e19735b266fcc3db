"""What operators are answered: life, readiness, metrics, and who may see which."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from tests.kit.databases import fresh_url
from tests.kit.http import Answer, Http
from tests.kit.inside import Inside, inside
from tests.kit.server import Server
from tests.kit.talk import Talk, function

from locum.api.operators import Operators
from locum.metrics import Metrics
from locum.store.migrations import known

MakeServer = Callable[..., Server]
ADMIN_KEY = "sk-admin-0123456789abcdef"


def read(answer: Answer) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as a scraper reads them."""
    assert answer.status == 200, answer.body
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), sample
            found[sample.name][labels] = sample.value
    return found


@pytest.fixture
def watched(make_server: MakeServer) -> Server:
    return make_server(admin_key=ADMIN_KEY)


def _talk(server: Server) -> Talk:
    secret, _ = server.add_key("proj_default")
    return Talk(server.http(secret))


def _as_admin(server: Server) -> Http:
    return server.http(ADMIN_KEY)


def test_a_process_that_lives_says_so_to_anybody(http: Http, server: Server) -> None:
    answer = server.http(None).get("/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    head = server.http(None).send("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    refused = http.post("/health")
    assert (refused.status, refused.headers.get("allow")) == (405, "GET, HEAD")


def test_readiness_gives_its_reasons_to_the_admin_alone(watched: Server) -> None:
    assert watched.http(None).get("/ready").json == {"ready": True}
    assert _as_admin(watched).get("/ready").json == {"ready": True, "reasons": []}


def test_without_an_admin_key_nobody_is_an_admin(http: Http) -> None:
    for path in ("/metrics", "/admin/keys"):
        answer = http.get(path)
        assert answer.status == 404
        assert "LOCUM_ADMIN_KEY" in answer.error["message"]


@pytest.mark.parametrize("key", [None, "", "sk-any", ADMIN_KEY[:-1], f"{ADMIN_KEY}x", "schlüssel"])
def test_another_key_is_not_the_admins(watched: Server, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
    http = watched.http(None)
    for path in ("/metrics", "/admin/keys"):
        answer = http.get(path, headers=headers)
        assert answer.status == 403, path
        assert key is None or not key or key not in answer.body.decode()


def test_what_is_counted_is_what_happened(watched: Server) -> None:
    talk = _talk(watched)
    talk.run("hello")
    run = talk.run("!call f", tools=[function("f")])
    assert talk.submit(run, ["done"]).status == 200
    talk.until(run, "completed")
    talk.run("!error rate_limit Slow down")
    talk.frames("hello")
    assert talk.http.get("/v1/threads/thread_none").status == 404
    assert talk.http.get("/v1/nowhere").status == 404
    told = read(_as_admin(watched).get("/metrics"))

    requests = told["locum_http_requests_total"]
    assert requests[("operation", "create_run"), ("status", "200")] == 4
    assert requests[("operation", "get_thread"), ("status", "404")] == 1
    assert requests[("operation", "none"), ("status", "404")] == 1
    states = {labels[0][1]: value for labels, value in told["locum_run_states_total"].items()}
    assert states == {
        "queued": 5,
        "in_progress": 5,
        "requires_action": 1,
        "completed": 3,
        "failed": 1,
    }
    assert told["locum_run_queue_seconds_count"][()] == 5
    assert told["locum_run_seconds_count"][(("status", "completed"),)] == 3
    calls = told["locum_model_calls_total"]
    assert calls[("backend", "scripted"), ("outcome", "stop")] == 3
    assert calls[("backend", "scripted"), ("outcome", "calls")] == 1
    assert calls[("backend", "scripted"), ("outcome", "rate_limit_exceeded")] == 1
    tokens = told["locum_model_tokens_total"]
    assert tokens[("backend", "scripted"), ("kind", "completion")] > 0
    assert told["locum_model_first_token_seconds_count"][(("backend", "scripted"),)] == 4
    assert told["locum_runs_alive"][(("status", "queued"),)] == 0
    assert told["locum_runs_driven"][()] == 0
    assert told["locum_http_streams_open"][()] == 0
    assert told["process_open_fds"][()] > 0


def test_times_are_spread_over_bounds_that_include_themselves() -> None:
    metrics = Metrics(version="1")
    for seconds in (0.0, 0.001, 0.0011, 9.9, 3600.0):
        metrics.http.answered("get_run", 200, seconds)
    page, _ = metrics.page("")
    told = read(Answer(200, {}, page))
    spread = told["locum_http_request_seconds_bucket"]
    below = {dict(labels)["le"]: count for labels, count in spread.items()}
    assert (below["0.001"], below["0.0025"], below["5.0"]) == (2, 3, 3)
    assert (below["10.0"], below["+Inf"]) == (4, 5)
    operation = (("operation", "get_run"),)
    assert told["locum_http_request_seconds_count"][operation] == 5
    assert told["locum_http_request_seconds_sum"][operation] == pytest.approx(3609.9021)


def test_runs_and_streams_that_are_open_are_seen(watched: Server) -> None:
    talk = _talk(watched)
    stream = talk.open("!think 3600")
    run = stream.until("thread.run.in_progress")[0].data
    told = read(_as_admin(watched).get("/metrics"))
    assert told["locum_runs_driven"][()] == 1
    assert told["locum_http_streams_open"][()] == 1
    assert told["locum_runs_alive"][(("status", "in_progress"),)] == 1
    talk.cancel(run)
    stream.close()


def test_limits_that_were_met_are_counted(make_server: MakeServer) -> None:
    server = make_server(admin_key=ADMIN_KEY, requests_per_minute=1)
    http = _talk(server).http
    for _ in range(3):
        http.get("/v1/assistants")
    told = read(_as_admin(server).get("/metrics"))
    assert told["locum_http_refused_total"] == {(("limit", "requests"),): 2}


def test_calls_of_hosted_tools_are_counted(make_server: MakeServer) -> None:
    server = make_server(admin_key=ADMIN_KEY, sandbox="unsafe-subprocess")
    talk = _talk(server)
    talk.run("!python print(6 * 7)", tools=[{"type": "code_interpreter"}])
    told = read(_as_admin(server).get("/metrics"))
    done = (("kind", "code_interpreter"), ("outcome", "done"))
    assert told["locum_tool_calls_total"] == {done: 1}
    assert told["locum_tool_call_seconds_count"][(("kind", "code_interpreter"),)] == 1
    assert told["locum_sandbox_sessions"][()] == 1


def test_nothing_that_somebody_wrote_or_owns_is_a_label(watched: Server) -> None:
    secret, key_id = watched.add_key("proj_secretive")
    talk = Talk(watched.http(secret))
    run = talk.run("my secret words", metadata={"very": "private"})
    page = _as_admin(watched).get("/metrics").body.decode()
    for word in ("secretive", secret, key_id, run["id"], run["thread_id"], "secret", "private"):
        assert word not in page


def test_a_scraper_that_knows_openmetrics_gets_it(watched: Server) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = _as_admin(watched).get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    names = {
        family.name
        for family in parse_openmetrics(answer.body.decode())  # type: ignore[no-untyped-call]  # it has no types
    }
    assert "locum_run_states" in names


# ------------------------------------------------------- on an address of their own


async def _ask(here: Inside, method: str, path: str, *, apart: bool = True) -> Answer:
    operators = Inside(here.house, Operators(here.house, apart=apart))
    return await operators.send(method, path.encode())


def test_an_address_of_its_own_asks_for_no_key_but_for_admin() -> None:
    async def check() -> None:
        async with inside(admin_key=ADMIN_KEY) as here:
            assert (await _ask(here, "GET", "/health")).status == 200
            ready = await _ask(here, "GET", "/ready")
            assert ready.json == {"ready": True, "reasons": []}
            assert "locum_build_info" in read(await _ask(here, "GET", "/metrics"))
            assert (await _ask(here, "GET", "/admin/keys")).status == 403
            assert (await _ask(here, "GET", "/v1/assistants")).status == 404

    asyncio.run(check())


def test_a_process_that_is_about_to_end_is_not_ready_and_still_alive() -> None:
    async def check() -> None:
        async with inside() as here:
            here.house.health.drain()
            ready = await _ask(here, "GET", "/ready")
            assert (ready.status, ready.json["reasons"]) == (503, ["draining"])
            assert (await _ask(here, "GET", "/health")).status == 200

    asyncio.run(check())


def test_a_database_that_cannot_be_reached_is_a_reason_without_its_address(tmp_path: Path) -> None:
    async def check() -> None:
        async with fresh_url() as url, inside(database_url=url) as here:
            told = read(await _ask(here, "GET", "/metrics"))
            assert told["locum_database_connections"][()] >= 1
            assert told["locum_database_waits_total"][()] >= 1
            await here.house.store.close()
            ready = await _ask(here, "GET", "/ready")
            assert ready.status == 503
            assert ready.json == {"ready": False, "reasons": ["database_unreachable"]}
            told = read(await _ask(here, "GET", "/metrics"))
            assert math.isnan(told["locum_runs_alive"][(("status", "queued"),)])
            assert "locum_run_states_total" in told or "locum_build_info" in told

    asyncio.run(check())


def test_a_database_that_is_behind_is_a_reason_and_one_ahead_is_none() -> None:
    async def check() -> None:
        async with inside() as here:
            newest = known("sqlite")[-1].number
            async with here.house.store.transaction() as tx:
                await tx.execute(
                    "INSERT INTO migrations (number, name, checksum) VALUES ($1, 'newer', '')",
                    newest + 1,
                )
            assert (await _ask(here, "GET", "/ready")).status == 200
            async with here.house.store.transaction() as tx:
                await tx.execute("DELETE FROM migrations WHERE number = $1", newest)
            ready = await _ask(here, "GET", "/ready")
            assert (ready.status, ready.json["reasons"]) == (503, ["migrations_pending"])

    asyncio.run(check())


# ---------------------------------------------------------------------------- admin


def test_where_keys_can_be_made_nobody_comes_in_without_one(watched: Server) -> None:
    assert watched.http().get("/v1/assistants").status == 401
    assert watched.http(_created(watched)["value"]).get("/v1/assistants").status == 200


def _created(server: Server, **body: Any) -> Any:
    answer = _as_admin(server).post("/admin/keys", body)
    assert answer.status == 200, answer.body
    return answer.json


def test_a_key_made_over_http_opens_its_project_until_it_is_revoked(watched: Server) -> None:
    made = _created(watched, project_id="proj_shop", name="web shop", expires_days=2)
    assert made["value"].startswith("sk-locum-")
    assert made["expires_at"] == made["created_at"] + 2 * 86_400
    answer = watched.http(made["value"]).get("/v1/assistants")
    assert (answer.status, answer.headers["openai-project"]) == (200, "proj_shop")

    [listed] = _as_admin(watched).get("/admin/keys").json["data"]
    assert listed == {name: value for name, value in made.items() if name != "value"}

    gone = _as_admin(watched).delete(f"/admin/keys/{made['id']}")
    assert gone.json == {"id": made["id"], "object": "admin.key.deleted", "deleted": True}
    watched.clock.advance(2)
    assert watched.http(made["value"]).get("/v1/assistants").status == 401
    assert _as_admin(watched).delete(f"/admin/keys/{made['id']}").status == 404


def test_a_read_only_key_of_the_default_project_can_be_made(watched: Server) -> None:
    made = _created(watched, read_only=True)
    assert made["project_id"] == "proj_default"
    assert watched.http(made["value"]).post("/v1/threads", {}).status == 403


@pytest.mark.parametrize(
    "body",
    [{"project": "x"}, {"expires_days": 0}, {"project_id": ""}, {"project_id": "a/b"}, {"name": 1}],
)
def test_a_key_that_cannot_be_is_refused(watched: Server, body: Any) -> None:
    assert _as_admin(watched).post("/admin/keys", body).status == 400


def test_a_key_can_be_made_for_a_project_that_is_here_whatever_its_name(watched: Server) -> None:
    refused = _as_admin(watched).post("/admin/keys", {"project_id": "web shop"})
    assert refused.status == 400
    assert "'web shop'" in refused.json["error"]["message"]
    assert refused.json["error"]["param"] == "project_id"
    watched.add_key("web shop")
    assert _created(watched, project_id="web shop")["project_id"] == "web shop"


def test_projects_are_shown_with_what_they_have_in_hand(watched: Server) -> None:
    secret, _ = watched.add_key("proj_busy")
    watched.add_key("proj_quiet")
    talk = Talk(watched.http(secret))
    run = talk.until(talk.begin("!think 3600"), "in_progress")
    told = _as_admin(watched).get("/admin/projects").json["data"]
    assert [(project["id"], project["runs"]) for project in told] == [
        ("proj_busy", {"in_progress": 1}),
        ("proj_quiet", {}),
    ]
    talk.cancel(run)


def test_the_one_process_over_sqlite_is_shown_with_what_it_drives(watched: Server) -> None:
    secret, _ = watched.add_key("proj_busy")
    talk = Talk(watched.http(secret))
    run = talk.until(talk.begin("!think 3600"), "in_progress")
    told = _as_admin(watched).get("/admin/workers").json
    [worker] = told["data"]
    assert worker["roles"] == ["web", "worker"]
    assert worker["runs"] == {"proj_busy": 1}
    assert told["unheld"] == {}
    talk.cancel(run)


def test_what_is_not_there_for_admins_is_not_there(watched: Server) -> None:
    admin = _as_admin(watched)
    assert admin.get("/admin/").status == 404
    assert admin.get("/admin/nothing").status == 404
    refused = admin.delete("/admin/keys")
    assert (refused.status, refused.headers.get("allow")) == (405, "GET, POST")
