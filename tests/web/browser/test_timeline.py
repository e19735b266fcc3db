"""The timeline in a real browser: what a run did, while it does it and after."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Request, Route, expect
from tests.kit.forms import HEADERS, field, file, form
from tests.kit.server import Server
from tests.kit.talk import Talk, function
from tests.web.browser.big_run import add_long_run
from tests.web.browser.visits import Report, Visit

pytestmark = pytest.mark.browser

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_threads_lead_to_runs_and_runs_to_steps(visit: Visit, talk: Talk) -> None:
    run = talk.run("What do trams look like?\n!say They are yellow.")
    page = visit.open("timeline")
    page.get_by_text("What do trams look like?").click()
    page.locator(".list a.item").first.click()
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
    run = talk.begin("!pace 0.1\n!words 30\n!then\n!say The end.")
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".badge[data-status=live]")).to_be_visible()
    expect(page.locator(".conversation")).to_contain_text("word3 ")
    expect(page.locator(".facts")).to_contain_text("completed")
    expect(page.locator(".conversation")).to_contain_text("word30")
    expect(page.locator(".badge[data-status=live]")).to_have_count(0)


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

    run = talk.begin("!pace 0.1\n!words 10")
    page.route("**/events", meddle)
    visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    expect(page.locator(".facts")).to_contain_text("completed")
    expect(page.locator(".conversation")).to_contain_text("word10")
    assert broken[:2] == [None, "1"]


def test_a_run_of_a_thousand_steps_opens_and_scrolls(
    visit: Visit, server: Server, talk: Talk, report: Report
) -> None:
    run = talk.run("!say A long way.")
    add_long_run(server, thread_id=run["thread_id"], like=run["id"])
    page = visit.open("timeline")
    expect(page.locator(".list a.item").first).to_be_visible()
    took_ms = page.evaluate(
        """async (address) => {
            const began = performance.now();
            location.hash = address;
            const steps = () => document.querySelectorAll(".step").length;
            while (steps() < 1000) await new Promise((resolve) => requestAnimationFrame(resolve));
            await new Promise((resolve) => requestAnimationFrame(resolve));
            return performance.now() - began;
        }""",
        f"#/timeline/{run['thread_id']}/run_long00000000000000000001",
    )
    frames_ms = page.evaluate(
        """async () => {
            const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
            const told = [];
            for (let at = 0; at < 60; at += 1) {
                const began = performance.now();
                scrollBy(0, 600);
                await frame();
                told.push(performance.now() - began);
            }
            return told.sort((a, b) => a - b);
        }"""
    )
    # Told, not asserted: how fast a machine is today is no property of the page.
    report(f"a thousand steps: {took_ms:.0f} ms, a frame {frames_ms[30]:.1f} ms")
    page.locator(".step-head").nth(998).click()
    expect(page.locator(".step-body:not([hidden])")).to_contain_text("yellow")


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
    made = talk.http.post(
        "/v1/files",
        form(field("purpose", "vision"), file(_PIXEL, filename='filename="pixel.png"')),
        headers=HEADERS,
    ).json
    thread = talk.thread()
    part = {"type": "image_file", "image_file": {"file_id": made["id"]}}
    talk.http.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": [part]})
    run = talk.http.post(f"/v1/threads/{thread}/runs", {"assistant_id": talk.assistant()}).json
    page = visit.open(f"timeline/{thread}/{run['id']}")
    picture = page.locator("figure img")
    expect(picture).to_be_visible()
    assert page.evaluate("document.querySelector('figure img').src").startswith("blob:")


def test_a_long_run_is_followed_as_it_grows(visit: Visit, talk: Talk) -> None:
    """Hundreds of turns while one looks: every step that the list tells has its row."""
    run = talk.begin("!call f {}\n!again", tools=[function("f")])
    page = visit.open(f"timeline/{run['thread_id']}/{run['id']}")
    for at in range(1, 41):
        waiting = talk.until(run, "requires_action")
        talk.submit(waiting, [f"output {at}"])
        if at in {1, 20}:
            expect(page.locator(".step").nth(at)).to_be_visible()
    talk.until(run, "requires_action")
    talk.cancel(run)
    expect(page.locator(".facts")).to_contain_text("cancelled")
    expect(page.locator(".step")).to_have_count(len(talk.steps(run, "order=asc&limit=100")))
