"""Pages of a PDF whose lines run up, down or upside down, set upright.

Scanners and LaTeX lay a wide page on its side and have it turned when it is shown. PDFium reads
such lines without the gaps between them, or the last one first.
"""

import math
from collections import Counter
from ctypes import byref

import pypdfium2
from pypdfium2 import raw

# Letters of a page that are asked how they stand.
_ASKED = 64
# Of a quarter turn; scans are a little askew.
_ASKEW = 0.1


def set_upright(page: pypdfium2.PdfPage, words: pypdfium2.PdfTextPage) -> bool:
    """Whether the page was turned: it has to be opened anew."""
    quarters = _quarters(words)
    if quarters == 0 and page.get_rotation() == 0:
        return False
    page.set_rotation(0)
    left, bottom, right, top = page.get_bbox()
    width, height = right - left, top - bottom
    turn = (
        (1, 0, 0, 1, -left, -bottom),
        (0, 1, -1, 0, top, -left),
        (-1, 0, 0, -1, right, top),
        (0, -1, 1, 0, -bottom, right),
    )[quarters]
    raw.FPDFPage_TransFormWithClip(page, byref(raw.FS_MATRIX(*turn)), None)
    size = (height, width) if quarters % 2 else (width, height)
    page.set_mediabox(0, 0, *size)
    page.set_cropbox(0, 0, *size)
    return True


def _quarters(words: pypdfium2.PdfTextPage) -> int:
    """By how many quarters, clockwise, most letters are turned from upright."""
    count = words.count_chars()
    turned: Counter[int | None] = Counter()
    for place in range(0, count, count // _ASKED + 1):
        # Gaps that PDFium puts in have no place of their own.
        if raw.FPDFText_IsGenerated(words, place) == 0:
            turns = raw.FPDFText_GetCharAngle(words, place) / (math.pi / 2)
            turned[round(turns) % 4 if abs(turns - round(turns)) < _ASKEW else None] += 1
    most = max(turned, key=turned.__getitem__, default=0)
    return most if most and turned[most] * 2 > turned.total() else 0
