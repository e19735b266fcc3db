"""The fixture: a server that answers by rule, for a whole test session, offline."""

from collections.abc import Iterator

import pytest

import locum.testing

RULES = {"capital of france": "!say Paris.", "": "!say I do not know."}


@pytest.fixture(scope="session")
def assistants_url() -> Iterator[str]:
    with locum.testing.server(RULES) as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def _use_it(assistants_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official clients read these, so the program under test stays as it is."""
    monkeypatch.setenv("OPENAI_BASE_URL", assistants_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
