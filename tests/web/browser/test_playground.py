"""The playground in a real browser: what is sent with a message."""

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from tests.kit.talk import Talk
from tests.web.browser.visits import Visit

pytestmark = pytest.mark.browser


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
