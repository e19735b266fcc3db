"""Who may come in, by which door, and what every answer says of itself."""

import base64
import re
from collections.abc import Callable

import openai
import pytest
from tests.contract.requirements import covers
from tests.kit.server import Server
from tests.kit.talk import Talk

MakeServer = Callable[..., Server]
_NO_KEY = "You didn't provide an API key. You need to provide your API key in an Authorization"


@pytest.fixture
def guarded(make_server: MakeServer) -> Server:
    """A server that has a key, and so asks everybody for one."""
    server = make_server()
    server.add_key("proj_of_others")
    return server


@covers("auth:missing")
def test_without_a_key_nobody_comes_in(guarded: Server) -> None:
    for http in (guarded.http(None), guarded.http("")):
        answer = http.get("/v1/assistants")
        assert answer.status == 401
    error = guarded.http(None).get("/v1/assistants").error
    assert error["message"].startswith(_NO_KEY)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)


@covers("auth:wrong", "auth:masked")
def test_a_wrong_key_is_shown_masked(guarded: Server) -> None:
    answer = guarded.http("not-a-real-key-but-one-authorized").get("/v1/assistants")
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.error["message"] == (
        f"Incorrect API key provided: not-a-re{'*' * 21}ized. You can find your API key at"
        " https://platform.openai.com/account/api-keys."
    )


@covers("auth:masked")
@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer "}, {"api-key": ""}, {"Authorization": "Basic Og=="}],
)
def test_an_empty_key_is_shown_as_one(guarded: Server, headers: dict[str, str]) -> None:
    """As a client sends it whose variable is not set."""
    answer = guarded.http(None).get("/v1/assistants", headers=headers)
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.error["message"].startswith("Incorrect API key provided: ''. You can find")


@covers("auth:bearer", "auth:basic", "auth:api_key_header")
def test_a_key_is_taken_from_three_places(guarded: Server) -> None:
    secret, _ = guarded.add_key("proj_mine")
    basic = base64.b64encode(f":{secret}".encode()).decode()
    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"bearer {secret}"},
        {"Authorization": f"Basic {basic}"},
        {"api-key": secret},
        {"api-key": "", "Authorization": f"Bearer {secret}"},
    ):
        answer = guarded.http(None).get("/v1/assistants", headers=headers)
        assert answer.status == 200, headers
        assert answer.headers["openai-project"] == "proj_mine"


@covers("auth:read_only")
def test_a_read_only_key_reads(guarded: Server) -> None:
    secret, _ = guarded.add_key("proj_mine", read_only=True)
    http = guarded.http(secret)
    assert http.get("/v1/assistants").status == 200
    for answer in (http.post("/v1/threads", {}), http.delete("/v1/threads/thread_x")):
        assert answer.status == 403
        assert "read-only" in answer.error["message"]


@covers("auth:revoked", "auth:expired")
def test_a_key_that_was_revoked_or_has_expired_is_a_wrong_key(guarded: Server) -> None:
    revoked, key_id = guarded.add_key("proj_mine")
    expiring, _ = guarded.add_key("proj_mine", expires_at=guarded.clock.now() + 60)
    assert guarded.http(revoked).get("/v1/assistants").status == 200
    assert guarded.http(expiring).get("/v1/assistants").status == 200
    guarded.revoke(key_id)
    guarded.clock.advance(60)
    for secret in (revoked, expiring):
        answer = guarded.http(secret).get("/v1/assistants")
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


@covers("auth:project_header")
def test_the_selectors_must_fit_the_key(guarded: Server) -> None:
    secret, _ = guarded.add_key("proj_mine")
    http = guarded.http(secret)
    fitting = {"OpenAI-Project": "proj_mine", "OpenAI-Organization": "locum"}
    assert http.get("/v1/assistants", headers=fitting).status == 200
    # What the official clients send when the variables of the environment are there, and empty.
    empty = {"OpenAI-Project": "", "OpenAI-Organization": ""}
    assert http.get("/v1/assistants", headers=empty).status == 200
    answer = http.get("/v1/assistants", headers={"OpenAI-Project": "proj_else"})
    assert (answer.status, answer.error["code"]) == (401, "mismatched_project")
    assert answer.error["message"] == "OpenAI-Project header should match project for API key"
    answer = http.get("/v1/assistants", headers={"OpenAI-Organization": "org_else"})
    assert (answer.status, answer.error["code"]) == (401, "mismatched_organization")


@covers("auth:local")
def test_without_any_key_made_every_key_is_as_good(server: Server) -> None:
    assert server.http("whatever").get("/v1/assistants").status == 200


_OWN_NAMES = (
    "127.0.0.1:8000",
    "localhost",
    "LOCALHOST:8000",
    "locum.localhost:8000",
    "[::1]:8000",
    "192.168.1.5:8000",
    "locum:8000",
    "host.docker.internal:8000",
)
_FOREIGN_NAMES = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1@evil.example",
    "[evil.example]",
    "2130706433.evil.example",
)


@covers("auth:local_names")
@pytest.mark.parametrize("host", _FOREIGN_NAMES)
def test_without_any_key_made_a_name_of_others_opens_nothing(server: Server, host: str) -> None:
    """A site can have its own name lead here: then its scripts send what they like, and read."""
    for method, path in (("GET", "/v1/threads"), ("POST", "/v1/threads"), ("GET", "/v1/models")):
        answer = server.http().send(method, path, headers={"Host": host})
        assert answer.status == 403
        assert f"not under the name '{host}'" in answer.error["message"]


