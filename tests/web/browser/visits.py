"""A real browser against a real server: what it asks for and complains of is held against it."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

# Figures that a person wants to see beside the names of the tests.
Report = Callable[[str], None]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# A busy machine may be slow, and is not wrong for it; whoever is right is not waited for.
WAIT_MS = 20_000
SIZES = {"desk": (1280, 860), "tablet": (768, 1000), "phone": (390, 844)}
REBOUND = "evil.example"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a browser may want of its maker, it finds no other host than this one; and one
    # site of others has had its name lead here.
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
]
_WHEN_COPIED = """async () => {
    for (let looks = 0; looks < 200; looks += 1) {
        const text = await navigator.clipboard.readText();
        if (text !== "nothing yet") return text;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("Nothing was copied.");
}"""
# The page takes a notice away after so many milliseconds, or so many if it is a bad one.
_KEEP_NOTICES = """
const later = window.setTimeout;
window.setTimeout = (work, ms, ...rest) => [3500, 7000].includes(ms) ? 0 : later(work, ms, ...rest);
"""
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
        self.alerts: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", self._alerted)

    def open(self, address: str = "") -> Page:
        """A room in a document of its own: nothing in it can be of the room before."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/#/{address}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the room stands, and no longer says that it is loading."""
        expect(self.page.locator("main[data-room]")).to_be_visible()
        expect(self.page.locator("main .loading")).to_have_count(0)

    def keep_notices(self) -> None:
        """From here on what the page says in passing stays, however slowly one looks."""
        self.page.add_init_script(_KEEP_NOTICES)

    def copied(self, label: str) -> str:
        """What a button copies; the clipboard is filled some time after the click."""
        page = self.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.evaluate("navigator.clipboard.writeText('nothing yet')")
        page.get_by_role("button", name=label).click()
        # The page's policy forbids the evaluation by which Playwright would wait for it.
        return str(page.evaluate(_WHEN_COPIED))

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
