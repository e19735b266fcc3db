"""Every room at three sizes and in both themes: nothing sticks out, and anyone can use it."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.visits import SIZES, Visit, shot, visiting

pytestmark = pytest.mark.browser

_AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def rooms(talk: Talk) -> dict[str, str]:
    """An address for each room, with something to see in it."""
    tools = [function("get_weather"), {"type": "code_interpreter"}]
    run = talk.run(
        '!say Let me see.\n!call get_weather {"city":"Paris"}\n!then\n!say Sunny.', tools=tools
    )
    talk.submit(run, ['{"degrees": 18}'])
    done = talk.until(run, "completed")
    failed = talk.run("!say Begun.\n!error rate_limit Slow down, please.")
    asking = talk.run('!call get_weather {"city":"Rome"}', tools=tools)
    thread, at = done["thread_id"], f"{done['thread_id']}/{done['id']}"
    other = f"{failed['thread_id']}/{failed['id']}"
    return {
        "threads": "timeline",
        "thread": f"timeline/{thread}",
        "run": f"timeline/{at}",
        "failed": f"timeline/{other}",
        "compare": f"timeline/compare/{at}/{other}",
        "explorer": f"explorer/list_steps?thread_id={thread}&run_id={done['id']}",
        "form": "explorer/create_thread_and_run",
        "upload": "explorer/create_file",
        "playground": f"playground/{thread}",
        "asking": f"playground/{asking['thread_id']}",
        "assistants": "manage/assistants",
        "assistant": "manage/assistants/new",
        "stores": "manage/stores",
        "files": "manage/files",
        "keys": "manage/keys",
        "missing": "timeline/thread_nothing",
    }


def _afresh(visit: Visit, address: str) -> Page:
    """A room with nothing in it of the room before."""
    visit.page.goto("about:blank")
    page = visit.open(address)
    expect(page.locator("main[data-room]")).to_be_visible()
    return page


def _act(name: str, visit: Visit) -> None:
    """Open what a room hides, so that it is looked at too."""
    page = visit.page
    expect(page.locator(".loading")).to_have_count(0)
    if name == "run":
        expect(page.locator(".step")).to_have_count(3)
        page.locator(".step-head").nth(1).click()
    elif name == "explorer":
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".status")).to_have_text("200 OK")
    elif name == "asking":
        expect(page.get_by_role("button", name="Answer")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_no_room_is_wider_than_its_window(
    browser: Browser, server: Server, rooms: dict[str, str], size: str, scheme: str
) -> None:
    wide: dict[str, Any] = {}
    with visiting(browser, server.url, size=size, scheme=scheme) as visit:
        for name, address in rooms.items():
            page = _afresh(visit, address)
            page.wait_for_load_state("networkidle")
            _act(name, visit)
            shot(page, f"{name}-{size}-{scheme}")
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                wide[name] = over
    assert not wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_every_room(
    browser: Browser, server: Server, rooms: dict[str, str], scheme: str
) -> None:
    """The tool axe finds nothing: contrast, names, roles, landmarks, order."""
    found = {}
    with visiting(browser, server.url, scheme=scheme, bypass_csp=True) as visit:
        for name, address in rooms.items():
            page = _afresh(visit, address)
            page.wait_for_load_state("networkidle")
            _act(name, visit)
            if name != "missing":
                expect(page.locator("h1").first).to_be_visible()
            page.evaluate(_AXE.read_text("utf-8"))
            told = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
            problems = {
                one["id"]: [node["html"][:160] for node in one["nodes"][:3]]
                for one in told["violations"]
            }
            if problems:
                found[name] = problems
    assert not found, json.dumps(found, indent=1)


def test_the_theme_can_be_chosen_and_stays(visit: Visit) -> None:
    page = visit.open("timeline")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    switch.click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(switch).to_have_attribute("title", "Colours: dark")
    assert page.evaluate(ground) == dark


def test_the_keyboard_leads_everywhere(visit: Visit) -> None:
    page = visit.open("timeline")
    expect(page.locator("h1").first).to_have_text("Timeline")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.locator("main").focus()
    page.keyboard.press("g")
    page.keyboard.press("2")
    expect(page.locator(".menu")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Find an operation")).to_be_focused()


def test_a_server_that_is_gone_is_said_so_and_comes_back(visit: Visit) -> None:
    page = visit.open("timeline")
    expect(page.locator("h1").first).to_be_visible()
    page.route("**/v1/**", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".list, .state").first).to_be_visible()
