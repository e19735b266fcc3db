"""What must never happen: foreign words that run, keys that travel, strangers let in."""

import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.kit.forms import HEADERS, field, file, form
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.visits import REBOUND, Visit, visiting
from tests.web.browser.wires import wire
from tests.web.upstream import SECRET, Asked, Reply, upstream

from locum.app import Parts
from locum.settings import UpstreamSettings

pytestmark = pytest.mark.browser

_EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script><svg/onload=alert(3)>'
_ROOMS = (
    "timeline",
    "playground",
    "manage",
    "manage/stores",
    "manage/files",
)


def _new_key(server: Server) -> str:
    """Made in a thread of its own: the browser's has a loop already."""
    with ThreadPoolExecutor(1) as elsewhere:
        secret, _ = elsewhere.submit(server.add_key, "proj_default").result()
    return secret


def test_names_messages_files_outputs_and_logs_are_only_words(visit: Visit, talk: Talk) -> None:
    tools = [function("f", description=_EVIL)]
    talk.http.post(
        "/v1/assistants",
        {
            "model": "scripted",
            "name": _EVIL,
            "instructions": _EVIL,
            "metadata": {_EVIL[:60]: _EVIL},
        },
    )
    talk.http.post("/v1/vector_stores", {"name": _EVIL})
    talk.http.post(
        "/v1/files",
        form(
            field("purpose", "assistants"),
            file(
                b"<script>alert(4)</script>",
                filename='filename="<img src=x onerror=alert(5)>.html"',
            ),
        ),
        headers=HEADERS,
    )
    run = talk.run(
        f"{_EVIL}\n!say {_EVIL}\n"
        '!call f {"x":"<img src=x onerror=alert(6)>"}\n!then\n'
        f"!say {{result}}\n!error server_error {_EVIL}",
        tools=tools,
    )
    talk.submit(run, [_EVIL])
    talk.until(run, "failed")
    page = visit.page
    for room in (*_ROOMS, f"timeline/{run['thread_id']}", f"playground/{run['thread_id']}"):
        visit.open(room)
        # A room is proven when the words are in it, as words.
        expect(page.locator("main")).to_contain_text("onerror=")
    visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".step")).to_have_count(len(talk.steps(run)))
    for at in range(len(talk.steps(run))):
        page.locator(".step-head").nth(at).click()
        expect(page.locator(".step-body").nth(at)).to_contain_text("onerror=")
    expect(page.locator(".conversation")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator(".error-box").first).to_contain_text("onerror")
    visit.open(f"explorer/list_messages?thread_id={run['thread_id']}")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_have_text("200 OK")
    while page.locator(".answer details:not([open])").count():
        page.locator(".answer details:not([open]) > summary").first.click()
    expect(page.locator(".answer")).to_contain_text("<script>alert(2)</script>")
    assert page.locator("main script, main img[src=x]").count() == 0


