"""The page as it is served: what guards it, how it is cached, and what it leaves to the API."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.kit.http import Http
from tests.kit.server import Server

from locum.web.page import STATIC, Page


def test_the_page_is_served_at_the_root_without_a_key(server: Server) -> None:
    answer = server.http(None).get("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_in_the_page_is_inline_or_comes_from_elsewhere(server: Server) -> None:
    html = server.http(None).get("/").body.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)
    for path in STATIC.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"(?:https?:)?//(?:[\w-]+\.)+[a-z]{2,}/", text), path


def test_scripts_never_make_markup_of_text() -> None:
    for path in STATIC.rglob("*.js"):
        text = path.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc",
            text,
        ), path


def test_files_are_kept_for_ever_under_the_name_of_their_content(server: Server) -> None:
    html = server.http(None).get("/").body.decode()
    address = re.search(r'src="(/page/[0-9a-f]{16}/page\.js)"', html)
    assert address
    answer = server.http(None).get(address[1])
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    again = server.http(None).get(address[1], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    old = server.http(None).get("/page/0123456789abcdef/page.js")
    assert (old.status, old.headers["cache-control"]) == (200, "no-cache")


def test_another_content_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("/page/build/a.js")
    (tmp_path / "a.js").write_text("1")
    first = Page(tmp_path).build
    (tmp_path / "a.js").write_text("2")
    assert Page(tmp_path).build != first


def test_head_tells_the_size_and_sends_nothing(server: Server) -> None:
    answer = server.http(None).send("HEAD", "/")
    assert answer.body == b""
    assert int(answer.headers["content-length"]) > 500


@pytest.mark.parametrize(
    "path",
    [
        "/page/x/../../settings.py",
        "/page/x/..%2f..%2fsettings.py",
        "/page/x/%2e%2e/%2e%2e/app.py",
        "/page/x//etc/passwd",
        "/page/x/....//page.py",
        "/page/x/index.html",
        "/page/x/",
        "/page/",
    ],
)
def test_no_path_leads_to_another_file(server: Server, path: str) -> None:
    answer = server.http(None).get(path)
    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"


def test_the_page_is_only_read(server: Server) -> None:
    assert server.http(None).post("/", {}).status == 405


def test_what_is_not_the_pages_is_answered_as_before(server: Server, http: Http) -> None:
    assert http.get("/v1/nothing").error["message"] == "Invalid URL (GET /v1/nothing)"
    assert server.http(None).get("/v1/models").status == 401
    assert http.get("/openai/v1/models").status == 200
    assert http.get("/nothing").error["message"] == "Invalid URL (GET /nothing)"


def test_what_the_page_is_told_takes_a_key_and_holds_no_secret(server: Server, http: Http) -> None:
    assert server.http(None).get("/page/config.json").status == 401
    told = http.get("/page/config.json")
    assert set(told.json) == {"version", "currency", "prices", "upstreams", "warnings"}
    assert told.headers["cache-control"] == "no-store"
    assert http.post("/page/config.json", {}).status == 405


def test_whoever_looks_is_told_that_code_runs_without_walls(
    make_server: Callable[..., Server], http: Http
) -> None:
    assert http.get("/page/config.json").json["warnings"] == []
    unsafe = make_server(sandbox="unsafe-subprocess").http()
    [warning] = unsafe.get("/page/config.json").json["warnings"]
    assert "WITHOUT WALLS" in warning
