"""Text becomes chunks, counted in real tokens, and windows, which are what is embedded.

A chunk is an exact slice of its text. It ends at a paragraph, a line, a sentence or a word where
one lies near enough to the limit, and never inside what a reader takes for one letter.
"""

import codecs
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

# The tokens of a text, as plain text, and the bytes of one token.
Encode = Callable[[str], Sequence[int]]
TokenBytes = Callable[[int], bytes]

# What one chunk costs beside its text, as the original counts it.
_CHUNK_BYTES = 1024
# A better border may cost this part of a chunk, or of an overlap.
_GIVE = 4
_SENTENCE_ENDS = frozenset(".!?…:;")
_WIDE_SENTENCE_ENDS = frozenset("。！？；")
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_FLAG_LETTERS = "".join(map(chr, _FLAGS))
_HANGUL_VOWELS_AND_ENDS = range(0x1160, 0x1200)


class Chunk(Struct, frozen=True):
    """A slice of a file's text. Offsets are in code points."""

    start: int
    end: int
    text: str
    tokens: int

    @property
    def usage_bytes(self) -> int:
        return len(self.text.encode()) + _CHUNK_BYTES


class Window(Struct, frozen=True):
    """What is embedded as one vector, and the chunks it speaks for, by their places in the list."""

    text: str
    chunks: tuple[int, ...]


def chunk(
    text: str,
    *,
    max_tokens: int = 800,
    overlap: int = 400,
    encode: Encode,
    token_bytes: TokenBytes,
) -> Iterator[Chunk]:
    """Cut `text` into chunks of at most `max_tokens`, each repeating at most `overlap` of the last.

    White space around a chunk belongs to none.
    """
    assert 0 <= overlap <= max_tokens // 2
    text = text.rstrip()
    start = _skip_space(text, 0)
    done = start
    while start < len(text):
        borders = _borders(text, start, max_tokens, encode, token_bytes)
        end = _end(text, borders)
        while (tokens := len(encode(text[start : end.at].rstrip()))) > max_tokens:
            # The end of a slice may be cut into more tokens than the same letters had inside.
            borders = [border for border in borders if border.at < end.at]
            end = _end(text, borders)
        words = text[start : end.at].rstrip()
        reached = start + len(words)
        if reached <= done and start < done:
            # What may be repeated leaves no room for anything new: repeat nothing.
            start = _skip_space(text, done)
            continue
        yield Chunk(start, reached, words, tokens)
        done = reached
        if done == len(text):
            return
        start = _skip_space(text, _next_start(text, borders, end, overlap))


def windows(
    text: str,
    chunks: Sequence[Chunk],
    *,
    max_tokens: int,
    encode: Encode,
    token_bytes: TokenBytes,
) -> list[Window]:
    """Cover `text` once, for a model that reads less than a chunk at a time.

    Chunks overlap and windows do not, so that nothing is embedded twice: a window speaks for
    every chunk that holds at least half of it, and each chunk has one.
    """
    pieces = list(
        chunk(text, max_tokens=max_tokens, overlap=0, encode=encode, token_bytes=token_bytes)
    )
    speaks_for: list[list[int]] = [[] for _ in pieces]
    first = 0
    for place, whole in enumerate(chunks):
        while pieces[first].end <= whole.start:
            first += 1
        shared: list[tuple[int, int]] = []
        for number in range(first, len(pieces)):
            piece = pieces[number]
            if piece.start >= whole.end:
                break
            common = min(piece.end, whole.end) - max(piece.start, whole.start)
            shared.append((common, number))
            if common * 2 >= piece.end - piece.start:
                speaks_for[number].append(place)
        if not any(place in speaks_for[number] for _, number in shared):
            speaks_for[max(shared)[1]].append(place)
    found = zip(pieces, speaks_for, strict=True)
    return [Window(piece.text, tuple(places)) for piece, places in found if places]


class _Border(NamedTuple):
    """A place between two letters where a token ends, and how many tokens lie before it."""

    at: int
    tokens: int


def _borders(
    text: str, start: int, max_tokens: int, encode: Encode, token_bytes: TokenBytes
) -> list[_Border]:
    reach = max_tokens * 8
    while True:
        tokens = encode(text[start : start + reach])
        if len(tokens) > max_tokens or start + reach >= len(text):
            break
        reach *= 4
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = start
    borders: list[_Border] = []
    inside: list[_Border] = []
    for count, token in enumerate(tokens[:max_tokens], start=1):
        at += len(decoder.decode(token_bytes(token)))
        if not decoder.getstate()[0]:
            (inside if _cuts_a_letter(text, start, at) else borders).append(_Border(at, count))
    # One letter may be longer than a chunk: an emoji family, or a heap of accents.
    found = borders or inside
    assert found, "a code point is longer than a chunk"
    return found


def _end(text: str, borders: Sequence[_Border]) -> _Border:
    last = borders[-1]
    if last.at == len(text):
        return last
    near = (border for border in borders if border.tokens * _GIVE >= last.tokens * (_GIVE - 1))
    return max(near, key=lambda border: (_worth(text, border.at), border.at))


def _next_start(text: str, borders: Sequence[_Border], end: _Border, overlap: int) -> int:
    """Choose among the first borders of what may be repeated."""
    first = end.tokens - overlap
    near = [b for b in borders if first <= b.tokens <= first + overlap // _GIVE and b.at < end.at]
    if not near or overlap == 0:
        return end.at
    return max(near, key=lambda border: (_worth(text, border.at), -border.at)).at


def _worth(text: str, at: int) -> int:
    """How good a place this is to stop reading, and to begin."""
    before = text[max(0, at - 2) : at]
    if before == "\n\n":
        return 4
    if before.endswith("\n"):
        return 3
    last, following = before[-1:], text[at : at + 1]
    if last in _WIDE_SENTENCE_ENDS or (last in _SENTENCE_ENDS and following.isspace()):
        return 2
    return 1 if last.isspace() or following.isspace() else 0


def _cuts_a_letter(text: str, start: int, at: int) -> bool:
    """Whether a reader would see the two sides of `at` as one letter."""
    if not start < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _ZERO_WIDTH_JOINER in {before, after}:
        return True
    if after < "\u0300":
        return before == "\r" and after == "\n"
    if ord(after) in _FLAGS:
        return _flags_before(text, start, at) % 2 == 1
    return (
        unicodedata.category(after) in {"Mn", "Mc", "Me"}
        or ord(after) in _SKIN_TONES
        or ord(after) in _HANGUL_VOWELS_AND_ENDS
    )


def _flags_before(text: str, start: int, at: int) -> int:
    before = text[start:at]
    return len(before) - len(before.rstrip(_FLAG_LETTERS))


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
