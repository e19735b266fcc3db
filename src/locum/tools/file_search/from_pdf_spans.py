"""Words of scripts that join letters and signs, in PDFs of Chromium and LibreOffice.

They draw such letters with several glyphs, in a span that says what all of them mean. PDFium
takes the first glyph for all of the span: it finds a gap behind it, and may say the span again.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from ctypes import addressof, c_float
from functools import cache
from itertools import islice
from typing import Any

import pypdfium2
from pypdfium2 import raw

# From Devanagari to Sinhala, then from Thai to Burmese, and Khmer.
_SCRIPTS = "\u0900-\u109f\u1780-\u17ff"
_LETTER = re.compile(f"[{_SCRIPTS}]")
# Scripts whose signs reach over or under the letters beside them, from Thai on.
_LAYERED = re.compile("[\u0e00-\u109f\u1780-\u17ff]")
_GAP = re.compile(f"(?<=[{_SCRIPTS}]) (?=[{_SCRIPTS}])")
# Of the height of what is drawn: what a space is wider than.
_SPACE = 0.2
# Every one is held as an object of Python.
_MOST_DRAWN = 100_000


def has_spans(text: str) -> bool:
    return _LETTER.search(text) is not None


def joined(
    page: pypdfium2.PdfPage, words: pypdfium2.PdfTextPage, text: str, places: Sequence[int]
) -> str:
    """The text with each span said once, and no gap in a word; `places` are PDFium's letters."""
    drawn = _Drawn(page, words)
    letters = [*text]
    said: dict[int, int] = {}
    for found in _LAYERED.finditer(text):
        number = drawn.number(places[found.start()])
        span = drawn.span(number)
        if span and said.setdefault(span, number) != number:
            letters[found.start()] = ""
    for gap in _GAP.finditer(text):
        at = gap.start()
        if drawn.is_torn(*places[at - 1 : at + 2]):
            letters[at] = ""
    return "".join(letters)


class _Drawn:
    """What a page draws, numbered in this order."""

    def __init__(self, page: pypdfium2.PdfPage, words: pypdfium2.PdfTextPage) -> None:
        self._words = words
        self._drawn = list(islice(_objects(page), _MOST_DRAWN))
        self._numbers = {addressof(one.contents): at for at, one in enumerate(self._drawn)}
        self._edges = [c_float() for _ in range(4)]
        self._wholes: dict[int, tuple[int, int]] = {}
        self.span = cache(self._span)
        self.box = cache(self._box)

    def number(self, place: int) -> int:
        """What draws a letter; -1 for a letter that PDFium puts in."""
        one = raw.FPDFText_GetTextObject(self._words, place)
        return self._numbers.get(addressof(one.contents), -1) if one else -1

    def is_torn(self, before: int, gap: int, after: int) -> bool:
        """Whether two letters are drawn one close behind the other, and no gap between them."""
        first, last = self._whole(self.number(before))
        following, end = self._whole(self.number(after))
        if first < 0 or following != last + 1 or first <= self.number(gap) <= end:
            return False
        if not self.span(first) and not self.span(following):
            return False
        _, bottom, right, top = self.box(first, last)
        left, other_bottom, _, other_top = self.box(last + 1, end)
        height = max(top - bottom, other_top - other_bottom)
        in_line = bottom < other_top and other_bottom < top
        return in_line and left - right < height * _SPACE

    def _span(self, number: int) -> int:
        """What tells the span from all others; 0 where there is none."""
        if not 0 <= number < len(self._drawn):
            return 0
        one = self._drawn[number]
        marks = raw.FPDFPageObj_CountMarks(one)
        mark = raw.FPDFPageObj_GetMark(one, marks - 1) if marks > 0 else None
        if not mark:
            return 0
        kind = raw.FPDFPageObjMark_GetParamValueType(mark, b"ActualText")
        return addressof(mark.contents) if kind == raw.FPDF_OBJECT_STRING else 0

    def _whole(self, number: int) -> tuple[int, int]:
        """The first and the last that is drawn in the span of one."""
        span = self.span(number)
        if not span:
            return number, number
        if span not in self._wholes:
            first = last = number
            while self.span(first - 1) == span:
                first -= 1
            while self.span(last + 1) == span:
                last += 1
            self._wholes[span] = first, last
        return self._wholes[span]

    def _box(self, first: int, last: int) -> tuple[float, float, float, float]:
        lefts, bottoms, rights, tops = zip(*map(self._bounds, range(first, last + 1)), strict=True)
        return min(lefts), min(bottoms), max(rights), max(tops)

    def _bounds(self, number: int) -> tuple[float, float, float, float]:
        left, bottom, right, top = self._edges
        raw.FPDFPageObj_GetBounds(self._drawn[number], left, bottom, right, top)
        return left.value, bottom.value, right.value, top.value


def _objects(page: pypdfium2.PdfPage) -> Iterator[Any]:
    """What a page draws, and what is drawn by the parts that it is composed of."""
    waiting = [_parts(page, raw.FPDFPage_CountObjects(page), raw.FPDFPage_GetObject)]
    while waiting:
        one = next(waiting[-1], None)
        if one is None:
            waiting.pop()
        elif raw.FPDFPageObj_GetType(one) == raw.FPDF_PAGEOBJ_FORM:
            waiting.append(
                _parts(one, raw.FPDFFormObj_CountObjects(one), raw.FPDFFormObj_GetObject)
            )
        else:
            yield one


def _parts(whole: Any, count: int, get: Callable[[Any, int], Any]) -> Iterator[Any]:
    return (get(whole, number) for number in range(count))
