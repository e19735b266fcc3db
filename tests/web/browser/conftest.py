"""Chromium for the tests of this room, and pages in it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.kit.server import Server
from tests.web.browser.visits import WAIT_MS, Report, Visit, launch, visiting

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed after each file: it brings a running loop into its thread, and others want none."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """A desk-sized page on the server that tests share."""
    with visiting(browser, server.url) as told:
        yield told


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Keeps a figure with the result of its test, where `--junit-xml` shows it."""
    return lambda text: record_property("measured", text)
