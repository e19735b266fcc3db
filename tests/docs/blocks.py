"""The blocks of code in a page, and what it means to run one.

A block whose title begins with `Needs` cannot run here (```bash title="Needs Docker"); it is only
parsed. One whose title is the name of a file (```python title="test_answers.py") becomes that file,
for the blocks after it. Whatever else can run does, in the order of the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.pages import ROOT

_FENCE: Final = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_TITLE: Final = re.compile(r'\btitle="([^"]*)"')
_FILE: Final = re.compile(r"^[\w./-]+\.\w+$")


class Block(NamedTuple):
    page: str
    line: int
    language: str
    title: str
    code: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it becomes."""
        return self.title if _FILE.match(self.title) else None

    @property
    def runs(self) -> bool:
        return not self.title.startswith("Needs ")


def documents() -> list[Path]:
    """Every page that people read, in docs/, at the root and beside the examples."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(path for path in found if "node_modules" not in path.parts)


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text("utf-8")
    page = path.relative_to(ROOT).as_posix()
    for fence in _FENCE.finditer(text):
        indent, _, info, code = fence.groups()
        title = _TITLE.search(info)
        yield Block(
            page=page,
            line=text.count("\n", 0, fence.start()) + 1,
            language=info.split()[0] if info.split() else "",
            title=title[1] if title else "",
            code=re.sub(f"^{indent}", "", code, flags=re.MULTILINE),
        )
