"""What the guide to MCP servers shows is so."""

import contextlib
import io
import re
from pathlib import Path

from tests.kit.fake_mcp import FakeMcp
from tests.kit.server import running
from tests.tools.mcp.rig import HERE

from locum.settings import load

_GUIDE = (Path(__file__).parents[3] / "docs/how-to/mcp.md").read_text("utf-8")
_BLOCKS = dict(re.findall(r"^```(\w+)[^\n]*\n(.*?)^```$", _GUIDE, re.MULTILINE | re.DOTALL))


def test_the_settings_of_the_guide_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "locum.toml"
    file.write_text(_BLOCKS["toml"], "utf-8")
    assert load(environment={}, file=file).mcp_hosts[0] == "mcp.example.com"


def test_the_program_of_the_guide_prints_what_the_guide_says(fake: FakeMcp) -> None:
    said = io.StringIO()
    with running(mcp_hosts=HERE) as server, contextlib.redirect_stdout(said):
        here = _BLOCKS["python"].replace("http://127.0.0.1:8000", server.url)
        exec(compile(here.replace("https://mcp.example.com/mcp", fake.url), "mcp.md", "exec"), {})
    assert said.getvalue() == _BLOCKS["text"]
