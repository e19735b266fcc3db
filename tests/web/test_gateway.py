"""The gateway: who may use it, where it leads, what passes, and what never does."""

import threading
from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from urllib.parse import quote

import pytest
from tests.kit.http import Http
from tests.kit.server import Server, running
from tests.web.upstream import SECRET, Asked, Reply, Upstream

from locum.app import Parts
from locum.settings import SettingsError, UpstreamSettings
from locum.web.upstreams import Upstream as Configured

_PROOF = {"x-locum-page": "1"}
_SIGNATURE = "c2lnbmF0dXJl/+w=="


@pytest.fixture(scope="module")
def served(listening: Upstream) -> Iterator[Server]:
    """A server without keys, whose upstreams all lead to one place."""
    with running(Parts(), upstreams=_upstreams(listening.url)) as server:
        yield server


@pytest.fixture
def keyed(make_server: Callable[..., Server], behind: Upstream) -> Server:
    """The same, for who makes keys of his own."""
    return make_server(Parts(), upstreams=_upstreams(behind.url))


def _upstreams(url: str) -> dict[str, UpstreamSettings]:
    return {
        "other": UpstreamSettings(url=url, key=SECRET, max_bytes=1_000),
        "azure": UpstreamSettings(
            url=url, key=SECRET, kind="azure", query={"api-version": "2024-05-01"}
        ),
        "reading": UpstreamSettings(url=url, key=SECRET, methods=("GET",), paths=("a/*",)),
        "told": UpstreamSettings(
            url=url, headers={"Authorization": f"Bearer  {SECRET}", "X-Tenant": "tenant name"}
        ),
        "signed": UpstreamSettings(url=url, query={"sig": _SIGNATURE}),
        "slow": UpstreamSettings(url=url, key=SECRET, answer_timeout_s=0.05),
        "nowhere": UpstreamSettings(url="http://127.0.0.1:1/v1", key=SECRET),
    }


@pytest.fixture
def http(served: Server) -> Http:
    return served.http()


def test_a_request_arrives_with_the_credential_of_the_server(http: Http, behind: Upstream) -> None:
    body = {"model": "m"}
    answer = http.post("/gateway/other/assistants?x=1&include[]=a&include[]=b", body)
    assert answer.status == 200
    assert answer.json == {"object": "list", "data": []}
    (asked,) = behind.asked
    assert asked.method == "POST"
    assert asked.target == "/v1/assistants?x=1&include%5B%5D=a&include%5B%5D=b"
    assert asked.body == b'{"model": "m"}'
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["openai-beta"] == "assistants=v2"


def test_azure_gets_its_header_and_its_version(http: Http, behind: Upstream) -> None:
    http.get("/gateway/azure/threads/t?api-version=1999&api-key=mine")
    (asked,) = behind.asked
    assert asked.headers["api-key"] == SECRET
    assert "authorization" not in asked.headers
    assert asked.target == "/v1/threads/t?api-version=2024-05-01"


def test_what_the_settings_say_in_a_query_cannot_be_said_twice(
    http: Http, behind: Upstream
) -> None:
    """Azure reads names in either case, and who reads the first of two would take the caller's."""
    http.get("/gateway/azure/threads/t?API-Version=1999&x=1")
    (asked,) = behind.asked
    assert asked.target == "/v1/threads/t?x=1&api-version=2024-05-01"


def test_what_a_client_knows_of_itself_stays_here(http: Http, behind: Upstream) -> None:
    told = {
        "Cookie": "locum_page=x; other=y",
        "api-key": "sk-locum-mine",
        "OpenAI-Organization": "mine",
        "X-Forwarded-For": "10.0.0.1",
        "Connection": "close",
        "Proxy-Authorization": "Basic eDp5",
        "X-Locum-Page": "1",
    }
    assert http.get("/gateway/other/models", headers=told).status == 200
    sent = behind.asked[0].headers
    for name in ("cookie", "api-key", "openai-organization", "x-forwarded-for"):
        assert name not in sent
    assert "proxy-authorization" not in sent
    assert "sk-any" not in str(sent)