def test_letters_with_a_hundred_accents_paint_over_nothing_else(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    """Or who names a thing could strike out, or write over, what the page says of others."""
    server = make_server()
    http = server.http()
    tall = "Z" + "\u0301\u0316" * 90
    made = http.post("/v1/assistants", {"model": "scripted", "name": tall}).json
    http.post("/v1/vector_stores", {"name": tall})
    thread = http.post("/v1/threads", {"messages": [{"role": "user", "content": tall}]}).json
    rooms = ("assistants", "stores", f"assistants/{made['id']}")
    with visiting(browser, server.url) as visit:
        for room in (*(f"manage/{one}" for one in rooms), f"playground/{thread['id']}"):
            page = visit.open(room)
            expect(page.locator("main")).to_contain_text("Z\u0301")
            assert page.evaluate(_UNBOUNDED) == []


# Whatever shows such letters in no box of a few lines that keeps them in.
_UNBOUNDED = """() => {
    const keeps = (one) => one.clientHeight < 100 && getComputedStyle(one).overflowY !== "visible";
    const bounded = (one) => one !== null && (keeps(one) || bounded(one.parentElement));
    return [...document.querySelectorAll("main :not(option)")]
        .filter((one) => [...one.childNodes].some((node) => node.nodeValue?.includes("Z\u0301")))
        .filter((one) => !bounded(one))
        .map((one) => one.outerHTML.slice(0, 60));
}"""


def test_words_in_the_address_are_only_words(visit: Visit) -> None:
    page = visit.open(f"timeline/{_EVIL}/{_EVIL}")
    expect(page.get_by_role("alert")).to_be_visible()
    visit.open(f"explorer/{_EVIL}")
    expect(page.locator(".state")).to_contain_text("No such operation")
    page.goto(f"{visit.url}/#/__proto__/constructor")
    expect(page.locator("h1").first).to_be_visible()


def test_a_link_cannot_have_another_request_sent_than_the_form_tells(visit: Visit) -> None:
    """Browsers take `..` out of an address together with what stands before it."""
    page = visit.open("explorer/delete_vector_store_file?vector_store_id=..&file_id=file-mine")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("'vector_store_id' cannot be '..'")
    assert not [url for url in visit.asked if url.endswith("/v1/files/file-mine")]


def test_the_key_is_asked_for_kept_here_and_never_part_of_an_address(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    server = make_server()
    secret = _new_key(server)
    with visiting(browser, server.url) as visit:
        page = visit.open("timeline")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The server wants a key")
        # Whoever has one pastes it where the page asks for it.
        expect(dialog.get_by_label("API key")).to_be_focused()
        page.keyboard.insert_text("sk-wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("does not know this key")
        page.keyboard.insert_text(secret)
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_contain_text("No threads yet")
        assert page.evaluate("sessionStorage.getItem('locum.key')") == secret
        assert page.evaluate("localStorage.getItem('locum.key')") is None
        page = visit.open("explorer/list_assistants")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".status")).to_have_text("200 OK")
        assert secret not in page.locator("body").inner_text()
        assert not [url for url in visit.asked if secret in url]
        page.get_by_role("button", name="Key and server").click()
        page.get_by_role("button", name="Forget the key").click()
        expect(page.locator(".who")).to_contain_text("no key")
        assert page.evaluate("sessionStorage.getItem('locum.key')") is None


def test_whoever_signs_in_later_is_warned_as_well(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    server = make_server(sandbox="unsafe-subprocess")
    secret = _new_key(server)
    with visiting(browser, server.url) as visit:
        page = visit.open("timeline")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The server wants a key")
        expect(page.locator("#alarm")).to_be_hidden()
        dialog.get_by_label("API key").fill(secret)
        dialog.get_by_role("button", name="Use").click()
        expect(page.locator("#alarm")).to_contain_text("WITHOUT WALLS")
        expect(dialog).to_have_count(0)


def test_no_byte_that_the_browser_gets_holds_the_credential_of_an_upstream(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    def respond(reply: Reply, asked: Asked) -> None:
        body = b'{"object":"list","data":[],"has_more":false,"told":"' + SECRET.encode() + b'"}'
        reply.whole(body, 200, Content_Type="application/json", X_Request_Id=f"r-{SECRET}")

    with upstream() as behind:
        behind.respond = respond
        told = UpstreamSettings(url=behind.url, key=SECRET, headers={"x-more": f"more-{SECRET}"})
        server = make_server(Parts(), upstreams={"other": told})
        with wire(server.port) as line, visiting(browser, line.url) as visit:
            page = visit.open("timeline")
            page.get_by_role("button", name="Key and server").click()
            page.get_by_label("API address").fill("/gateway/other")
            page.get_by_role("button", name="Use").click()
            expect(page.locator(".where")).to_have_text("/gateway/other")
            visit.open("explorer/list_assistants")
            page.get_by_role("button", name="Send").click()
            expect(page.locator(".status")).to_have_text("200 OK")
            expect(page.locator(".answer")).to_contain_text("********")
            expect(page.locator("[data-snippet]")).to_contain_text(f"{line.url}/gateway/other")
            for room in ("timeline", "manage", "playground"):
                visit.open(room)
        assert behind.asked
        assert {asked.headers["authorization"] for asked in behind.asked} == {f"Bearer {SECRET}"}
        # What is looked through is what the browser got: the page, its files, and the answers.
        assert b"<title>Locum</title>" in line.told
        assert line.told.count(b"********") >= 1
        assert SECRET.encode() not in line.told


def test_a_cookie_stands_for_a_key_that_the_page_then_does_not_keep(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    with upstream() as behind:
        told = {"other": UpstreamSettings(url=behind.url, key=SECRET)}
        server = make_server(Parts(), upstreams=told)
        secret = _new_key(server)
        with visiting(browser, server.url) as visit:
            page = visit.open("explorer/list_assistants")
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("API key").fill(secret)
            dialog.get_by_label("API address").fill("/gateway/other")
            dialog.get_by_role("button", name="Sign in by cookie").click()
            expect(page.locator(".who")).to_contain_text("cookie")
            page.get_by_role("button", name="Send").click()
            expect(page.locator(".status")).to_have_text("200 OK")
            kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
            assert secret not in kept
            page.reload()
            page.get_by_role("button", name="Send").click()
            expect(page.locator(".status")).to_have_text("200 OK")
            page.get_by_role("button", name="Key and server").click()
            page.get_by_role("button", name="Forget the key").click()
            expect(page.locator(".who")).to_contain_text("no key")
            page.get_by_role("button", name="Send").click()
            expect(page.locator(".status")).to_contain_text("401")
        assert len(behind.asked) == 2


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A site of somebody else, on another port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_another_site_can_neither_frame_us_nor_use_us(
    browser: Browser, make_server: Callable[..., Server], elsewhere: str
) -> None:
    with upstream() as behind:
        server = make_server(
            Parts(), upstreams={"other": UpstreamSettings(url=behind.url, key=SECRET)}
        )
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        # Somebody is signed in …
        signed_in = page.evaluate(
            """fetch("/page/session", {method: "POST", headers:
               {"authorization": "Bearer any", "x-locum-page": "1"}}).then((a) => a.status)"""
        )
        assert signed_in == 204
        assert page.evaluate("document.cookie") == ""
        # … and goes on to a site that tries everything.
        page.goto(elsewhere)
        for options in (
            "{mode: 'no-cors', credentials: 'include'}",
            "{mode: 'no-cors', credentials: 'include', method: 'POST', body: '{}'}",
            "{credentials: 'include'}",
            "{headers: {'x-locum-page': '1'}, credentials: 'include'}",
            "{headers: {authorization: 'Bearer any'}}",
        ):
            for path in ("/gateway/other/models", "/gateway/other/assistants"):
                page.evaluate(
                    f"fetch('{server.url}{path}', {options}).then(a => a.status).catch(() => 0)"
                )
        with page.expect_navigation():
            page.evaluate(
                f"""() => {{
                    const form = document.createElement("form");
                    form.method = "POST";
                    form.action = "{server.url}/gateway/other/assistants";
                    document.body.append(form);
                    form.submit();
                }}"""
            )
        assert not behind.asked
        page.goto(elsewhere)
        page.evaluate(
            f"""new Promise((resolve) => {{
                const frame = document.createElement("iframe");
                frame.src = "{server.url}/";
                frame.onload = resolve;
                document.body.append(frame);
            }})"""
        )
        # The browser shows a page of its own in place of what may not be framed.
        assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"]
        context.close()


def test_a_site_whose_name_was_made_to_lead_here_opens_nothing(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    """Its scripts are of one origin with us, so no rule of the browser holds them back."""
    with upstream() as behind:
        server = make_server(
            Parts(), upstreams={"other": UpstreamSettings(url=behind.url, key=SECRET)}
        )
        site = f"http://{REBOUND}:{server.port}"
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{site}/openapi.json")
        tried = page.evaluate(
            """() => Promise.all([
                ["GET", "/v1/threads"], ["POST", "/v1/threads"], ["GET", "/gateway/other/models"],
                ["POST", "/page/session"], ["GET", "/page/config.json"],
            ].map(([method, path]) => fetch(path, {
                method, headers: {"authorization": "Bearer any", "x-locum-page": "1"},
            }).then((answer) => answer.status)))"""
        )
        context.close()
        assert tried == [403] * 5
        assert not behind.asked
        assert server.http().get("/v1/threads").json["data"] == []
