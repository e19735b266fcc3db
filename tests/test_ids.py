"""Ids: what they look like, and that they stand together in the order they were made in."""

import re
import time

import pytest

from locum.ids import RandomIds


def _made_at(monkeypatch: pytest.MonkeyPatch, ms: int) -> str:
    monkeypatch.setattr(time, "time_ns", lambda: ms * 1_000_000 + 999_999)
    return RandomIds().new("run")


def test_an_id_looks_like_the_originals() -> None:
    ids = RandomIds()
    assert re.fullmatch(r"thread_[0-9A-Za-z]{24}", ids.new("thread"))
    assert re.fullmatch(r"file-[0-9A-Za-z]{24}", ids.new("file"))


def test_ids_sort_by_the_millisecond_they_were_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    year = 365 * 86_400_000
    times = [1, 61, 62, 1_790_000_000_000, 1_790_000_000_001, 1_790_000_000_001 + 50 * year]
    made = [_made_at(monkeypatch, ms) for ms in times]
    assert made == sorted(made)
    assert len({one[:11] for one in made}) == len(times)


def test_ids_of_one_millisecond_have_only_their_time_in_common(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [_made_at(monkeypatch, 1_790_000_000_000) for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert len({one[:11] for one in made}) == 1
    # Each of the letters that follow is any of the sixty-two.
    assert all(len({one[place] for one in made}) == 62 for place in range(11, 28))
