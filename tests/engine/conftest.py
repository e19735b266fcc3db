"""These suites hold on both databases: on SQLite alone, and as one of many on PostgreSQL."""

from collections.abc import Iterator

import pytest
from tests.kit.inside import DIALECT


@pytest.fixture(autouse=True, params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    token = DIALECT.set(request.param)
    yield request.param
    DIALECT.reset(token)
