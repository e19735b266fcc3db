"""Servers that the tests of MCP speak with."""

from collections.abc import Iterator

import pytest
from tests.kit.fake_mcp import FakeMcp, fake_mcp
from tests.tools.mcp.rig import official_server


@pytest.fixture(scope="session")
def official() -> Iterator[str]:
    with official_server() as url:
        yield url


@pytest.fixture
def fake() -> Iterator[FakeMcp]:
    """A server of the newest revision."""
    with fake_mcp() as server:
        yield server


@pytest.fixture
def old() -> Iterator[FakeMcp]:
    """A server that wants a handshake, and numbers its sessions."""
    with fake_mcp("handshake") as server:
        yield server
