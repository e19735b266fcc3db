"""Both databases, for every test that asks for one."""

import pytest
from tests.kit.databases import DIALECTS


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
