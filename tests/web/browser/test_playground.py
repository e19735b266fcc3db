"""The playground in a real browser: what is sent with a message, and what a stream makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.kit.talk import Talk
from tests.web.browser.pixel import add_pixel
from tests.web.browser.visits import Visit

pytestmark = pytest.mark.browser

# Which addresses of what is in memory were given, and which of them were given back.
_WATCH = """
window.held = new Set();
const [make, drop] = [URL.createObjectURL, URL.revokeObjectURL];
URL.createObjectURL = (what) => { const url = make(what); held.add(url); return url; };
URL.revokeObjectURL = (url) => { held.delete(url); drop(url); };
"""
_DELTAS = 6


def test_a_message_does_not_leave_without_its_files(
    visit: Visit, talk: Talk, tmp_path: Path
) -> None:
    talk.assistant()
    thread_id = talk.thread()
    path = tmp_path / "notes.txt"
    path.write_text("Trams are yellow.")
    uploads: list[Route] = []
    page = visit.page

    def hold(route: Route) -> None:
        uploads.append(route)

    page.route("**/v1/files", hold)
    visit.keep_notices()
    visit.open(f"playground/{thread_id}")
    with page.expect_request("**/v1/files"):
        page.locator("#attach").set_input_files(path)
    page.get_by_label("Message").fill("What do you read?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".notice")).to_have_text("A file is not uploaded yet. Send when it is.")
    expect(page.get_by_label("Message")).to_have_value("What do you read?")
    assert talk.messages(thread_id) == []
    uploads.pop().continue_()
    expect(page.locator(".chip")).to_have_text("notes.txt")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".conversation")).to_contain_text("Files: file-")
    asked = talk.messages(thread_id)[0]
    assert asked["content"][0]["text"]["value"] == "What do you read?"
    assert len(asked["attachments"]) == 1


def test_a_picture_is_fetched_once_however_often_a_stream_draws_it(
    visit: Visit, talk: Talk
) -> None:
    picture = add_pixel(talk)
    run = talk.begin("!pace 0.05\n!words 9000")
    page = visit.page
    page.add_init_script(_WATCH)
    page.route("**/events", lambda route: _tell(route, run, picture))
    visit.open(f"playground/{run['thread_id']}")
    expect(page.locator(".conversation")).to_contain_text("word5 ")
    expect(page.locator("figure img")).to_be_visible()
    _wait_until_drawn(page)
    assert len([url for url in visit.asked if url.endswith(f"/{picture}/content")]) == 1
    assert page.evaluate("held.size") == 1
    page.get_by_role("link", name="Manage").click()
    expect(page.locator("main[data-room=manage]")).to_be_visible()
    assert page.evaluate("held.size") == 0
    talk.cancel(run)


def _tell(route: Route, run: Any, picture: str) -> None:
    """A message that is a picture, and words after it."""
    message = {
        "id": "msg_1",
        "object": "thread.message",
        "created_at": run["created_at"],
        "role": "assistant",
        "status": "in_progress",
        "content": [{"type": "image_file", "image_file": {"file_id": picture}}],
    }
    events: list[tuple[str, Any]] = [("thread.message.created", message)]
    for at in range(_DELTAS):
        part = {"index": 1, "type": "text", "text": {"value": f"word{at} ", "annotations": []}}
        events.append(("thread.message.delta", {"id": "msg_1", "delta": {"content": [part]}}))
    told = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    body = f"{told}event: done\ndata: [DONE]\n\n"
    route.fulfill(status=200, content_type="text/event-stream", body=body)


def _wait_until_drawn(page: Page) -> None:
    expect(page.locator("figure img")).to_have_js_property("complete", value=True)
    assert page.locator("figure img").evaluate("img => img.naturalWidth") == 1
