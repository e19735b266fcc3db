"""A server that reads files, for the tests that search them; and what holds for many processes."""

from collections.abc import Iterator

import pytest
from openai import OpenAI
from tests.kit.embedders import HashEmbedder
from tests.kit.server import Server, running

from locum.app import Parts

# What a run promises, it promises as well when another process than the one asked drives it.
_OF_RUNS = ("test_runs", "test_streams", "test_objects", "test_stored", "test_sdk")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in _OF_RUNS and "server" in metafunc.fixturenames:
        apart = pytest.param("apart", marks=pytest.mark.slow)
        metafunc.parametrize("server", ["alone", apart], indirect=True, scope="session")


@pytest.fixture(scope="session")
def reading() -> Iterator[Server]:
    with running(Parts(embedder=HashEmbedder()), files_at_once=2) as server:
        yield server


@pytest.fixture(scope="session")
def reading_sdk(reading: Server) -> Iterator[OpenAI]:
    with reading.sdk() as client:
        yield client
