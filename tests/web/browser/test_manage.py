"""The shelves in a real browser: keys for an admin, files of a store."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.visits import Visit, shot, visiting

pytestmark = pytest.mark.browser

_ADMIN = "admin-0123456789abcdef"


def test_an_admin_makes_a_key_uses_it_and_revokes_it(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    server = make_server(admin_key=_ADMIN)
    with visiting(browser, server.url) as visit:
        page = visit.open("manage/keys")
        page.get_by_label("Admin key").fill(_ADMIN)
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".state")).to_contain_text("No keys yet")
        page.get_by_label("Name of the new key").fill("laptop")
        page.get_by_label("Project").fill("proj_shop")
        page.get_by_label("Days until it expires").fill("36000")
        page.get_by_role("button", name="Create").click()
        dialog = page.get_by_role("dialog")
        secret = dialog.locator("pre").inner_text()
        # A click beside it, as one ends who marks the key with the mouse, takes nothing away.
        page.mouse.click(5, 5)
        expect(dialog).to_contain_text(secret)
        shot(page, "new-key-desk-light")
        dialog.get_by_role("button", name="Use it in this page").click()
        expect(page.locator(".who")).to_contain_text(secret[-4:])
        row = page.locator(".list li")
        expect(row.locator(".badge")).to_have_text("valid")
        expect(row.locator(".sub")).to_contain_text("proj_shop · until ")
        assert secret not in page.locator("body").inner_text()
        assert server.http(secret).get("/v1/threads").status == 200
        shot(page, "keys-open-desk-light")
        page.get_by_role("button", name="Revoke laptop").click()
        dialog.get_by_role("button", name="Revoke").click()
        expect(row.locator(".badge")).to_have_text("revoked")
        server.clock.advance(5)
        assert server.http(secret).get("/v1/threads").status == 401


def test_the_admin_key_is_kept_by_nothing_but_the_open_page(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    with visiting(browser, make_server(admin_key=_ADMIN).url) as visit:
        page = visit.open("manage/keys")
        page.get_by_label("Admin key").fill(_ADMIN)
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".state")).to_contain_text("No keys yet")
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert _ADMIN not in kept
        assert not [url for url in visit.asked if _ADMIN in url]
        page.reload()
        expect(page.get_by_label("Admin key")).to_have_value("")


def test_whoever_is_no_admin_is_told_why(
    browser: Browser, make_server: Callable[..., Server], visit: Visit
) -> None:
    with visiting(browser, make_server(admin_key=_ADMIN).url) as guarded:
        page = guarded.open("manage/keys")
        page.get_by_label("Admin key").fill("not the admin's")
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".problem")).to_have_text("This is not the admin key of the server.")
    page = visit.open("manage/keys")
    page.get_by_label("Admin key").fill(_ADMIN)
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".problem")).to_contain_text("This server has no admin key")


def test_an_assistant_loses_the_store_whose_field_is_emptied(visit: Visit, talk: Talk) -> None:
    store = talk.http.post("/v1/vector_stores", {"name": "Lisbon"}).json["id"]
    resources = {"file_search": {"vector_store_ids": [store]}}
    assistant_id = talk.assistant(tools=[{"type": "file_search"}], tool_resources=resources)
    path = f"/v1/assistants/{assistant_id}"
    visit.keep_notices()
    page = visit.open(f"manage/assistants/{assistant_id}")
    field = page.get_by_label("Vector store to search")
    save = page.get_by_role("button", name="Save")
    field.fill("")
    save.click()
    expect(page.locator(".notice")).to_have_text("Saved.")
    assert talk.http.get(path).json["tool_resources"]["file_search"]["vector_store_ids"] == []
    # What was saved is what the next change is compared with.
    field.fill(store)
    save.click()
    expect(page.locator(".notice").last).to_have_text("Saved.")
    assert talk.http.get(path).json["tool_resources"] == resources


def test_an_assistant_that_nobody_changed_is_not_said_to_be_saved(visit: Visit, talk: Talk) -> None:
    tools = [{"type": "file_search"}, function("f", description="Does it.")]
    assistant_id = talk.assistant(name="Guide", tools=tools, temperature=0.5)
    visit.keep_notices()
    page = visit.open(f"manage/assistants/{assistant_id}")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notice")).to_have_text("Nothing has changed.")
    page.get_by_label("Instructions").fill("Be brief.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notice").last).to_have_text("Saved.")
    assert talk.http.get(f"/v1/assistants/{assistant_id}").json["instructions"] == "Be brief."


def test_a_list_says_that_it_goes_on(visit: Visit, talk: Talk) -> None:
    beyond = talk.assistant(name="Beyond")
    for at in range(500):
        talk.assistant(name=f"Assistant {at}")
    page = visit.open("manage/assistants")
    expect(page.locator(".item")).to_have_count(500)
    expect(page.get_by_text("Assistant 0", exact=True)).to_be_visible()
    expect(page.get_by_text("Beyond", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Ask for the others").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer")).to_contain_text(beyond)
