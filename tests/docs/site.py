"""The documentation as a site, built by `make site`, and by a test in a folder of its own.

The pages are written for whoever reads them in the repository. Here they are laid out for the
generator: pages at the root of the repository come along, and links that leave the pages lead to
the repository on the web.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.pages import DOCS, ROOMS, ROOT, pages, title
from tests.kit.environments import tools

_REPOSITORY: Final = "https://github.com/locum-server/locum"
_BUILD_S: Final = 120
# Pages that lie outside of docs/, and where the site has them.
_FROM_OUTSIDE: Final = {
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_SETTINGS: Final = """
[project]
site_name = "Locum"
site_description = "A self-hosted server that stands in for OpenAI's Assistants API."
nav = {nav}

[project.theme]
language = "en"
font = false
features = [
  "content.code.copy", "navigation.footer", "navigation.indexes", "navigation.path",
  "navigation.tabs", "navigation.top", "search.highlight",
]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Switch to dark mode"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Switch to light mode"

[project.markdown_extensions]
attr_list = {{}}
tables = {{}}
toc.permalink = true
pymdownx.highlight.anchor_linenums = true
pymdownx.superfences = {{}}
"""


def build(folder: Path) -> Path:
    """Lay the pages out below a folder and build them; the folder of the finished site."""
    shutil.rmtree(folder, ignore_errors=True)
    lay_out(folder)
    subprocess.run(
        [tools() / "zensical", "build", "--strict", "--clean"],
        cwd=folder,
        check=True,
        timeout=_BUILD_S,
        env=os.environ | {"NO_COLOR": "1"},
    )
    return folder / "site"


def lay_out(folder: Path) -> None:
    """Everything the generator reads: its settings, and pages whose links fit."""
    for path in (*pages(), *(ROOT / name for name in _FROM_OUTSIDE)):
        laid = folder / "docs" / _place(path)
        laid.parent.mkdir(parents=True, exist_ok=True)
        laid.write_text(_with_links_that_fit(path), "utf-8")
    settings = _SETTINGS.format(nav=_navigation())
    (folder / "zensical.toml").write_text(settings, "utf-8")


def _place(path: Path) -> str:
    """Where the site has a page, from its root."""
    name = path.relative_to(ROOT).as_posix()
    return _FROM_OUTSIDE.get(name, name.removeprefix("docs/"))


def _with_links_that_fit(path: Path) -> str:
    text = path.read_text("utf-8")
    found, end = [], 0
    for fence in _FENCE.finditer(text):
        found += [_relinked(path, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*found, _relinked(path, text[end:])])


def _relinked(path: Path, prose: str) -> str:
    def fitting(link: re.Match[str]) -> str:
        target = (path.parent / link[1]).resolve()
        name = target.relative_to(ROOT).as_posix()
        if name in _FROM_OUTSIDE or (name.startswith("docs/") and target.suffix == ".md"):
            here = Path(_place(path)).parent
            return os.path.relpath(_place(target), here) + (link[2] or "")
        return f"{_REPOSITORY}/blob/main/{name}"

    return _LINK.sub(fitting, prose)


def _navigation() -> str:
    """The pages room by room, as an array of TOML."""
    rooms = [_entry("Locum", "index.md"), _entry("Quickstart", "quickstart.md")]
    for room, name in ROOMS.items():
        outside = [ROOT / path for path, place in _FROM_OUTSIDE.items() if _is_in(place, room)]
        more = [DOCS / "glossary.md"] if room == "reference" else []
        rooms.append(_group(name, _entries([*outside, *pages(room), *more])))
    project = [ROOT / path for path, place in _FROM_OUTSIDE.items() if _is_in(place, "project")]
    rooms.append(_group("Project", _entries(project)))
    return _array(rooms)


def _is_in(place: str, room: str) -> bool:
    return place.startswith(f"{room}/")


def _entries(found: list[Path]) -> Iterator[str]:
    return (_entry(title(path), _place(path)) for path in found)


def _entry(name: str, place: str) -> str:
    return f"{{ {json.dumps(name, ensure_ascii=False)} = {json.dumps(place)} }}"


def _group(name: str, entries: Iterator[str]) -> str:
    return f"{{ {json.dumps(name)} = {_array(entries)} }}"


def _array(values: Iterator[str] | list[str]) -> str:
    return f"[{', '.join(values)}]"


if __name__ == "__main__":
    sys.stdout.write(f"The site is in {build(ROOT / 'build' / 'documentation')}.\n")
