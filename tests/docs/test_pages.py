"""What the documentation says is so: generated pages are fresh, links lead somewhere, code runs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from openai.types.beta import AssistantStreamEvent
from tests.docs.blocks import blocks, documents
from tests.docs.events import event_names
from tests.docs.generate import PAGES
from tests.docs.pages import ROOT
from tests.docs.words import WHAT_IT_DOES
from tests.kit.server import running

from locum import quickstart
from locum.settings import Settings


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_generated_page_is_fresh(path: str) -> None:
    written, now = (ROOT / path).read_text("utf-8"), PAGES[path]()
    # Versions of Python set the help of a command differently.
    assert written.split() == now.split(), "run `make docs`"


def test_what_is_said_of_settings_is_said_of_settings_there_are() -> None:
    assert set(WHAT_IT_DOES) <= set(Settings.__struct_fields__)
    assert "|  |\n" not in PAGES["docs/reference/settings.md"](), "a setting without a word"


def test_the_page_of_events_has_those_that_the_official_client_knows() -> None:
    known = {
        get_args(kind.model_fields["event"].annotation)[0]
        for kind in get_args(get_args(AssistantStreamEvent)[0])
    }
    assert set(event_names()) == known | {"done"}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
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
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "python")
    assert first.code == printed


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
