"""A server with the rules of the examples, and the environment that leads programs to it."""

import os
from collections.abc import Iterator

import pytest
from tests.docs.pages import ROOT
from tests.kit.server import Server, running

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="package")
def ruled() -> Iterator[Server]:
    rules = EXAMPLES / "rules.toml"
    with running(script=rules, files_at_once=2, sandbox="unsafe-subprocess") as server:
        yield server


@pytest.fixture(scope="package")
def environment(ruled: Server) -> dict[str, str]:
    """All that an unchanged program has to be told."""
    told = {"OPENAI_BASE_URL": f"{ruled.url}/v1", "OPENAI_API_KEY": "sk-local"}
    return os.environ | told | {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
