"""Hot paths do not grow dearer unnoticed: counts of statements and of calls, beside a table."""

import asyncio

import pytest
from tests.kit import costs

_TOLERANCE = 0.10


@pytest.mark.slow
def test_hot_paths_cost_what_the_table_says() -> None:
    minor, table = costs.expected()
    found = asyncio.run(costs.measure())
    assert found.statements == table.statements
    assert found.calls.keys() == table.calls.keys()
    if minor != costs.MINOR:
        return  # Another Python calls other functions of its own.
    for path, count in found.calls.items():
        assert count == pytest.approx(table.calls[path], rel=_TOLERANCE), path
