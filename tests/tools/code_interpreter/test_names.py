"""Names of files as the session's directory takes them."""

import pytest

from locum.tools.code_interpreter.tool import _safe


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("report.csv", "report.csv"),
        ("a/b\\c.csv", "a_b_c.csv"),
        ("..", "_.."),
        ("報" * 100 + ".csv", "報" * 65 + ".csv"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_name_fits_into_a_directory_and_keeps_its_ending(filename: str, name: str) -> None:
    assert _safe(filename) == name
    assert len(name.encode()) <= 255