@covers("auth:local_names")
def test_without_any_key_made_names_of_a_house_open_as_before(make_server: MakeServer) -> None:
    http = make_server(host="locum.my-lan.example").http()
    for host in (*_OWN_NAMES, "locum.my-lan.example:8000"):
        assert http.get("/v1/threads", headers={"Host": host}).status == 200, host


@covers("auth:local_names")
def test_without_any_key_made_a_page_of_another_origin_opens_nothing(
    make_server: MakeServer,
) -> None:
    http = make_server(cors_origins=("https://app.example",)).http()
    mine = {"Host": "127.0.0.1:8000"}
    for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "http://a.b:c"):
        assert http.get("/v1/threads", headers={**mine, "Origin": origin}).status == 403, origin
    # Named by the operator, or of this machine; or no web page at all.
    for origin in ("https://app.example", "http://localhost:3000", "vscode-webview://1", "null"):
        assert http.get("/v1/threads", headers={**mine, "Origin": origin}).status == 200, origin


@covers("auth:local_names")
def test_once_there_is_a_key_names_do_not_matter(guarded: Server) -> None:
    secret, _ = guarded.add_key("proj_mine")
    told = {"Host": "locum.example", "Origin": "https://app.example"}
    assert guarded.http(secret).get("/v1/threads", headers=told).status == 200


@covers("headers:every")
def test_every_answer_says_who_gave_it(server: Server, talk: Talk) -> None:
    http = server.http()
    answers = [
        http.get("/v1/assistants"),
        http.post("/v1/assistants", {}),
        http.get("/v1/nowhere"),
        http.send("PUT", "/v1/threads"),
    ]
    stranger = server.http(None).get("/v1/assistants")
    stream = talk.open("hello")
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-cache"
    heads = [stream.headers, *(answer.headers for answer in [*answers, stranger])]
    list(stream)
    for head in heads:
        assert re.fullmatch("req_[0-9a-f]{32}", head["x-request-id"])
        assert head["openai-processing-ms"].isdigit()
        assert head["openai-organization"] == "locum"
        assert head["openai-project"] == "proj_default"
        assert head["x-content-type-options"] == "nosniff"
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert {answer.headers["openai-version"] for answer in answers} == {"2020-10-01"}
    # Who looks at keys is told from the API by its headers.
    assert stranger.headers["content-type"] == "application/json; charset=utf-8"
    assert "openai-version" not in stranger.headers


@covers("beta:strict")
def test_a_strict_server_wants_the_beta_header(make_server: MakeServer) -> None:
    http = make_server(strict_beta=True).http(beta=None)
    assert http.get("/v1/assistants").error["code"] == "invalid_beta"
    assert http.get("/v1/vector_stores").status == 200


@covers("azure:mounts", "urls:slashes")
@pytest.mark.parametrize(
    "path",
    [
        "/openai/assistants?api-version=2024-05-01-preview",
        "/openai/v1/assistants",
        "/openai/deployments/gpt-4o/assistants?api-version=2025-01-01-preview",
        "/v1//assistants",
        "//v1/assistants/",
    ],
)
def test_the_api_has_several_doors(server: Server, path: str) -> None:
    assert server.http().get(path).json["object"] == "list"


@covers("azure:client")
def test_the_azure_client_runs_an_assistant(server: Server) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=server.url, api_version="2024-05-01-preview", api_key="k", max_retries=0
    ) as client:
        assistant = client.beta.assistants.create(model="deployment")
        thread = client.beta.threads.create(messages=[{"role": "user", "content": "hello"}])
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=1
        )
        assert run.status == "completed"
        steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
        assert [step.type for step in steps] == ["message_creation"]


@covers("azure:version")
@pytest.mark.parametrize(
    ("path", "beta", "is_first"),
    [
        ("/openai/assistants?api-version=2024-02-15-preview", None, True),
        ("/openai/deployments/gpt-4/assistants?api-version=2024-02-15-preview", None, True),
        ("/openai/assistants?api-version=2024-02-15-preview", "assistants=", True),
        ("/openai/assistants?api-version=2024-02-15-preview", "assistants=v2", False),
        ("/openai/assistants?api-version=2024-05-01-preview", None, False),
        ("/openai/assistants?api-version=2024-05-01-preview", "assistants=", False),
        ("/openai/assistants?api-version=2024-05-01-preview", "assistants=v1", True),
        ("/openai/assistants?api-version=preview", None, False),
        ("/openai/assistants", None, False),
        ("/v1/assistants?api-version=2024-02-15-preview", None, False),
        ("/openai/v1/assistants?api-version=2024-02-15-preview", None, False),
    ],
)
def test_on_paths_of_azure_a_date_tells_the_version(
    server: Server, path: str, beta: str | None, *, is_first: bool
) -> None:
    made = server.http(beta=beta).post(path, {"model": "m"}).json
    assert ("file_ids" in made) == is_first


@covers("urls:slashes")
def test_base_urls_may_end_in_a_slash(server: Server) -> None:
    for base in (f"{server.url}/v1/", f"{server.url}/v1", f"{server.url}/v1//"):
        with server.sdk(base_url=base) as client:
            assert len(client.beta.assistants.list(limit=1).data) <= 1
