"""The programs of the page about file search run as they stand."""

import contextlib
import io
import re

from tests.docs.pages import ROOT
from tests.kit.server import running

_PAGE = "docs/how-to/file-search.md"
_PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_programs_of_the_page_find_and_cite() -> None:
    programs = _PROGRAM.findall((ROOT / _PAGE).read_text("utf-8"))
    said = io.StringIO()
    names: dict[str, object] = {}
    with running(files_at_once=2) as server, contextlib.redirect_stdout(said):
        for code in programs:
            here = code.replace("http://127.0.0.1:8000", server.url)
            exec(compile(here, _PAGE, "exec"), names)
    assert len(programs) == 2
    assert "completed None" in said.getvalue()
    assert "【0:0†leave.txt】 [FileCitationAnnotation(" in said.getvalue()
    assert "Employees have twenty days" in said.getvalue()
