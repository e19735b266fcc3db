"""The site is built without a warning, has every page, and fetches nothing from elsewhere."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, pages
from tests.docs.site import build

pytestmark = pytest.mark.slow

_LINKED = re.compile(r"""<a[^>]*?\shref="([^":#]*/|\.)["#]""")
_FETCHED = re.compile(r"<(?:script|img|link|iframe)[^>]*?\s(?:src|href)=\"?(https?:[^\s\">]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in strict mode: a warning, such as a link or an anchor that leads nowhere, fails it."""
    return build(tmp_path_factory.mktemp("documentation"))


def test_the_site_has_every_page(site: Path) -> None:
    built = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    ours = {path.relative_to(DOCS).with_suffix("").as_posix() for path in pages()}
    assert ours - {"index"} <= built
    assert {"explanation/architecture", "project/security", "project/contributing"} <= built


def test_every_page_is_led_to_from_another(site: Path) -> None:
    built = set(site.rglob("index.html"))
    led_to = {
        (path.parent / target / "index.html").resolve()
        for path in built
        for target in _LINKED.findall(path.read_text("utf-8"))
        if (path.parent / target).resolve() != path.parent
    }
    assert built - led_to <= {site / "index.html"}


def test_a_reader_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = "".join(path.read_text("utf-8") for path in site.rglob("*.html"))
    assert not _FETCHED.findall(pages)
