"""Pages of other origins: shut out, unless the operator names them."""

from collections.abc import Callable

from tests.kit.server import Server

_ASKED = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


def test_without_a_setting_no_other_origin_is_let_in(server: Server) -> None:
    answer = server.http().send("GET", "/v1/assistants", headers=_ASKED)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_is_named_may_call(make_server: Callable[..., Server]) -> None:
    http = make_server(cors_origins=("https://app.example",)).http()
    preflight = http.send("OPTIONS", "/v1/assistants", headers=_ASKED)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    answer = http.send("GET", "/v1/assistants", headers=_ASKED)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    shown = answer.headers["access-control-expose-headers"].lower().split(", ")
    # The clients of OpenAI read each of these, in a page as well.
    assert {"x-request-id", "openai-poll-after-ms", "retry-after", "retry-after-ms"} <= set(shown)
    stranger = http.send("GET", "/v1/assistants", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers
