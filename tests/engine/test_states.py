"""The tables of states: closed, and ending everywhere."""

from typing import get_args

import pytest

from locum.engine.states import ACTIVE, NEXT, TERMINAL
from locum.store.runs import ACTIVE as ACTIVE_IN_SQL
from locum.wire.runs import RunStatus


def test_the_table_knows_every_status_of_the_api() -> None:
    assert set(NEXT) == set(get_args(RunStatus))
    assert {"cancelled", "failed", "completed", "incomplete", "expired"} == TERMINAL


def test_the_database_locks_a_thread_in_exactly_the_active_states() -> None:
    assert set(ACTIVE_IN_SQL) == set(ACTIVE)


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_every_active_state_can_reach_an_end(status: RunStatus) -> None:
    reached: set[RunStatus] = {status}
    while more := {after for state in reached for after in NEXT[state]} - reached:
        reached |= more
    assert reached & TERMINAL
    assert "expired" in NEXT[status]
    assert "failed" in NEXT[status]
