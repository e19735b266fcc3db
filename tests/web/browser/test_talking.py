"""The playground while one talks: what is newest is seen, and what was typed is not lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.visits import Visit, visiting

pytestmark = pytest.mark.browser

_LONG = [f"Message {at}. {'Trams are yellow. ' * 40}" for at in range(12)]
_LIMITED = json.dumps({"error": {"message": "Too many requests.", "type": "requests"}})


def _send(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_what_is_newest_is_in_sight(
    browser: Browser, server: Server, talk: Talk, size: str
) -> None:
    talk.assistant()
    thread_id = talk.thread(*_LONG)
    with visiting(browser, server.url, size=size) as visit:
        page = visit.open(f"playground/{thread_id}")
        expect(page.locator(".message").last).to_be_in_viewport()
        _send(page, "!words 400")
        expect(page.locator(".message").last).to_contain_text("word400")
        # Far longer than the screen, and its end is what was said last.
        expect(page.locator(".answers, .compose")).to_be_in_viewport(ratio=1)
        bottom, top = page.evaluate(
            """() => [
                document.querySelector(".message:last-child").getBoundingClientRect().bottom,
                document.querySelector(".compose").getBoundingClientRect().top,
            ]"""
        )
        assert 0 < bottom <= top


def test_whoever_reads_what_was_before_is_not_taken_away(visit: Visit, talk: Talk) -> None:
    talk.assistant()
    page = visit.open(f"playground/{talk.thread(*_LONG)}")
    _send(page, "!pace 0.02\n!words 9000")
    expect(page.locator(".message").last).to_contain_text("word5 ")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator(".message").last).to_contain_text("word50 ")
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".doing")).to_contain_text("cancelled")


def test_files_stay_with_a_message_that_could_not_be_sent(
    visit: Visit, talk: Talk, tmp_path: Path
) -> None:
    talk.assistant()
    thread_id = talk.thread()
    path = tmp_path / "notes.txt"
    path.write_text("Trams are yellow.")
    page = visit.open(f"playground/{thread_id}")
    page.locator("#attach").set_input_files(path)
    expect(page.locator(".chip")).to_have_text("notes.txt")
    page.route("**/messages", lambda route: route.abort())
    _send(page, "What do you read?")
    expect(page.locator(".notice")).to_have_text("The server does not answer.")
    expect(page.locator(".chip")).to_have_text("notes.txt")
    page.unroute("**/messages")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".conversation")).to_contain_text("Files: file-")
    expect(page.locator(".chip")).to_have_count(0)
    assert len(talk.messages(thread_id)[0]["attachments"]) == 1


def test_a_message_whose_run_was_refused_is_not_said_twice(visit: Visit, talk: Talk) -> None:
    talk.assistant()
    thread_id = talk.thread()
    page = visit.open(f"playground/{thread_id}")

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=429, content_type="application/json", body=_LIMITED)
        else:
            route.continue_()

    page.route("**/runs", refuse)
    _send(page, "!say Here I am.")
    expect(page.locator(".notice")).to_contain_text("Too many requests.")
    page.unroute("**/runs")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".conversation")).to_contain_text("Here I am.")
    said = [message["role"] for message in talk.messages(thread_id)]
    assert said == ["user", "assistant"]


def test_what_is_typed_outlives_a_key_that_expires(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    server = make_server()
    Talk(server.http()).assistant()
    with visiting(browser, server.url) as visit:
        page = visit.open("playground")
        page.get_by_label("Message", exact=True).fill("A long thought")
        page.get_by_role("button", name="Key and server").click()
        page.get_by_label("API key").fill("sk-another")
        page.get_by_role("button", name="Use").click()
        expect(page.locator(".who")).to_contain_text("ther")
        expect(page.get_by_label("Message", exact=True)).to_have_value("A long thought")
        _send(page, "Said")
        expect(page.locator(".conversation")).to_contain_text("Said")
        page.reload()
        expect(page.get_by_label("Message", exact=True)).to_have_value("")


def test_what_is_typed_stays_with_its_conversation(visit: Visit, talk: Talk) -> None:
    talk.assistant()
    thread_id, other_id = talk.thread("First"), talk.thread("Second")
    page = visit.open(f"playground/{thread_id}")
    page.get_by_label("Message", exact=True).fill("A long thought")
    page = visit.open(f"playground/{other_id}")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page = visit.open(f"playground/{thread_id}")
    expect(page.get_by_label("Message", exact=True)).to_have_value("A long thought")


def test_two_clicks_answer_once(visit: Visit, talk: Talk) -> None:
    run = talk.run("!call get_weather {}\n!then\n!say Done.", tools=[function("get_weather")])
    visit.keep_notices()
    page = visit.open(f"playground/{run['thread_id']}")
    page.locator(".answers textarea").fill('{"degrees": 18}')
    page.get_by_role("button", name="Answer").dblclick()
    expect(page.locator(".conversation")).to_contain_text("Done.")
    expect(page.locator(".notice")).to_have_count(0)


def test_two_clicks_cancel_once(visit: Visit, talk: Talk) -> None:
    talk.assistant()
    visit.keep_notices()
    page = visit.open("playground")
    _send(page, "!pace 0.05\n!words 9000")
    expect(page.locator(".conversation")).to_contain_text("word3 ")
    page.get_by_role("button", name="Cancel the run").dblclick()
    expect(page.locator(".doing")).to_contain_text("cancelled")
    expect(page.locator(".notice")).to_have_count(0)
