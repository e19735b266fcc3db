"""Chunks are slices within the limit; nothing but white space is lost."""

from itertools import pairwise
from typing import SupportsIndex

import pytest
import quicktok
from hypothesis import given
from hypothesis import strategies as st

from locum import limits
from locum.tools.file_search.chunks import Chunk, chunk, windows

_CL100K = quicktok.get_encoding("cl100k_base")
_FAMILY = "👨‍👩‍👧‍👦"
_PROSE = "The quick brown fox jumps over the lazy dog. It was not amused.\n\n" * 400

# fmt: off
_PIECES = [
    "\n\n", "\n", "\r\n", ". ", "。", " ", "你好世界", _FAMILY, "🇨🇭🇳🇴", "e\u0301", "한글", "naïve",
    "a" * 90, "<|endoftext|>", "    " * 30, "x = {'y': [1, 2, 3]}\n",
]
# fmt: on
_texts = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(_PIECES),
    ),
    max_size=120,
).map("".join)


def _chunks(text: str, max_tokens: int = 800, overlap: int = 400) -> list[Chunk]:
    return list(
        chunk(
            text,
            max_tokens=max_tokens,
            overlap=overlap,
            encode=_CL100K.encode_ordinary,
            token_bytes=_CL100K.decode_single_token_bytes,
        )
    )


@given(_texts, st.integers(20, 120), st.floats(0, 0.5))
def test_chunks_are_slices_within_the_limit_that_cover_the_text(
    text: str, max_tokens: int, share: float
) -> None:
    found = _chunks(text, max_tokens, int(max_tokens * share))

    covered: set[int] = set()
    for one in found:
        assert one.text == text[one.start : one.end] != ""
        assert one.tokens == len(_CL100K.encode_ordinary(one.text)) <= max_tokens
        covered.update(range(one.start, one.end))
    assert all(text[at].isspace() for at in set(range(len(text))) - covered)
    for earlier, later in pairwise(found):
        assert earlier.start < later.start
        assert earlier.end < later.end


def test_a_chunk_ends_with_more_than_white_space_behind_the_last() -> None:
    found = _chunks("𐀀𐀀0:0:\U0001b14e0000000000\rØເ\u200dເ", 20, 10)
    assert all(earlier.end < later.end for earlier, later in pairwise(found))


@given(_texts, st.integers(20, 120))
def test_neighbours_repeat_no_more_than_the_overlap(text: str, max_tokens: int) -> None:
    overlap = max_tokens // 2
    found = _chunks(text, max_tokens, overlap)
    for earlier, later in pairwise(found):
        repeated = text[later.start : earlier.end]
        # The same letters cut out alone may be one token more at each end.
        assert len(_CL100K.encode_ordinary(repeated)) <= overlap + 8


@given(_texts, st.integers(20, 120), st.integers(10, 60))
def test_every_chunk_has_a_window_and_every_window_a_chunk(
    text: str, max_tokens: int, window_tokens: int
) -> None:
    found = _chunks(text, max_tokens, max_tokens // 2)
    embedded = windows(
        text,
        found,
        max_tokens=window_tokens,
        encode=_CL100K.encode_ordinary,
        token_bytes=_CL100K.decode_single_token_bytes,
    )

    assert {place for one in embedded for place in one.chunks} == set(range(len(found)))
    assert all(len(_CL100K.encode_ordinary(one.text)) <= window_tokens for one in embedded)


def test_windows_embed_nothing_twice_where_chunks_overlap() -> None:
    found = _chunks(_PROSE)
    embedded = windows(
        _PROSE,
        found,
        max_tokens=192,
        encode=_CL100K.encode_ordinary,
        token_bytes=_CL100K.decode_single_token_bytes,
    )

    assert sum(len(one.text) for one in embedded) <= len(_PROSE)
    assert sum(len(one.text) for one in found) > 1.8 * len(_PROSE)


def test_a_short_text_is_one_chunk_of_its_bytes_and_1024_more() -> None:
    (one,) = _chunks("This is a short text.")
    assert (one.start, one.end, one.usage_bytes) == (0, 21, 1045)


def test_bytes_are_counted_as_utf_8() -> None:
    (one,) = _chunks("你好")
    assert one.usage_bytes == 6 + 1024


def test_prose_is_cut_between_paragraphs() -> None:
    found = _chunks(_PROSE, 100, 50)
    assert all(one.text.startswith("The quick") for one in found)
    assert all(one.text.endswith("not amused.") for one in found)


def test_a_sentence_is_not_cut_when_its_end_is_near() -> None:
    found = _chunks("One sentence follows another here. " * 100, 50, 0)
    assert all(one.text.endswith(".") for one in found)


def test_letters_of_several_code_points_stay_whole() -> None:
    found = _chunks(_FAMILY * 60 + "🇨🇭" * 60, 41, 0)
    for one in found:
        assert one.text.replace(_FAMILY, "").replace("🇨🇭", "") == ""


def test_a_letter_longer_than_a_chunk_is_cut_after_all() -> None:
    heap = "e" + "\u0301" * 300
    found = _chunks(heap, 20, 0)
    assert "".join(one.text for one in found) == heap


def test_text_of_white_space_has_no_chunks() -> None:
    assert _chunks(" \n\t" * 5000) == []


def test_what_looks_like_a_special_token_is_text() -> None:
    assert [one.text for one in _chunks("a <|endoftext|> b")] == ["a <|endoftext|> b"]


def test_a_word_without_end_is_cut_within_the_limit() -> None:
    found = _chunks("x" * 100_000, 100, 50)
    assert all(one.tokens <= 100 for one in found)
    assert found[-1].end == 100_000


@pytest.mark.parametrize("text", [_PROSE, "\U00012000" * 7_000, ("\U00012000" * 7 + " ") * 1_000])
def test_as_many_tokens_as_a_file_may_hold_fit_in_the_smallest_chunks(text: str) -> None:
    found = _chunks(text, limits.CHUNK_TOKENS_MIN, limits.CHUNK_TOKENS_MIN // 2)
    tokens = len(_CL100K.encode_ordinary(text))
    assert len(found) / tokens * 5_000_000 < limits.FILE_PASSAGES


def test_many_flags_are_not_counted_again_one_by_one() -> None:
    """Reaches inside: how often letters are looked at shows nowhere else but on a clock."""

    class Text(str):
        __slots__ = ()
        looks = 0

        def __getitem__(self, place: SupportsIndex | slice) -> str:
            Text.looks += 1
            return str.__getitem__(self, place)

        def rstrip(self, chars: str | None = None) -> str:
            return Text(super().rstrip(chars))

    flags = Text("🇨🇭" * 500)
    assert all(len(one.text) % 2 == 0 for one in _chunks(flags, max_tokens=4_000, overlap=0))
    assert Text.looks < 10 * len(flags)
