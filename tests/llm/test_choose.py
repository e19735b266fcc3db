"""Which model answers: what is named must be there, and nothing else takes its place."""

import importlib.util
from pathlib import Path

import pytest

from locum.llm.choose import choose_backend
from locum.llm.scripted import Scripted
from locum.settings import Settings, SettingsError


def test_where_nothing_is_named_the_scripted_model_answers(tmp_path: Path) -> None:
    assert isinstance(choose_backend(Settings(data=tmp_path)), Scripted)


@pytest.mark.parametrize("model", ["auto", "embedded"])
def test_weights_that_are_named_must_be_there(tmp_path: Path, model: str) -> None:
    settings = Settings(data=tmp_path, model=model, model_path=tmp_path / "typo.gguf")
    with pytest.raises(SettingsError, match=r"'model_path' names '.*typo\.gguf', which"):
        choose_backend(settings)


def test_weights_that_nothing_can_run_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "own.gguf"
    weights.touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"locum\[embedded\]"):
        choose_backend(Settings(data=tmp_path, model_path=weights))
