"""What the documentation says is so: generated pages are fresh, links lead somewhere, code runs."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from openai.types.beta import AssistantStreamEvent
from tests.docs.events import event_names
from tests.docs.generate import PAGES
from tests.docs.pages import ROOT
from tests.docs.words import WHAT_IT_DOES
from tests.kit.server import running

from locum import quickstart
from locum.arguments import parser
from locum.settings import Settings, load

_DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "node_modules" not in path.parts
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text("utf-8")
    return [code for spoken, code in _BLOCK.findall(text) if spoken == language]


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_generated_page_is_fresh(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == PAGES[path](), "run `make docs`"


def test_what_is_said_of_settings_is_said_of_settings_there_are() -> None:
    assert set(WHAT_IT_DOES) <= set(Settings.__struct_fields__)
    assert "|  |\n" not in PAGES["docs/reference/settings.md"](), "a setting without a word"


def test_the_page_of_events_has_those_that_the_official_client_knows() -> None:
    known = {
        get_args(kind.model_fields["event"].annotation)[0]
        for kind in get_args(get_args(AssistantStreamEvent)[0])
    }
    assert set(event_names()) == known | {"done"}


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    broken = [
        target
        for target in targets
        if not target.startswith(("http://", "https://", "mailto:"))
        and not (path.parent / target).exists()
    ]
    assert not broken


def test_the_first_program_of_the_readme_is_the_one_that_is_printed() -> None:
    printed = quickstart.example("http://127.0.0.1:8000", key="sk-local")
    assert _blocks("README.md", "python")[0] == printed


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
def test_every_program_of_the_readme_runs() -> None:
    for code in _blocks("README.md", "python"):
        said = io.StringIO()
        with running() as server, contextlib.redirect_stdout(said):
            here = code.replace("http://127.0.0.1:8000", server.url)
            exec(compile(here, "README.md", "exec"), {})
        assert said.getvalue().startswith("You said: Say hello.")
        assert '"object": "thread.run.step"' in said.getvalue()


@pytest.mark.slow
def test_the_first_program_can_be_pasted_into_a_terminal() -> None:
    with running() as server:
        code = quickstart.example(server.url, key="sk-local")
        terminal = subprocess.run(
            [sys.executable, "-W", "ignore", "-i", "-q"],
            input=f"{code}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "You said: Say hello." in terminal.stdout
    assert '"object": "thread.run.step"' in terminal.stdout
    assert "Error" not in terminal.stderr


def test_every_command_of_the_readme_is_understood() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [line for code in _blocks("README.md", "bash") for line in code.splitlines()]
    assert lines
    for line in lines:
        command = line.partition("#")[0].split()
        if command[:1] == ["make"]:
            assert set(command[1:]) <= targets, line
        else:
            assert command[0] == ".venv/bin/locum", line
            assert parser().parse_args(command[1:]).command, line


def test_every_settings_file_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    for name in ("README.md", "docs/reference/settings.md", "docs/how-to/trace.md"):
        for code in _blocks(name, "toml"):
            file = tmp_path / "locum.toml"
            file.write_text(code, "utf-8")
            load(environment={}, file=file)


def test_every_dependency_has_its_reason() -> None:
    written = (ROOT / "docs/explanation/dependencies.md").read_text("utf-8")
    names = {
        re.split(r"[\[;<>= ]", line)[0]
        for file in ("runtime.in", "dev.in", "tools.in", "examples.in")
        for line in (ROOT / "requirements" / file).read_text("utf-8").splitlines()
        if line and not line.startswith(("#", "-r"))
    }
    assert "starlette" in names
    assert not {name for name in names if not re.search(rf"\b{re.escape(name)}\b", written)}


def test_the_map_is_short() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines()) < 200