def test_what_an_upstream_sets_for_browsers_does_not_pass(http: Http, behind: Upstream) -> None:
    behind.respond = lambda reply, _: reply.whole(
        b"<script>alert(1)</script>",
        Content_Type="text/html",
        Set_Cookie="locum_page=mine",
        Access_Control_Allow_Origin="*",
        X_Request_Id="req_1",
        X_Ratelimit_Remaining_Tokens="7",
        X_Secret=SECRET,
    )
    answer = http.get("/gateway/other/models")
    assert answer.headers["x-request-id"] == "req_1"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "7"
    for name in ("set-cookie", "access-control-allow-origin", "x-secret"):
        assert name not in answer.headers
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_header_in_letters_of_the_world_passes_as_it_is(http: Http, behind: Upstream) -> None:
    """As servers name a file; what no header may hold does not pass."""
    told = 'attachment; filename="日本.txt"'
    behind.respond = lambda reply, _: reply.whole(
        b"x", Content_Disposition=told.encode().decode("latin-1"), X_Ratelimit_Limit="a\x01b"
    )
    answer = http.get("/gateway/other/files/a/content")
    assert (answer.status, answer.body) == (200, b"x")
    assert answer.headers["content-disposition"].encode("latin-1").decode() == told
    assert "x-ratelimit-limit" not in answer.headers


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_that_is_no_answer_is_told_so(http: Http, behind: Upstream, status: int) -> None:
    behind.respond = lambda reply, _: reply.whole(b"{}", status)
    answer = http.get("/gateway/other/models")
    assert answer.status == 502
    assert answer.error["message"] == f"The upstream 'other' answers with status {status}."


def test_an_error_of_the_upstream_passes_as_it_is(http: Http, behind: Upstream) -> None:
    told = b'{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":null}}'
    behind.respond = lambda reply, _: reply.whole(
        told, 429, Content_Type="application/json", Retry_After="3"
    )
    answer = http.get("/gateway/other/models")
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, told, "3")


def test_a_credential_that_an_upstream_repeats_is_taken_out(http: Http, behind: Upstream) -> None:
    """Also where the bytes of it come in two pieces."""
    first, second = SECRET[:9].encode(), SECRET[9:].encode()

    def respond(reply: Reply, _: Asked) -> None:
        reply.head(401, Content_Type="application/json", X_Request_Id=f"req-{SECRET}")
        reply.piece(b'{"error":"Wrong key ' + first)
        reply.piece(second + b". Twice: " + SECRET.encode() + b'"}')

    behind.respond = respond
    answer = http.get("/gateway/other/models")
    assert answer.body == b'{"error":"Wrong key ********. Twice: ********"}'
    assert SECRET not in str(answer.headers)


def test_a_key_in_a_header_of_the_settings_is_taken_out_alone(http: Http, behind: Upstream) -> None:
    """An upstream repeats the key, not the word before it; and words are no secrets."""
    behind.respond = lambda reply, asked: reply.whole(
        f"Wrong key {SECRET} of a tenant: {asked.headers['authorization']}".encode(),
        X_Request_Id=SECRET,
    )
    answer = http.get("/gateway/told/models")
    assert answer.body == b"Wrong key ******** of a tenant: ********"
    assert SECRET not in str(answer.headers)


def test_a_key_in_a_query_is_taken_out_as_it_stands_in_an_address(
    http: Http, behind: Upstream
) -> None:
    """Upstreams like to repeat the address they were asked for; so do others, quoted anew."""
    behind.respond = lambda reply, asked: reply.whole(
        f"No {asked.target} nor sig={quote(_SIGNATURE, safe='')} nor {_SIGNATURE}".encode(),
        X_Request_Id=asked.target,
    )
    answer = http.get("/gateway/signed/models")
    assert behind.asked[0].target.startswith("/v1/models?sig=")
    assert answer.body == b"No /v1/models?sig=******** nor sig=******** nor ********"
    assert "x-request-id" not in answer.headers


