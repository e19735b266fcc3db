"""A user for each session, chosen where there are any."""

import os

import pytest

from locum.tools.code_interpreter import users
from locum.tools.code_interpreter.sandbox import SandboxUnavailable
from locum.tools.code_interpreter.users import Users


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def _map(monkeypatch: pytest.MonkeyPatch, *spans: tuple[int, int]) -> None:
    monkeypatch.setattr(users, "_mapped", lambda: list(spans))


def test_users_are_far_from_those_of_people_and_services(monkeypatch: pytest.MonkeyPatch) -> None:
    _map(monkeypatch, (0, 1 << 32))
    taken = Users()

    ids = {taken.take() for _ in range(100)}

    assert len(ids) == 100
    assert all(uid is not None and 2_000_000_000 <= uid < 1 << 31 for uid in ids)


def test_in_a_container_with_few_users_they_are_among_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _map(monkeypatch, (0, 1), (1, 65_536))

    uid = Users().take()

    assert uid is not None
    assert 1_000 < uid < 65_536


def test_two_servers_with_one_process_id_have_users_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in two containers, where the first process is number one."""
    _map(monkeypatch, (0, 1 << 32))
    drawn = iter([7, 8])
    monkeypatch.setattr(users, "randbelow", lambda _: next(drawn))

    one, other = Users(), Users()

    assert {one.take() for _ in range(1024)}.isdisjoint({other.take() for _ in range(1024)})


def test_a_container_with_too_few_users_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _map(monkeypatch, (0, 1))

    with pytest.raises(SandboxUnavailable, match="too few user ids"):
        Users()


def test_a_user_is_taken_once_until_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _map(monkeypatch, (0, 1 << 32))
    taken = Users()
    ids = [taken.take() for _ in range(1024)]

    with pytest.raises(SandboxUnavailable, match="Every user id"):
        taken.take()
    taken.give_back(ids[7])

    assert taken.take() == ids[7]


def test_a_server_that_is_not_root_has_no_users_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    none = Users()

    assert none.take() is None
    none.give_back(None)
