"""The explorer in a real browser: forms, code that follows them, answers whose ids lead on."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import expect
from tests.kit.talk import Talk
from tests.web.browser.visits import Report, Visit

from locum.api.routes import ROUTES

pytestmark = pytest.mark.browser

# A stream that is cut after what came first, as when a server goes away.
_BROKEN = """
const ask = window.fetch;
window.fetch = async (url, options) => {
    const answer = await ask(url, options);
    if (!url.endsWith("/events")) return answer;
    const reader = answer.body.getReader();
    const body = new ReadableStream({
        async start(to) { to.enqueue((await reader.read()).value); },
        pull(to) { to.error(new TypeError("network error")); reader.cancel(); },
    }, { highWaterMark: 0 });
    return new Response(body, { headers: answer.headers });
};
"""


def test_every_operation_has_a_form_and_code(visit: Visit) -> None:
    page = visit.open("explorer")
    expect(page.locator(".menu-list a")).to_have_count(len(ROUTES))
    for route in ROUTES:
        page.locator(f'.menu-list a[data-operation="{route.name}"]').click()
        expect(page.locator(".op-path code")).to_have_text(route.path)
        expect(page.locator(f'[data-snippet="{route.name}"]')).to_contain_text("OPENAI_API_KEY")


def test_code_follows_every_keystroke(visit: Visit, report: Report) -> None:
    page = visit.open("explorer/create_thread_and_run")
    expect(page.locator("[data-snippet]")).to_contain_text("create")
    worst_ms = page.evaluate(
        """() => {
            const input = document.querySelector('[data-field="assistant_id"] input');
            const told = [];
            for (const letter of "asst_abcdefghijklmnop") {
                input.value += letter;
                const began = performance.now();
                input.dispatchEvent(new Event("input", { bubbles: true }));
                told.push(performance.now() - began);
            }
            return Math.max(...told);
        }"""
    )
    expect(page.locator("[data-snippet]")).to_contain_text("asst_abcdefghijklmnop")
    # Told, not asserted: how fast a machine is today is no property of the page.
    report(f"the slowest keystroke: {worst_ms:.1f} ms")


def test_every_language_can_be_chosen_and_is_remembered(visit: Visit) -> None:
    page = visit.open("explorer/list_assistants")
    languages = page.get_by_label("Language")
    expect(languages.locator("option")).to_have_count(17)
    languages.select_option("ruby")
    expect(page.locator("[data-snippet]")).to_contain_text("require 'net/http'")
    page.reload()
    expect(page.locator("[data-snippet]")).to_contain_text("require 'net/http'")


def test_ids_of_an_answer_fill_the_next_form(visit: Visit, talk: Talk) -> None:
    run = talk.run("!say Hello.")
    page = visit.open(f"explorer/list_runs?thread_id={run['thread_id']}")
    page.get_by_role("button", name="Send").click()
    page.locator(".tree a.id", has_text=run["id"]).first.click()
    expect(page.locator(".op-path code")).to_have_text("/threads/{thread_id}/runs/{run_id}/steps")
    expect(page.get_by_label("run_id")).to_have_value(run["id"])
    expect(page.get_by_label("thread_id")).to_have_value(run["thread_id"])
    page.get_by_role("button", name="Send").click()
    page.locator(".tree a.id", has_text="step_").first.click()
    expect(page.get_by_label("step_id")).to_have_value(talk.steps(run)[0]["id"])


def test_a_form_makes_lists_unions_pairs_and_objects(visit: Visit) -> None:
    page = visit.open("explorer/create_assistant")
    page.get_by_label("model").fill("scripted")
    page.get_by_role("button", name="Add to tools").click()
    page.get_by_label("Kind of tools").select_option(label="function")
    page.locator('[data-field="function"] [data-field="name"] input').fill("f")
    page.get_by_role("button", name="Add to metadata").click()
    page.get_by_label("Key in metadata").fill("colour")
    page.get_by_label("Value in metadata").fill("yellow")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_have_text("200 OK")
    page.get_by_role("tab", name="JSON").click()
    told = json.loads(page.get_by_label("Body as JSON").input_value())
    assert told == {
        "model": "scripted",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "metadata": {"colour": "yellow"},
    }
    page.get_by_label("Body as JSON").fill('{"model": "scripted", "name": "From JSON"}')
    page.get_by_role("tab", name="Form").click()
    expect(page.locator('[data-field="name"] input')).to_have_value("From JSON")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ('{\n  "model": "scripted",\n  "name": nul\n}', "line 3, column 11"),
        ('{"model": "scripted"', "line 1, column 21"),
        ("", "line 1, column 1"),
    ],
)
def test_a_body_that_is_no_json_is_not_sent(visit: Visit, written: str, place: str) -> None:
    """It would be the last one that was: not what is written there."""
    page = visit.open("explorer/create_assistant")
    page.get_by_role("tab", name="JSON").click()
    area = page.get_by_label("Body as JSON")
    area.fill('{"model": "scripted"}')
    area.fill(written)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text(f"no JSON at {place}")
    expect(area).to_be_focused()
    assert not [url for url in visit.asked if url.endswith("/v1/assistants")]
    area.fill('{"model": "scripted"}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_have_text("200 OK")


def test_a_body_that_is_no_json_does_not_become_a_form(visit: Visit) -> None:
    """It would be gone, and what was written before it be there."""
    page = visit.open("explorer/create_assistant")
    page.get_by_role("tab", name="JSON").click()
    area = page.get_by_label("Body as JSON")
    area.fill('{"model": "scripted", "name": "Kept"')
    page.get_by_role("tab", name="Form").click()
    expect(area).to_be_focused()
    expect(area).to_have_value('{"model": "scripted", "name": "Kept"')
    expect(page.locator(".body-editor > .problem")).to_contain_text("it would be lost")
    area.press_sequentially("}")
    page.get_by_role("tab", name="Form").click()
    expect(page.locator('[data-field="name"] input')).to_have_value("Kept")


# What a form has no field for, or takes for nothing; all of it means something to a server.
_NO_FORM = [{"tools": []}, {"metadata": {}}, {"name": None}, {"name": ""}, {"later": 1}]


@pytest.mark.parametrize("more", _NO_FORM, ids=json.dumps)
def test_a_body_that_no_form_can_hold_stays_json(visit: Visit, more: dict[str, Any]) -> None:
    """A link to it, and the page loaded again, would ask for something else."""
    body = {"model": "scripted", "description": "Kept", **more}
    page = visit.open("explorer/create_assistant")
    page.get_by_role("tab", name="JSON").click()
    area = page.get_by_label("Body as JSON")
    area.fill(json.dumps(body))
    page.get_by_role("tab", name="Form").click()
    (name,) = more
    expect(page.locator(".body-editor > .problem")).to_contain_text(f"'{name}'")
    expect(page.locator(".body-editor > .problem")).to_contain_text("it would be lost")
    assert json.loads(area.input_value()) == body
    page.reload()
    expect(page.get_by_role("tab", name="JSON")).to_have_attribute("aria-selected", "true")
    assert json.loads(area.input_value()) == body
    expect(page.locator("[data-snippet]")).to_contain_text(name)
    area.fill('{"model": "scripted", "description": "Kept"}')
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("description")).to_have_value("Kept")


def test_a_field_that_is_no_value_is_not_left_out_of_a_request(visit: Visit) -> None:
    page = visit.open("explorer/create_assistant")
    page.get_by_label("model").fill("scripted")
    temperature = page.locator('[data-field="temperature"] input')
    temperature.press_sequentially("1e")
    send = page.get_by_role("button", name="Send")
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("'temperature' is no number: nothing")
    expect(temperature).to_be_focused()
    temperature.fill("1")
    page.get_by_label("Add to tools").click()
    page.get_by_label("Kind of tools 1").select_option("function")
    page.locator('[data-field="name"] input').last.fill("f")
    parameters = page.get_by_role("textbox", name="parameters")
    parameters.fill('{"type": object}')
    send.click()
    expect(page.get_by_role("alert")).to_contain_text(
        "'parameters' is no JSON at line 1, column 10"
    )
    expect(parameters).to_be_focused()
    page.get_by_role("tab", name="JSON").click()
    expect(parameters).to_have_value('{"type": object}')
    expect(parameters).to_be_focused()
    assert not [url for url in visit.asked if url.endswith("/v1/assistants")]
    parameters.fill('{"type": "object"}')
    send.click()
    expect(page.locator(".status")).to_have_text("200 OK")


def test_a_link_brings_the_form_back_without_what_is_secret(visit: Visit) -> None:
    page = visit.open("explorer/create_assistant")
    page.get_by_role("tab", name="JSON").click()
    body = {
        "model": "scripted",
        "tools": [
            {"type": "mcp", "server_label": "s", "headers": {"Authorization": "Bearer hush"}}
        ],
    }
    page.get_by_label("Body as JSON").fill(json.dumps(body))
    address = unquote(page.evaluate("location.href"))
    assert "scripted" in address
    assert "hush" not in address
    page.goto("about:blank")
    page.goto(address)
    expect(page.get_by_label("model")).to_have_value("scripted")


def test_events_show_as_they_arrive_and_can_be_stopped(visit: Visit, talk: Talk) -> None:
    # Longer than anybody looks, however slow the machine.
    thread_id, assistant_id = talk.thread("!pace 0.05\n!words 9000"), talk.assistant()
    body = json.dumps({"assistant_id": assistant_id, "stream": True})
    page = visit.open(f"explorer/create_run?thread_id={thread_id}&body={body}")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".events li").nth(8)).to_contain_text("thread.message.delta")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    # It is stopped to be read.
    expect(page.locator(".events li").nth(8)).to_contain_text("thread.message.delta")
    expect(page.locator(".events li").last).to_have_text("Stopped.")
    # Whoever stops listening stops nothing but the stream.
    (run,) = talk.http.get(f"/v1/threads/{thread_id}/runs").json["data"]
    assert run["status"] == "in_progress"
    talk.cancel(run)


def test_events_that_came_stay_when_their_stream_breaks_off(visit: Visit, talk: Talk) -> None:
    run = talk.begin("!pace 0.05\n!words 9000")
    page = visit.page
    page.add_init_script(_BROKEN)
    visit.open(f"explorer/follow_run?thread_id={run['thread_id']}&run_id={run['id']}")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".events li").last).to_contain_text("The stream broke off")
    expect(page.locator(".events li").first).to_contain_text("thread.run.created")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    talk.cancel(run)


def test_a_file_is_uploaded_and_read_back(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Trams are yellow.")
    page = visit.open("explorer/create_file")
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_label("purpose").select_option("assistants")
    expect(page.locator("[data-snippet]")).to_contain_text('open("notes.txt", "rb")')
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_have_text("200 OK")
    page.locator(".tree a.id").first.click()
    expect(page.locator(".op-path code")).to_have_text("/files/{file_id}")


def test_what_is_refused_is_shown_with_its_reason(visit: Visit) -> None:
    page = visit.open("explorer/get_run?thread_id=thread_x&run_id=run_x")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_contain_text("404")
    expect(page.locator(".answer")).to_contain_text("No thread found with id 'thread_x'.")


def test_what_the_path_needs_is_asked_for(visit: Visit) -> None:
    page = visit.open("explorer/get_run")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("'thread_id' is part of the path")
    expect(page.get_by_label("thread_id")).to_be_focused()


def test_the_first_version_can_be_spoken(visit: Visit, talk: Talk) -> None:
    assistant_id = talk.assistant()
    page = visit.open(f"explorer/get_assistant?assistant_id={assistant_id}")
    page.get_by_label("Version header").select_option("v1")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer .tree")).to_contain_text("file_ids")
