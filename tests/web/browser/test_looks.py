"""Every room at three sizes and in both themes: nothing sticks out, and anyone can use it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.visits import SIZES, Visit, shot, visiting

pytestmark = pytest.mark.browser

_AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


class _Room(NamedTuple):
    """Where it is, what it shows when it stands, and what to click to see what it hides."""

    address: str
    shows: str
    opens: str = ""
    then: str = ""


_ROOMS = {
    "threads": _Room("timeline", ".list a.item .badge"),
    "thread": _Room("timeline/{thread}", ".list a.item"),
    "run": _Room(
        "timeline/{thread}/{run}",
        ".step:nth-child(3)",
        ".step:nth-child(2) button",
        ".step-body h3",
    ),
    "failed": _Room("timeline/{failed}", ".error-box"),
    "compare": _Room("timeline/compare/{thread}/{run}/{failed}", ".pair .step"),
    "explorer": _Room(
        "explorer/list_steps?thread_id={thread}&run_id={run}",
        "[data-snippet]",
        "button[type=submit]",
        ".status[data-good=true]",
    ),
    "form": _Room("explorer/create_thread_and_run", "[data-snippet]"),
    "upload": _Room("explorer/create_file", "[data-snippet]"),
    "playground": _Room("playground/{thread}", ".conversation .message"),
    "asking": _Room("playground/{asking}", ".answers"),
    "key": _Room("timeline", ".list", ".who", "dialog"),
    "assistants": _Room("manage/assistants", ".list"),
    "assistant": _Room("manage/assistants/new", "form"),
    "stores": _Room("manage/stores", ".list, .state"),
    "files": _Room("manage/files", ".list, .state"),
    "keys": _Room("manage/keys", ".card"),
    "missing": _Room("timeline/thread_nothing", ".state.failed"),
}


@pytest.fixture(scope="module")
def ids(talk: Talk) -> dict[str, str]:
    """Something to see for every room."""
    tools = [function("get_weather"), {"type": "code_interpreter"}]
    run = talk.run(
        '!say Let me see.\n!call get_weather {"city":"Paris"}\n!then\n!say Sunny.', tools=tools
    )
    talk.submit(run, ['{"degrees": 18}'])
    done = talk.until(run, "completed")
    failed = talk.run("!say Begun.\n!error rate_limit Slow down, please.")
    asking = talk.run('!call get_weather {"city":"Rome"}', tools=tools)
    return {
        "thread": done["thread_id"],
        "run": done["id"],
        "failed": f"{failed['thread_id']}/{failed['id']}",
        "asking": asking["thread_id"],
    }


class _Entered(NamedTuple):
    name: str
    page: Page


@pytest.fixture(scope="module", params=list(_ROOMS))
def entered(
    request: pytest.FixtureRequest, browser: Browser, server: Server, ids: dict[str, str]
) -> Iterator[_Entered]:
    """Each room once, for all that is looked at in it."""
    room = _ROOMS[request.param]
    # Axe is a script that the page's policy would not let in.
    with visiting(browser, server.url, bypass_csp=True) as visit:
        page = visit.open(room.address.format(**ids))
        expect(page.locator(room.shows).first).to_be_visible()
        if room.opens:
            page.locator(room.opens).first.click()
            expect(page.locator(room.then).first).to_be_visible()
        yield _Entered(request.param, page)


def test_no_room_is_wider_than_its_window(entered: _Entered) -> None:
    wide = {}
    for size, (width, height) in SIZES.items():
        entered.page.set_viewport_size({"width": width, "height": height})
        for scheme in _SCHEMES:
            entered.page.emulate_media(color_scheme=scheme)
            shot(entered.page, f"{entered.name}-{size}-{scheme}")
        over = entered.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            wide[size] = over
    assert not wide


def test_everybody_can_use_every_room(entered: _Entered) -> None:
    """The tool axe finds nothing: contrast, names, roles, landmarks, order."""
    width, height = SIZES["desk"]
    entered.page.set_viewport_size({"width": width, "height": height})
    entered.page.evaluate(_AXE.read_text("utf-8"))
    found = {}
    for scheme in _SCHEMES:
        entered.page.emulate_media(color_scheme=scheme)
        told = entered.page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
        problems = {
            one["id"]: [node["html"][:160] for node in one["nodes"][:3]]
            for one in told["violations"]
        }
        if problems:
            found[scheme] = problems
    assert not found, json.dumps(found, indent=1)


def test_the_theme_can_be_chosen_and_stays(visit: Visit) -> None:
    page = visit.open("timeline")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    switch.click()
    expect(switch).to_have_attribute("title", "Colours: dark")
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


def test_skipping_to_the_content_stays_in_the_room(visit: Visit) -> None:
    page = visit.open("explorer/get_run")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator(".op-path code")).to_have_text("/threads/{thread_id}/runs/{run_id}")
    assert page.url.endswith("#/explorer/get_run")


def test_a_warning_of_the_server_hides_no_notice(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    server = make_server(sandbox="unsafe-subprocess")
    assistant_id = Talk(server.http()).assistant()
    for size in SIZES:
        with visiting(browser, server.url, size=size) as visit:
            visit.keep_notices()
            page = visit.open(f"manage/assistants/{assistant_id}")
            expect(page.locator("#alarm")).to_be_visible()
            page.get_by_role("button", name="Save").click()
            # Nothing lies over it where a click on it would go.
            page.locator(".notice").click(trial=True)


def test_a_server_that_is_gone_is_said_so_and_comes_back(visit: Visit) -> None:
    page = visit.open("timeline")
    page.route("**/v1/**", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        shot(page, f"gone-{size}-light")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".list, .state:not(.offline)").first).to_be_visible()


def test_a_room_that_cannot_be_fetched_is_no_fault_of_the_page(visit: Visit) -> None:
    page = visit.open("timeline")
    page.route("**/explorer/room.js", lambda route: route.abort())
    page.locator("#rail").get_by_text("Explorer").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.unroute("**/explorer/room.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".menu")).to_be_visible()


def test_a_status_stays_in_its_place_on_a_narrow_screen(visit: Visit, talk: Talk) -> None:
    run = talk.run("!call get_weather {}", tools=[function("get_weather")])
    visit.page.set_viewport_size({"width": 370, "height": 700})
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".facts .badge")).to_have_text("requires action")
    badge, place = page.evaluate(
        """() => [".facts .badge", ".facts dd"].map(
            (one) => document.querySelector(one).getBoundingClientRect().right,
        )"""
    )
    assert badge <= place + 1


def test_what_has_not_come_yet_is_a_sketch_of_it(visit: Visit) -> None:
    """A slow server is no empty page."""
    page = visit.page
    page.route("**/v1/**", lambda _: None)
    page.goto(f"{visit.url}/#/timeline")
    expect(page.locator("main .loading .bone").first).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("Loading …")
    shot(page, "loading-desk-light")


def test_rooms_with_nothing_in_them_say_what_to_do(
    browser: Browser, make_server: Callable[..., Server]
) -> None:
    words = {
        "timeline": "No threads yet",
        "playground": "No assistant to talk to yet",
        "manage/assistants": "No assistants yet",
        "manage/stores": "No vector stores yet",
        "manage/files": "No files yet",
    }
    with visiting(browser, make_server().url) as visit:
        for address, told in words.items():
            page = visit.open(address)
            expect(page.locator(".state h2")).to_have_text(told)
            for size, (width, height) in SIZES.items():
                page.set_viewport_size({"width": width, "height": height})
                shot(page, f"empty-{address.replace('/', '-')}-{size}-light")
