"""Fixtures of every room: a server that plain tests share, and one for whoever needs his own."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest
from openai import OpenAI
from tests.kit.http import Http
from tests.kit.server import Server, running, running_apart
from tests.kit.talk import Talk


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes is the machine's business.
    hypothesis.settings.register_profile("locum", deadline=None)
    hypothesis.settings.load_profile("locum")
    # What we serve is deprecated elsewhere; the official client says so at every call.
    for words in ("deprecated", "The Assistants API is deprecated"):
        config.addinivalue_line("filterwarnings", f"ignore:{words}:DeprecationWarning")
    # The first releases of Python 3.12 took `?1` for a name; 3.12.4 took the warning back.
    config.addinivalue_line("filterwarnings", r"ignore:Binding \d+ \('\?\d+'\):DeprecationWarning")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """`main` takes the log over; other tests want it back."""
    log = logging.getLogger("locum")
    before = (list(log.handlers), log.level, log.propagate)
    yield
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests that change nothing about it. Its clock stands still.

    Some suites run once more over PostgreSQL, where another process drives the runs.
    """
    with running_apart() if getattr(request, "param", "") == "apart" else running() as server:
        yield server


@pytest.fixture(scope="session")
def http(server: Server) -> Http:
    return server.http()


@pytest.fixture(scope="session")
def sdk(server: Server) -> Iterator[OpenAI]:
    with server.sdk() as client:
        yield client


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Servers of one's own: `make_server(Parts(…), strict_beta=True)`."""
    with ExitStack() as stack:

        def make(*parts: Any, **settings: Any) -> Server:
            return stack.enter_context(running(*parts, **settings))

        yield make


@pytest.fixture(scope="session")
def talk(http: Http) -> Talk:
    return Talk(http)
