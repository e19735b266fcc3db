"""The whole way through the page, on the server that `make run` starts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from tests.web.browser.fresh import quickstarted
from tests.web.browser.visits import Visit, shot, visiting

pytestmark = pytest.mark.browser

_CHART = """!say I will draw it.
!python
import csv
import matplotlib.pyplot as plt
rows = list(csv.DictReader(open("/mnt/data/trams.csv")))
print(sum(int(row["riders"]) for row in rows), "riders")
plt.figure(figsize=(5, 3))
plt.bar([row["line"] for row in rows], [int(row["riders"]) for row in rows])
plt.title("Riders by line")
plt.show()
!then
!say Line 28 is the busiest."""
_CSV = "line,riders\n12,310\n15,540\n28,900\n"
_TRAMS = "The trams of Lisbon are yellow. Line 28 climbs to the castle."
_FERRIES = "Ferries cross the river every ten minutes and carry bicycles for nothing."


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with quickstarted(tmp_path_factory.mktemp("fresh")) as url:
        yield url


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Whatever leaves the machine, or complains, fails the test."""
    with visiting(browser, address) as told:
        yield told


def _create_assistant(visit: Visit, name: str, *tools: str, store: str = "") -> None:
    page = visit.open("manage/assistants/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Model").fill("scripted")
    for tool in tools:
        page.get_by_label(tool, exact=True).check()
    page.get_by_label("Vector store to search").fill(store)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Talk to it").click()
    expect(page.locator("main[data-room=playground]")).to_be_visible()
    expect(page.get_by_label("Assistant").locator("option:checked")).to_contain_text(name)


def _say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".doing .badge")).to_have_text("completed", timeout=60_000)


def _go_to_timeline(page: Page) -> None:
    # The room in the head bears the same name: this is the link that leads to this run.
    page.locator("main").get_by_role("link", name="Timeline", exact=True).click()
    expect(page.locator("main[data-room=timeline] .facts")).to_contain_text("completed")


def test_the_journey_from_an_assistant_to_the_code_that_reads_its_steps(
    visit: Visit, address: str, tmp_path: Path
) -> None:
    page = visit.page
    _create_assistant(visit, "Guide", "Code interpreter")
    table: FilePayload = {"name": "trams.csv", "mimeType": "text/csv", "buffer": _CSV.encode()}
    page.locator("#attach").set_input_files(table)
    expect(page.locator(".chip")).to_have_text("trams.csv")
    _say(page, _CHART)
    expect(page.locator(".conversation")).to_contain_text("Line 28 is the busiest.")
    _see_the_code(page)
    shown = _read_steps_in_the_explorer(visit)
    page.get_by_label("Language").select_option("python_sdk")
    expect(page.locator("[data-snippet]")).to_contain_text("import OpenAI")
    printed = _execute(visit.copied("Copy the code"), tmp_path)
    assert printed["data"] == shown["data"]
    kinds = [step["type"] for step in shown["data"]]
    assert kinds == ["message_creation", "tool_calls", "message_creation"]
    call = shown["data"][1]["step_details"]["tool_calls"][0]["code_interpreter"]
    assert [output["type"] for output in call["outputs"]] == ["logs", "image"]


def _see_the_code(page: Page) -> None:
    """The step shows what was run, what it printed, and the picture that it drew."""
    _go_to_timeline(page)
    expect(page.locator("main[data-room=timeline] .step")).to_have_count(3)
    step = page.locator(".step[data-kind=code_interpreter]")
    step.locator(".step-head").click()
    expect(step.locator("pre.code").first).to_contain_text("plt.bar")
    expect(step.locator("pre.code").nth(1)).to_have_text("1750 riders")
    picture = step.get_by_alt_text("Picture made by the code")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", value=True)
    assert picture.evaluate("img => img.naturalWidth") > 300
    shot(page, "journey-desk-light")


def _read_steps_in_the_explorer(visit: Visit) -> Any:
    page = visit.page
    page.locator("main").get_by_role("link", name="Explorer", exact=True).click()
    expect(page.get_by_label("run_id")).to_have_value(re.compile("^run_"))
    page.get_by_label("order").select_option("asc")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".status")).to_have_text("200 OK")
    return json.loads(visit.copied("Copy the JSON"))


def _execute(code: str, folder: Path) -> Any:
    """What a reader gets who pastes the code into a file and runs it."""
    (folder / "copied.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(folder / "copied.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "OPENAI_API_KEY": "sk-any"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_uploaded_is_found_scored_marked_and_cited(visit: Visit) -> None:
    """By meaning: the passage that is cited shares no word with what was asked but one."""
    page = visit.open("manage/stores")
    page.get_by_label("Name of the new store").fill("Lisbon")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("h2")).to_have_text("Lisbon")
    store_id = page.url.rpartition("/")[2]
    for name, text in (("trams.txt", _TRAMS), ("ferries.txt", _FERRIES)):
        words: FilePayload = {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
        page.locator("input[type=file]").set_input_files(words)
        expect(page.locator(".list")).to_contain_text(name)
    expect(page.locator(".list .badge[data-status=completed]")).to_have_count(2, timeout=60_000)
    _create_assistant(visit, "Reader", "File search", store=store_id)
    _say(page, "Which colour do trams have?\n!search colour of trams\n!then\n!say Look {marker}.")
    _go_to_timeline(page)
    step = page.locator(".step[data-kind=file_search]")
    step.locator(".step-head").click()
    first = step.locator(".passage").first
    expect(first.locator("b")).to_have_text("trams.txt")
    expect(first).to_contain_text(_TRAMS)
    assert 0 < float(first.locator(".score").inner_text()) <= 1
    expect(first.locator("mark")).to_have_text(["trams"])
    shot(page, "search-desk-light")
    page.locator(".talk").get_by_title("Show the passage").click()
    expect(page.get_by_role("dialog")).to_contain_text(_TRAMS)
