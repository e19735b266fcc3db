"""One string of a call's arguments, told as the model writes them."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.tools.arguments import StringArgument

# Deeper than any version of Python goes.
DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"


def told(pieces: list[str]) -> str:
    argument = StringArgument("code")
    shown = "".join(argument.write(piece) for piece in pieces)
    return shown + argument.rest()


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=10),
)
def test_whatever_is_written_is_told_however_it_arrives(
    code: str,
    escaped: bool,
    cuts: list[int],
) -> None:
    written = json.dumps({"code": code}, ensure_ascii=escaped)
    borders = [0, *sorted(min(cut, len(written)) for cut in cuts), len(written)]
    pieces = [written[a:b] for a, b in itertools.pairwise(borders)]
    assert told(pieces) == code


def test_letters_are_told_as_soon_as_they_are_there() -> None:
    argument = StringArgument("code")
    assert argument.write('{"co') == ""
    assert argument.write('de": "print(') == "print("
    assert argument.write("1)\\") == "1)"
    assert argument.write('n"}') == "\n"
    assert argument.rest() == ""


def test_other_arguments_before_it_do_not_disturb() -> None:
    assert told(['{"why": "x", "code": "1+1"}']) == "1+1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{", '"code": "1"}'),
        ('{"code"', ': "1"}'),
        ('{"code" :', '"1"}'),
        ('{"why": "', '", "code": "1"}'),
        ('{"code": "1"', "}"),
    ],
)
def test_however_long_the_string_is_waited_for_nothing_is_read_twice(
    before: str, after: str
) -> None:
    """Were all of it searched with every piece, this would take minutes."""
    assert told([before, *[" " * 4_000] * 4_000, after]) == "1"


def test_a_name_that_ends_where_another_begins_is_found() -> None:
    assert told(['{"code"', 'code": "1"}']) == "1"
    assert told(['{"code" ', 'code": "1"}']) == '{"code" code": "1"}'


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("print(1)", "print(1)"),
        ('{"code": "print(1', "print(1"),
        ('"print(1)"', "print(1)"),
        ('{"code": 5}', "5"),
        ("{}", ""),
        ("", ""),
        ('{"code": "\\ud83d\\u00e9"}', "\ufffd\u00e9"),
        (DEEP, DEEP),
        ('{"code": "1+1", "b": ' + DEEP + "}", "1+1"),
    ],
)
def test_what_is_not_quite_json_is_made_the_best_of(written: str, code: str) -> None:
    assert told([written]) == code
