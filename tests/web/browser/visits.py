"""A real browser against a real server: what it asks for and complains of is held against it."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

# Figures that a person wants to see beside the names of the tests.
Report = Callable[[str], None]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WAIT_MS = 8_000
SIZES = {"desk": (1280, 860), "tablet": (768, 1000), "phone": (390, 844)}
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a browser logs of an answer that is no success; the page shows such answers itself.
_EXPECTED = "Failed to load resource"


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)


class Visit:
    """A page of ours in a context of its own."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.bodies: list[bytes] = []
        self.alerts: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", self._alerted)

    def open(self, address: str = "") -> Page:
        self.page.goto(f"{self.url}/#/{address}")
        return self.page

    def check(self) -> None:
        """Nothing left this machine, nothing broke, nothing ran that was not ours."""
        own = urlsplit(self.url).netloc
        foreign = [
            url
            for url in self.asked
            if not url.startswith(("blob:", "data:")) and urlsplit(url).netloc != own
        ]
        assert not foreign
        assert not self.alerts
        assert not self.complaints

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and _EXPECTED not in message.text:
            self.complaints.append(message.text)

    def _alerted(self, dialog: Any) -> None:
        self.alerts.append(dialog.message)
        dialog.dismiss()


@contextlib.contextmanager
def visiting(
    browser: Browser, url: str, *, size: str = "desk", scheme: str = "light", **options: Any
) -> Iterator[Visit]:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        accept_downloads=True,
        **options,
    )
    try:
        visit = Visit(context, url)
        yield visit
        visit.check()
    finally:
        context.close()


def shot(page: Page, name: str) -> Path:
    """A picture for people, in a folder that is no part of the repository."""
    folder = Path(os.environ.get("LOCUM_SHOTS") or Path(tempfile.gettempdir()) / "locum-shots")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    return path