@pytest.mark.parametrize("to", ["{url}/stolen", "http://169.254.169.254/latest/meta-data"])
def test_a_redirect_is_not_followed_and_not_told(http: Http, behind: Upstream, to: str) -> None:
    """Not even to where one may ask."""
    location = to.format(url=behind.url)
    behind.respond = lambda reply, asked: (
        reply.whole(b"", 302, Location=location)
        if asked.target == "/v1/models"
        else reply.whole(b"{}", Content_Type="application/json")
    )
    answer = http.get("/gateway/other/models")
    assert answer.status == 502
    assert "points elsewhere" in answer.error["message"]
    assert "location" not in answer.headers
    assert location.encode() not in answer.body
    assert len(behind.asked) == 1


@pytest.mark.parametrize(
    "path",
    [
        "models/../../secret",
        "models/%2e%2e/%2e%2e/secret",
        "models/..%2f..%2fsecret",
        "models/%252e%252e/secret",
        "models/.%2e/x",
        "models/..;/..;/secret",
        "models/%2e.;x=1/secret",
        "models/..%3b/secret",
        "models//evil.example/x",
        "models/..\\x",
        "models/%5c%5cevil.example",
        "models/%00",
        "models/a%0d%0aHost:%20evil.example",
        "http://169.254.169.254/latest",
        "http:%2f%2f169.254.169.254/latest",
        "@169.254.169.254/models",
        "organization/api_keys",
        "",
    ],
)
def test_no_path_leads_out_of_what_is_allowed(http: Http, behind: Upstream, path: str) -> None:
    answer = http.get(f"/gateway/other/{path}")
    assert answer.status in {400, 403, 404}, answer.body
    assert not behind.asked


@pytest.mark.parametrize(
    "name",
    ["nothing", "OTHER", "other%2f..%2fazure", "127.0.0.1:1", "..", "http:", "@evil.example"],
)
def test_only_upstreams_that_are_named_exist(http: Http, behind: Upstream, name: str) -> None:
    answer = http.get(f"/gateway/{name}/models")
    assert answer.status in {400, 404}
    assert not behind.asked


def test_methods_and_paths_are_those_of_the_upstream(http: Http, behind: Upstream) -> None:
    assert http.get("/gateway/reading/a/b").status == 200
    assert http.get("/gateway/reading/a").status == 403
    assert http.get("/gateway/reading/a/b/c").status == 403
    assert http.post("/gateway/reading/a/b", {}).status == 405
    assert http.send("PUT", "/gateway/other/models", b"x").status == 405
    assert len(behind.asked) == 1


def test_a_body_that_is_too_large_is_refused(http: Http, behind: Upstream) -> None:
    answer = http.post("/gateway/other/assistants", b"x" * 1_001)
    assert (answer.status, answer.error["type"]) == (413, "invalid_request_error")
    assert not behind.asked


def test_an_answer_that_is_too_large_is_cut_off(http: Http, behind: Upstream) -> None:
    def respond(reply: Reply, _: Asked) -> None:
        reply.head(200, Content_Type="text/plain")
        reply.piece(b"x" * 5_000)

    behind.respond = respond
    stream = http.stream("GET", "/gateway/other/models")
    with pytest.raises(IncompleteRead) as cut:
        stream.rest()
    assert len(cut.value.partial) <= 1_000
    stream.close()


def test_events_pass_one_by_one(http: Http, behind: Upstream) -> None:
    seen = threading.Event()

    def respond(reply: Reply, _: Asked) -> None:
        reply.head(200, Content_Type="text/event-stream")
        reply.piece(b"event: one\ndata: 1\n\n")
        assert seen.wait(10)
        reply.piece(b"event: done\ndata: [DONE]\n\n")

    behind.respond = respond
    stream = http.stream("POST", "/gateway/other/threads/runs", {"stream": True})
    events = iter(stream)
    assert next(events).event == "one"
    seen.set()
    assert next(events).event == "done"
    stream.close()


