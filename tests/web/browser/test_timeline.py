"""The timeline in a real browser: what a run did, while it does it and after."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Request, Route, expect
from tests.kit.fake_mcp import FakeMcp, fake_mcp, says
from tests.kit.server import Server, running
from tests.kit.talk import Talk, function
from tests.web.browser.big_run import RUN_ID, add_long_run
from tests.web.browser.pixel import add_pixel
from tests.web.browser.visits import WAIT_MS, Report, Visit, shot, visiting

pytestmark = pytest.mark.browser

_CALLS = 204
_LONG_MS = 90_000


def test_threads_lead_to_runs_and_runs_to_steps(visit: Visit, talk: Talk) -> None:
    run = talk.run("What do trams look like?\n!say They are yellow.")
    page = visit.open("timeline")
    page.locator(f'.list a[href$="{run["thread_id"]}"]').get_by_text("What do trams").click()
    page.locator(f'.list a[href$="{run["id"]}"]').click()
    expect(page.locator(".step")).to_have_count(1)
    expect(page.locator(".facts")).to_contain_text("completed")
    expect(page.locator(".conversation")).to_contain_text("They are yellow.")
    assert page.url.endswith(f"#/timeline/{run['thread_id']}/{run['id']}")


def test_a_function_step_opens_to_its_arguments_and_output(visit: Visit, talk: Talk) -> None:
    run = talk.run(
        '!call get_weather {"city":"Paris"}\n!then\n!say {result:1}',
        tools=[function("get_weather")],
    )
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".callout")).to_contain_text("waits for the output")
    talk.submit(run, ['{"degrees": 18}'])
    talk.until(run, "completed")
    # The page looks again by itself, and follows.
    expect(page.locator(".facts")).to_contain_text("completed")
    page.locator(".step-head").first.click()
    expect(page.locator(".step-body").first).to_contain_text("Paris")
    expect(page.locator(".step-body").first).to_contain_text("degrees")


def test_a_failed_run_says_why(visit: Visit, talk: Talk) -> None:
    run = talk.run("!say Begun.\n!error rate_limit Slow down, please.")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".error-box").first).to_contain_text("Slow down, please.")
    expect(page.locator(".facts")).to_contain_text("failed")


def test_a_live_run_is_followed_from_wherever_one_comes_in(visit: Visit, talk: Talk) -> None:
    """It would go on for minutes, however slow who looks may be; so it is stopped when seen."""
    run = talk.begin("!pace 0.05\n!words 9000")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".badge[data-status=live]")).to_be_visible()
    expect(page.locator(".conversation")).to_contain_text("word3 ")
    talk.cancel(run)
    expect(page.locator(".facts")).to_contain_text("cancelled")
    expect(page.locator(".badge[data-status=live]")).to_have_count(0)
    said = talk.messages(run["thread_id"])[-1]["content"][0]["text"]["value"]
    expect(page.locator(".message.ours .words")).to_have_text(said)


def test_a_broken_connection_is_taken_up_again(visit: Visit, talk: Talk) -> None:
    """The stream breaks after its first bytes; the page comes back with the last id it saw."""
    page = visit.page
    broken: list[str | None] = []

    def meddle(route: Route, request: Request) -> None:
        broken.append(request.headers.get("last-event-id"))
        if len(broken) > 1:
            route.continue_()
            return
        created = json.dumps(run)
        body = f"id: 1\nevent: thread.run.created\ndata: {created}\n\n"
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    run = talk.begin("!pace 0.05\n!words 9000")
    page.route("**/events", meddle)
    visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".conversation")).to_contain_text("word3 ")
    talk.cancel(run)
    expect(page.locator(".facts")).to_contain_text("cancelled")
    said = talk.messages(run["thread_id"])[-1]["content"][0]["text"]["value"]
    expect(page.locator(".message.ours .words")).to_have_text(said)
    assert broken == [None, "1"]


def test_too_many_requests_are_waited_out(visit: Visit, talk: Talk) -> None:
    """Both while a run speaks and while it waits for its client."""
    run = talk.run("!call f {}\n!then\n!pace 0.05\n!words 9000", tools=[function("f")])
    path = f"**/runs/{run['id']}"
    busy = {path: 0, f"{path}/steps?*": 0, f"{path}/events": 2}

    def meddle(asked: str) -> Callable[[Route], None]:
        def answer(route: Route) -> None:
            if not busy[asked]:
                route.continue_()
                return
            busy[asked] -= 1
            error = {"message": "Slow down.", "type": "requests", "param": None, "code": None}
            route.fulfill(status=429, json={"error": error})

        return answer

    for asked in busy:
        visit.page.route(asked, meddle(asked))
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".callout")).to_contain_text("waits for the output")
    busy[path] = 2
    talk.submit(run, ["done"])
    expect(page.locator(".conversation")).to_contain_text("word3 ")
    busy[f"{path}/steps?*"] = 2
    with page.expect_response(lambda response: "/steps?" in response.url and response.ok):
        talk.cancel(run)
    expect(page.locator(".facts")).to_contain_text("cancelled")
    expect(page.locator(".badge[data-status=live]")).to_have_count(0)
    assert set(busy.values()) == {0}


def test_a_run_of_a_thousand_steps_opens_and_scrolls(
    visit: Visit, server: Server, talk: Talk, report: Report
) -> None:
    """How fast a machine is today is no property of the page; what the page has it do is."""
    run = talk.run("!say A long way.")
    add_long_run(server, thread_id=run["thread_id"], like=run["id"])
    page = visit.open("timeline")
    took_ms = page.evaluate(_OPEN, [f"#/timeline/{run['thread_id']}/{RUN_ID}", WAIT_MS])
    told = page.evaluate(_SCROLL)
    report(f"a thousand steps: {took_ms:.0f} ms, a frame {told['frame']:.1f} ms")
    expect(page.locator(".step")).to_have_count(1_000)
    # The run, and ten pages of a hundred steps: nothing is asked for step by step.
    assert len([url for url in visit.asked if RUN_ID in url]) == 11
    # A row is a button with seven parts; what it hides is not made before it is opened.
    assert page.evaluate("document.querySelectorAll('.step *').length") <= 1_000 * 16
    # Rows out of sight are not drawn: scrolling is the work of a window, however long the run.
    assert told["drawn"] < 100
    # Scrolling is left to the browser: no script of ours hears of it.
    assert told["changes"] == 0
    expect(page.locator(".ticks .queued")).to_be_visible()
    expect(page.locator(".step .gap").nth(5)).to_be_visible()
    page.locator(".step-head").nth(998).click()
    expect(page.locator(".step-body:not([hidden])")).to_contain_text("yellow")


# Until all rows are there, and drawn.
_OPEN = """async ([address, waitMs]) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const began = performance.now();
    location.hash = address;
    while (document.querySelectorAll(".step").length < 1000) {
        if (performance.now() - began > waitMs) throw new Error("The steps never came.");
        await frame();
    }
    await frame();
    return performance.now() - began;
}"""
# Sixty windows down: what a frame takes, how many rows are drawn at once, what changes meanwhile.
_SCROLL = """async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    let changes = 0;
    const watch = new MutationObserver((seen) => (changes += seen.length));
    const everything = { childList: true, attributes: true, subtree: true };
    watch.observe(document.querySelector("main"), everything);
    const took = [];
    for (let at = 0; at < 60; at += 1) {
        const began = performance.now();
        scrollBy(0, 600);
        await frame();
        took.push(performance.now() - began);
    }
    watch.disconnect();
    const isDrawn = (part) => part.checkVisibility({ contentVisibilityAuto: true });
    const drawn = [...document.querySelectorAll(".step .what")].filter(isDrawn).length;
    return { frame: took.sort((a, b) => a - b)[30], drawn, changes };
}"""


def test_a_long_thread_shows_its_end_and_what_the_run_said(visit: Visit, talk: Talk) -> None:
    """More messages than are asked for: the newest of them, and those of the run."""
    early = talk.run("!say Early.")
    thread_id = early["thread_id"]
    for at in range(1_005):
        talk.message(thread_id, f"Between {at}.")
    talk.message(thread_id, "!say Late.")
    asked = {"assistant_id": early["assistant_id"]}
    made = talk.http.post(f"/v1/threads/{thread_id}/runs", asked).json
    late = talk.until(made, "completed")
    for run, first in ((late, "Between 7."), (early, "Early.")):
        page = visit.open(f"timeline/{thread_id}/{run['id']}")
        messages = page.locator(".conversation .message .words")
        expect(messages.last).to_have_text("Late.")
        expect(messages.first).to_have_text(first)
        expect(page.locator(".message.ours")).to_have_count(1)
        expect(page.locator(".beyond")).to_contain_text("more than these 1,000")
    page = visit.open(f"playground/{thread_id}")
    expect(page.locator(".conversation .message .words").last).to_have_text("Late.")
    page.get_by_role("link", name="Ask for the others").click()
    page.get_by_role("button", name="Send").click()
    (first,) = talk.http.get(f"/v1/threads/{thread_id}/messages?order=asc&limit=1").json["data"]
    expect(page.locator(".answer")).to_contain_text(first["id"])
    page = visit.open(f"timeline/compare/{thread_id}/{early['id']}/{thread_id}/{late['id']}")
    for words in ("Early.", "Late."):
        expect(page.locator(".step .what").filter(has_text=words)).to_have_count(1)


def test_a_run_is_saved_whole(visit: Visit, talk: Talk, tmp_path: Path) -> None:
    run = talk.run("!say Keep me.")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".step")).to_have_count(1)
    with page.expect_download() as saving:
        page.get_by_role("button", name="Download").click()
    saving.value.save_as(tmp_path / "run.json")
    told = json.loads((tmp_path / "run.json").read_text())
    assert told["run"] == run
    assert told["steps"] == talk.steps(run)
    assert [message["role"] for message in told["messages"]] == ["user", "assistant"]


def test_two_runs_stand_side_by_side(visit: Visit, talk: Talk) -> None:
    one = talk.run("!say One.")
    other = talk.run("!error rate_limit Slow down.")
    page = visit.open(
        f"timeline/compare/{one['thread_id']}/{one['id']}/{other['thread_id']}/{other['id']}"
    )
    expect(page.locator("tr.differs", has_text="Status")).to_contain_text("completed")
    expect(page.locator("tr.differs", has_text="Status")).to_contain_text("failed")
    expect(page.locator(".pair .steps")).to_have_count(2)


def test_runs_to_compare_with_that_cannot_be_had_are_told_of(visit: Visit, talk: Talk) -> None:
    run = talk.run("!say One.")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".step")).to_have_count(1)
    page.route("**/v1/**", lambda route: route.abort())
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".notice")).to_contain_text("does not answer")


def test_arrow_keys_go_from_step_to_step(visit: Visit, talk: Talk) -> None:
    run = talk.run("!call f {}\n!then\n!say Done.", tools=[function("f")])
    talk.submit(run, ["x"])
    talk.until(run, "completed")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".step")).to_have_count(2)
    page.locator(".step-head").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".step-head").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".step-head").nth(1)).to_have_attribute("aria-expanded", "true")


def test_a_run_that_is_not_there_is_said_so(visit: Visit, talk: Talk) -> None:
    page = visit.open(f"timeline/{talk.thread('Hi.')}/run_nothing")
    expect(page.get_by_role("alert")).to_contain_text("Refused with 404")


def test_passages_show_their_scores_and_a_citation_opens_what_it_cites(
    visit: Visit, talk: Talk
) -> None:
    """The search is told by the test, so that its scores and markers are known."""
    run = talk.run("Are trams yellow?\n!say They are 【4:1†lisbon.txt】.")
    (step,), (asked, said) = talk.steps(run), talk.messages(run["thread_id"])
    passages = [
        {
            "file_id": "file-1",
            "file_name": "lisbon.txt",
            "score": score,
            "attributes": {},
            "content": [{"type": "text", "text": text}],
        }
        for score, text in ((0.9, "Lisbon is sunny."), (0.4, "The trams of Lisbon are yellow."))
    ]
    search = {"ranking_options": {"ranker": "r", "score_threshold": 0.0}, "results": passages}
    call = {"id": "call_1", "type": "file_search", "file_search": search}
    found = step | {
        "id": "step_search",
        "type": "tool_calls",
        "step_details": {"type": "tool_calls", "tool_calls": [call]},
    }
    said["content"][0]["text"]["annotations"] = [
        {
            "type": "file_citation",
            "text": "【4:1†lisbon.txt】",
            "start_index": 9,
            "end_index": 25,
            "file_citation": {"file_id": "file-1"},
        }
    ]
    page = visit.page
    page.route("**/steps?*", lambda route: route.fulfill(json=_list([found, step])))
    page.route("**/messages?*", lambda route: route.fulfill(json=_list([asked, said])))
    visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    page.locator(".step[data-kind=file_search] .step-head").click()
    expect(page.locator(".passage .score")).to_have_text(["0.900", "0.400"])
    expect(page.locator(".passage mark")).to_have_text(["Lisbon", "trams", "Lisbon", "yellow"])
    page.get_by_title("Show the passage").click()
    expect(page.get_by_role("dialog")).to_contain_text("The trams of Lisbon are yellow.")


def _list(data: list[Any]) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": False}


def test_a_picture_is_shown_from_memory(visit: Visit, talk: Talk) -> None:
    thread = talk.thread()
    part = {"type": "image_file", "image_file": {"file_id": add_pixel(talk)}}
    talk.http.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": [part]})
    run = talk.http.post(f"/v1/threads/{thread}/runs", {"assistant_id": talk.assistant()}).json
    page = visit.open(f"timeline/{thread}/{run['id']}")
    picture = page.locator("figure img")
    expect(picture).to_be_visible()
    assert page.evaluate("document.querySelector('figure img').src").startswith("blob:")


@pytest.fixture
def with_mcp() -> Iterator[tuple[Server, FakeMcp]]:
    """A server whose assistants may use a server of tools."""
    with fake_mcp() as fake, running(mcp_hosts=("127.0.0.1",)) as server:
        yield server, fake


def test_a_call_of_an_mcp_server_says_which_server_did_it(
    browser: Browser, with_mcp: tuple[Server, FakeMcp]
) -> None:
    server, fake = with_mcp
    talk = Talk(server.http())
    tool = {"type": "mcp", "server_label": "notes", "server_url": fake.url}
    text = '!call notes__echo {"text":"Due on the 3rd."}\n!then\n!say {result}'
    run = talk.run(text, tools=[tool, function("other")])
    with visiting(browser, server.url) as visit:
        page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
        row = page.locator(".step[data-kind=mcp]")
        expect(row.locator(".what")).to_have_text('MCPecho({"text":"Due on the 3rd."})')
        row.locator(".step-head").click()
        expect(row.locator(".server")).to_contain_text(f"notes {fake.url}")
        expect(row.locator("h3").first).to_have_text("echo")
        expect(row.locator(".step-body")).to_contain_text("Due on the 3rd.")
        shot(page, "mcp-desk-light")


def test_a_long_run_is_followed_as_it_grows(
    browser: Browser, with_mcp: tuple[Server, FakeMcp]
) -> None:
    """Hundreds of turns while one looks: every step that the list tells has its row."""
    server, fake = with_mcp
    talk = Talk(server.http())
    tool = {"type": "mcp", "server_label": "srv", "server_url": fake.url}
    looked = threading.Event()

    async def reply(_: FakeMcp, __: web.Request, body: Any) -> web.StreamResponse:
        # Nothing happens before one looks, and the last call is never answered.
        await asyncio.to_thread(looked.wait, WAIT_MS / 1000)
        if len(fake.calls()) == _CALLS:
            await asyncio.Event().wait()
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": says("on")})

    fake.replies["tools/call"] = reply
    run = talk.begin('!call srv__echo {"text":"on"}\n' * 4 + "!again", tools=[tool])
    with visiting(browser, server.url) as visit:
        page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
        expect(page.locator(".badge[data-status=live]")).to_be_visible()
        looked.set()
        expect(page.locator(".step")).to_have_count(_CALLS, timeout=_LONG_MS)
        talk.cancel(run)
        expect(page.locator(".facts")).to_contain_text("cancelled")
        told = list(
            server.sdk().beta.threads.runs.steps.list(run["id"], thread_id=run["thread_id"])
        )
        expect(page.locator(".step")).to_have_count(len(told))
        shown = page.locator(".step").evaluate_all("rows => rows.map((row) => row.dataset.step)")
    assert shown == [step.id for step in reversed(told)]
