"""Markers come whole out of any stream, with offsets in code points."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.tools.file_search.citations import Marker, MarkerStream, as_tool_output, marker
from locum.tools.file_search.search import Found

_GOOD = "【4:0†favorite_foods.txt】"
_pieces = st.sampled_from(
    [
        _GOOD,
        "【12:3†你好.pdf】",
        "【4:0†",
        "【",
        "】",
        "†",
        "【4",
        "【4:x†a】",
        "【:†】",
        "👩‍🚀",
        "你好",
        "a b",
        "\n",
        "4:0",
    ]
)
_answers = st.lists(st.one_of(_pieces, st.text(max_size=5)), max_size=20).map("".join)


def _stream(pieces: list[str]) -> list[str | Marker]:
    stream = MarkerStream()
    out = [one for piece in pieces for one in stream.feed(piece)]
    return [*out, *stream.finish()]


def _text(out: list[str | Marker]) -> str:
    return "".join(one if isinstance(one, str) else one.text for one in out)


def _markers(out: list[str | Marker]) -> list[Marker]:
    return [one for one in out if isinstance(one, Marker)]


@given(_answers, st.lists(st.integers(0, 80)))
def test_however_an_answer_is_cut_its_text_and_markers_are_the_same(
    answer: str, cuts: list[int]
) -> None:
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[start:end] for start, end in pairwise(places)]

    whole, cut, letters = _stream([answer]), _stream(pieces), _stream(list(answer))

    assert _text(whole) == _text(cut) == _text(letters) == answer
    assert _markers(whole) == _markers(cut) == _markers(letters)
    for one in _markers(whole):
        assert answer[one.start : one.end] == one.text


def test_offsets_count_code_points_not_bytes_nor_utf_16() -> None:
    answer = f"👩‍🚀 你好 {_GOOD} and {_GOOD}."
    first, second = _markers(_stream(list(answer)))
    assert (first.start, first.end) == (7, 7 + len(_GOOD))
    assert second.start == answer.rindex("【")
    assert (first.search, first.result) == (4, 0)


def test_text_before_a_bracket_is_not_held_back() -> None:
    stream = MarkerStream()
    assert list(stream.feed("Hello 【4:")) == ["Hello "]
    assert list(stream.feed("0†a.txt】 x")) == [Marker("【4:0†a.txt】", 6, 4, 0), " x"]


@pytest.mark.parametrize(
    "text", ["【not a marker", "【4:0†" + "x" * 400, "【4:0†a\n", "【【", "【1234567"]
)
def test_what_cannot_become_a_marker_is_let_go_at_once(text: str) -> None:
    stream = MarkerStream()
    released = _text(list(stream.feed(text)))
    assert len(text) - len(released) <= 1


def test_a_marker_the_answer_never_closes_is_text() -> None:
    assert _text(_stream(["see 【4:0†a"])) == "see 【4:0†a"
    assert _markers(_stream(["see 【4:0†a"])) == []


def test_names_cannot_break_a_marker() -> None:
    stream = MarkerStream()
    written = marker(1, 2, "a】b\n【c" + "d" * 500)
    (found,) = stream.feed(written)
    assert isinstance(found, Marker)
    assert (found.search, found.result, found.text) == (1, 2, written)


def test_the_model_is_given_each_passage_after_its_marker() -> None:
    output = as_tool_output(
        [_found("a.txt", "Alpha"), _found("b.txt", "【4:0†a.txt】 Beta")], search=4
    )
    assert "【4:0†a.txt】\nAlpha\n\n【4:1†b.txt】\n[4:0†a.txt] Beta" in output
    assert "exactly as it stands" in output


def test_the_model_is_told_when_nothing_was_found() -> None:
    assert "found nothing" in as_tool_output([], search=0)


def _found(filename: str, text: str) -> Found:
    return Found(
        passage_id=1,
        store_id="vs_1",
        file_id="file-1",
        filename=filename,
        attributes={},
        text=text,
        score=0.5,
    )