def test_an_upstream_hears_that_the_client_has_hung_up(http: Http, behind: Upstream) -> None:
    """Or a model would go on talking, at somebody's cost, to nobody."""
    hung_up = threading.Event()

    def respond(reply: Reply, _: Asked) -> None:
        reply.head(200, Content_Type="text/event-stream")
        try:
            while not hung_up.wait(0.01):
                reply.piece(b"event: one\ndata: 1\n\n")
        except OSError:
            hung_up.set()

    behind.respond = respond
    stream = http.stream("POST", "/gateway/azure/threads/runs", {"stream": True})
    assert next(iter(stream)).event == "one"
    stream.close()
    assert hung_up.wait(10)


def test_an_upstream_that_is_silent_or_gone_is_told_so(http: Http, behind: Upstream) -> None:
    waiting = threading.Event()
    behind.respond = lambda _, __: assert_waits(waiting)
    assert http.get("/gateway/slow/models").status == 504
    waiting.set()
    answer = http.get("/gateway/nowhere/models")
    assert answer.status == 502
    assert b"127.0.0.1" not in answer.body


def assert_waits(waiting: threading.Event) -> None:
    assert waiting.wait(10)


# ------------------------------------------------------------------------ who may


def test_without_a_key_nobody_passes(keyed: Server, behind: Upstream) -> None:
    assert keyed.http(None).get("/gateway/other/models").status == 401
    keyed.add_key("proj_a")
    assert keyed.http("sk-wrong").get("/gateway/other/models").status == 401
    assert not behind.asked


def test_a_key_that_may_only_read_reads_only(keyed: Server, behind: Upstream) -> None:
    secret, _ = keyed.add_key("proj_a", read_only=True)
    assert keyed.http(secret).get("/gateway/other/models").status == 200
    assert keyed.http(secret).post("/gateway/other/assistants", {}).status == 403
    assert len(behind.asked) == 1


def test_requests_through_the_gateway_count_like_all_others_of_a_project(
    make_server: Callable[..., Server], behind: Upstream
) -> None:
    """What is asked of a server elsewhere may cost more than what is asked of this one."""
    server = make_server(Parts(), upstreams=_upstreams(behind.url), requests_per_minute=2)
    mine, theirs = (server.http(server.add_key(project)[0]) for project in ("proj_a", "proj_b"))
    assert mine.get("/v1/models").status == 200
    assert mine.get("/gateway/other/models").status == 200
    for path in ("/gateway/other/models", "/v1/models"):
        refused = mine.get(path)
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "30"
        assert refused.headers["retry-after-ms"] == "30000"
    assert theirs.get("/gateway/other/models").status == 200
    assert len(behind.asked) == 2
    assert mine.get("/page/config.json").status == 200


def _signed_in(keyed: Server, secret: str) -> tuple[str, str]:
    answer = keyed.http(secret).post("/page/session", headers=_PROOF)
    assert answer.status == 204
    cookie = answer.headers["set-cookie"]
    return cookie.split(";")[0], cookie


def test_the_cookie_of_the_page_opens_the_gateway(keyed: Server, behind: Upstream) -> None:
    secret, key_id = keyed.add_key("proj_a")
    pair, cookie = _signed_in(keyed, secret)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert secret not in cookie
    plain = keyed.http(None)
    assert plain.get("/gateway/other/models", headers={"Cookie": pair, **_PROOF}).status == 200
    assert "cookie" not in behind.asked[0].headers
    keyed.revoke(key_id)
    keyed.clock.advance(5)
    assert plain.get("/gateway/other/models", headers={"Cookie": pair, **_PROOF}).status == 401


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_the_cookie_of_a_page_that_came_encrypted_is_sent_encrypted_only(
    keyed: Server, scheme: str, is_secure: bool
) -> None:
    """A proxy ends the encryption before us, so the page's own address says that there is any."""
    http = keyed.http(keyed.add_key("proj_a")[0])
    origin = f"{scheme}://127.0.0.1:{keyed.port}"
    answer = http.post("/page/session", headers={**_PROOF, "Origin": origin})
    assert ("; Secure" in answer.headers["set-cookie"]) is is_secure


