"""What opens a house holds on both databases: on SQLite alone, and as one of many on PostgreSQL."""

from collections.abc import Iterator

import pytest
from tests.kit.inside import DIALECT


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "inside" in vars(metafunc.module):
        postgres = pytest.param("postgres", marks=pytest.mark.slow)
        metafunc.parametrize("dialect", ["sqlite", postgres], indirect=True)


@pytest.fixture(autouse=True)
def dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    chosen: str = getattr(request, "param", "sqlite")
    token = DIALECT.set(chosen)
    yield chosen
    DIALECT.reset(token)
