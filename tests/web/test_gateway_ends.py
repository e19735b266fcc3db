"""How exchanges through the gateway end that do not end well, and what is told of it where."""

import socket
import threading
from collections.abc import Iterator
from http.client import IncompleteRead

import pytest
from tests.kit.http import Http
from tests.kit.server import Server, running
from tests.web.upstream import SECRET, Asked, Reply, Upstream

from locum.app import Parts
from locum.settings import UpstreamSettings

_WAIT_S = 10


@pytest.fixture(scope="module")
def served(listening: Upstream) -> Iterator[Server]:
    upstreams = {
        "other": UpstreamSettings(url=listening.url, key=SECRET, max_bytes=1_000),
        "hasty": UpstreamSettings(url=listening.url, key=SECRET, idle_timeout_s=0.1),
    }
    with running(Parts(), upstreams=upstreams) as server:
        yield server


@pytest.fixture
def http(served: Server) -> Http:
    return served.http()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "models", b""), ("POST", "chat/completions", b'{"model":"m"}')],
)
def test_an_upstream_hears_that_who_asked_has_left_before_it_answered(
    served: Server, behind: Upstream, method: str, path: str, body: bytes
) -> None:
    """A model that tells its answer whole costs as much as one that streams."""
    asked, hung_up = threading.Event(), threading.Event()

    def respond(reply: Reply, _: Asked) -> None:
        asked.set()
        reply.wait_for_the_end()
        hung_up.set()

    behind.respond = respond
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall(
            f"{method} /gateway/other/{path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer any\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert asked.wait(_WAIT_S)
    assert hung_up.wait(_WAIT_S)


def test_an_answer_that_breaks_off_is_cut_off_and_told_without_a_traceback(
    http: Http, behind: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A traceback is for mistakes of ours, and is no line of JSON where machines read the log."""

    def respond(reply: Reply, _: Asked) -> None:
        reply.head(200, Content_Type="text/plain", Content_Length="100")
        reply.piece(b"So far")

    behind.respond = respond
    stream = http.stream("GET", "/gateway/other/models")
    with pytest.raises(IncompleteRead):
        stream.rest()
    stream.close()
    assert not [record for record in caplog.records if record.exc_info]
    assert "So far" not in caplog.text


def test_an_answer_that_is_no_http_any_more_is_not_waited_for_without_end(
    http: Http, behind: Upstream
) -> None:
    """Who reads it for us does not say that it cannot go on."""
    gone = threading.Event()

    def respond(reply: Reply, _: Asked) -> None:
        reply.head(200, Content_Type="text/plain", Transfer_Encoding="chunked")
        reply.piece(b"6\r\nSo far\r\n")
        assert gone.wait(_WAIT_S)
        reply.piece(b"no length of a chunk\r\n")

    behind.respond = respond
    stream = http.stream("GET", "/gateway/hasty/models")
    gone.set()
    with pytest.raises(IncompleteRead):
        stream.rest()
    stream.close()