def test_another_site_cannot_use_the_cookie(keyed: Server, behind: Upstream) -> None:
    """A form can send neither the header nor our origin."""
    pair, _ = _signed_in(keyed, keyed.add_key("proj_a")[0])
    plain = keyed.http(None)
    for told in ({}, {**_PROOF, "Origin": "http://evil.example"}, {"Origin": "null"}):
        for method in ("GET", "POST"):
            answer = plain.send(method, "/gateway/other/models", headers={"Cookie": pair, **told})
            assert answer.status == 403, answer.body
    assert not behind.asked


def test_a_long_cookie_in_quotes_holds_nobody_up(http: Http) -> None:
    """To read the escapes in one takes some Pythons a minute, in which nobody is answered."""
    told = {"Authorization": None, "Cookie": 'locum_page="' + "\\0" * 30_000 + '"'}
    assert http.get("/page/config.json", headers=told).status == 401


def test_a_session_ends_with_signing_out_and_with_time(keyed: Server) -> None:
    secret, _ = keyed.add_key("proj_a")
    plain = keyed.http(None)
    pair, _ = _signed_in(keyed, secret)
    told = {"Cookie": pair, **_PROOF}
    assert plain.delete("/page/session", headers=told).status == 204
    assert plain.get("/gateway/other/models", headers=told).status == 401
    pair, _ = _signed_in(keyed, secret)
    keyed.clock.advance(13 * 3600)
    told = {"Cookie": pair, **_PROOF}
    assert plain.get("/gateway/other/models", headers=told).status == 401


def test_who_signs_in_again_and_again_signs_nobody_else_out(keyed: Server) -> None:
    mine, _ = keyed.add_key("proj_a")
    theirs, _ = keyed.add_key("proj_b")
    pair, _ = _signed_in(keyed, mine)
    first, _ = _signed_in(keyed, theirs)
    for _ in range(200):
        last, _ = _signed_in(keyed, theirs)
    plain = keyed.http(None)
    opened = [
        plain.get("/gateway/other/models", headers={"Cookie": one, **_PROOF}).status
        for one in (pair, first, last)
    ]
    assert opened == [200, 401, 200]


def test_signing_in_takes_a_valid_key_and_the_header(keyed: Server) -> None:
    secret, _ = keyed.add_key("proj_a")
    assert keyed.http("sk-wrong").post("/page/session", headers=_PROOF).status == 401
    assert keyed.http(None).post("/page/session", headers=_PROOF).status == 401
    assert keyed.http(secret).post("/page/session").status == 403
    assert keyed.http(secret).send("PUT", "/page/session", headers=_PROOF).status == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
def test_without_keys_a_strangers_name_for_this_machine_opens_nothing(
    served: Server, behind: Upstream, host: str
) -> None:
    """A site can make its own name point here; then its scripts would be of our origin."""
    answer = served.http().get("/gateway/other/models", headers={"Host": host})
    assert answer.status == 403
    for own in ("localhost:8000", "[::1]:8000", "127.0.0.1"):
        assert served.http().get("/gateway/other/models", headers={"Host": own}).status == 200
    assert len(behind.asked) == 3


def test_a_url_that_holds_credentials_is_no_setting() -> None:
    for url in ("ftp://host/v1", "https://me:secret@host/v1", "https://host/v1?key=x", "host"):
        with pytest.raises(SettingsError):
            Configured("other", UpstreamSettings(url=url))
