"""A server that reads files, for the tests that search them."""

from collections.abc import Iterator

import pytest
from openai import OpenAI
from tests.kit.embedders import HashEmbedder
from tests.kit.server import Server, running

from locum.app import Parts


@pytest.fixture(scope="session")
def reading() -> Iterator[Server]:
    with running(Parts(embedder=HashEmbedder()), files_at_once=2) as server:
        yield server


@pytest.fixture(scope="session")
def reading_sdk(reading: Server) -> Iterator[OpenAI]:
    with reading.sdk() as client:
        yield client
