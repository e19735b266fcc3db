"""The pages of the documentation, their titles, and the index that lists them."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
# The rooms of the documentation, in the order in which people need them.
ROOMS: Final = {
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "decisions": "Decisions",
}
_ABOUT: Final = {
    "how-to": "One task a page.",
    "reference": "Everything there is, written by the code it describes where that is possible.",
    "explanation": "How it works, and why it is so.",
    "decisions": "What a newcomer might have done otherwise, with the figures that decided.",
}
_INDEX: Final = """\
# Locum

<!-- Written by `make docs`. -->

A self-hosted server that stands in for OpenAI's Assistants API, wire-compatible: change the base
URL, keep the code. Begin with the [quickstart](quickstart.md).
"""


def pages(room: str | None = None) -> list[Path]:
    """Every page, or those of one room, in the order of their titles; decisions by number."""
    found = sorted((DOCS / room if room else DOCS).rglob("*.md"))
    return found if room in (None, "decisions") else sorted(found, key=title)


def title(path: Path) -> str:
    """What the first heading of a page says, without the marks of code."""
    heading = re.search(r"^# (.+)$", path.read_text("utf-8"), re.MULTILINE)
    assert heading, f"{path.name} has no title: begin it with '# …'"
    return heading[1].replace("`", "")


def index_page() -> str:
    """The way to every page. A page that is new is in it as soon as `make docs` has run."""
    told = [_INDEX]
    for room, name in ROOMS.items():
        told.append(f"\n## {name}\n\n{_ABOUT[room]}\n\n")
        told += [
            f"- [{title(path)}]({path.relative_to(DOCS).as_posix()})\n" for path in pages(room)
        ]
    told.append("\nWords that are ours are in the [glossary](glossary.md).\n")
    return "".join(told)
