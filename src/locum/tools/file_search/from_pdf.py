"""PDF, page by page, by PDFium. Pictures of text are not read."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from ctypes import c_double
from itertools import islice
from typing import BinaryIO

import pypdfium2
from pypdfium2 import raw

from locum.tools.file_search.from_pdf_spans import has_spans, joined
from locum.tools.file_search.from_pdf_turned import set_upright
from locum.tools.file_search.reading import Limits, Unreadable

# PDFium marks a word broken at the end of a line with a control or a non-character, in place of
# its hyphen and of the end of the line. It does not know U+2010.
_BROKEN_WORD = re.compile("[\ufffe\u0002]\r?\n?|\u2010\r?\n")
# Letters and marks of scripts that run from right to left: no digits, which run the other way.
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\u200c\u200d\ufb1d-\ufdff\ufe70-\ufefc]{2,}"
)
# The accents of fonts that have no accented letters, and what makes one letter of both.
_ACCENTS = {
    "`": "\u0300",
    "\u00b4": "\u0301",
    "\u02c6": "\u0302",
    "\u02dc": "\u0303",
    "\u00af": "\u0304",
    "\u02d8": "\u0306",
    "\u02d9": "\u0307",
    "\u00a8": "\u0308",
    "\u02da": "\u030a",
    "\u02dd": "\u030b",
    "\u02c7": "\u030c",
    "\u00b8": "\u0327",
    "\u02db": "\u0328",
}
_ACCENT = re.compile(f"[{''.join(_ACCENTS)}]")
_DOTLESS = {"ı": "i", "ȷ": "j"}
_FARTHEST_CAPITAL, _MOST_CAPITALS = 80, 8
# PDFium takes a time for them that grows faster than their number.
_MOST_ANNOTATIONS = 10_000
# Letters of a file whose spans are looked at: it takes several times as long as PDFium does.
_MOST_SPANNED = 500_000
_HEAD_BYTES = 1024


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    if b"%PDF-" not in file.read(_HEAD_BYTES):
        raise Unreadable("The file's extension says PDF, but it is not a PDF document.")
    file.seek(0)
    document = _open(file)
    if len(document) > limits.pages:
        raise Unreadable(f"The file has {len(document)} pages; at most {limits.pages} are read.")
    spanned = 0
    for number in range(len(document)):
        text = _page(document, number, mend_spans=spanned < _MOST_SPANNED)
        spanned += len(text) if has_spans(text) else 0
        yield text


def _open(file: BinaryIO) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("The file is encrypted; a password would be needed.") from None
        raise Unreadable("The file could not be parsed as a PDF document.") from None


def _page(document: pypdfium2.PdfDocument, number: int, *, mend_spans: bool) -> str:
    try:
        page = document[number]
        if _has_annotations(page):
            # What lies upon a page is no text of it until it is made a part of it.
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = document[number]
        words = page.get_textpage()
        if set_upright(page, words):
            words.close()
            page.close()
            page = document[number]
            words = page.get_textpage()
        text = str(words.get_text_bounded(errors="replace"))
        if mend_spans and has_spans(text):
            text = joined(page, words, text, _places(words, text))
        text = _mended(words, text)
        words.close()
        page.close()
    except pypdfium2.PdfiumError:
        # One broken page in a good document is an empty page, as every viewer shows it.
        return ""
    return _BROKEN_WORD.sub(_whole_word, text)


def _has_annotations(page: pypdfium2.PdfPage) -> bool:
    """Fields of forms, words of readers, stamps; links are many, and have no words of their own."""
    count = raw.FPDFPage_GetAnnotCount(page)
    if count > _MOST_ANNOTATIONS:
        return False
    for index in range(count):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind != raw.FPDF_ANNOT_LINK:
            return True
    return False


def _whole_word(broken: re.Match[str]) -> str:
    before = broken.string[max(0, broken.start() - 1) : broken.start()]
    after = broken.string[broken.end() : broken.end() + 1]
    # No word is broken before a digit, nor before a capital behind a small letter.
    return "-" if after.isdigit() or (after.isupper() and before.islower()) else ""


def _mended(words: pypdfium2.PdfTextPage, text: str) -> str:
    """The text of a page with what only the places of its letters can tell."""
    turned, accented = _RIGHT_TO_LEFT.search(text), _ACCENT.search(text)
    if not turned and not accented:
        return text
    places = _places(words, text)
    if turned:
        text = _RIGHT_TO_LEFT.sub(lambda run: _in_reading_order(words, run, places), text)
    return _with_accents(words, text, places) if accented else text


def _places(words: pypdfium2.PdfTextPage, text: str) -> Sequence[int]:
    """Which of PDFium's characters each letter of the text is."""
    count = words.count_chars()
    if len(text) == count:
        return range(count)
    # Characters without a meaning and those beyond the edge of the page are left out of the text,
    # and the ends of lines may be new.
    places, at = [], 0
    for letter in text:
        if letter > "\uffff":
            at += 1
        elif letter not in "\r\n":
            while at < count and raw.FPDFText_GetUnicode(words, at) != ord(letter):
                at += 1
        places.append(at)
        at += letter not in "\r\n"
    return places


def _in_reading_order(
    words: pypdfium2.PdfTextPage, run: re.Match[str], places: Sequence[int]
) -> str:
    """Letters from right to left; PDFium turns those round which are spelled out one by one."""
    letters = run.group()
    (first_x, first_y), (last_x, last_y) = (
        _origin(words, places[index]) for index in (run.start(), run.end() - 1)
    )
    return letters[::-1] if abs(first_y - last_y) < 1 and first_x < last_x else letters


def _with_accents(words: pypdfium2.PdfTextPage, text: str, places: Sequence[int]) -> str:
    """The text with every accent that is drawn over or under a letter made one with it."""
    letters = [*text, ""]
    for found in _ACCENT.finditer(text):
        at, mark = found.start(), _ACCENTS[found.group()]
        left, right, _, _ = _box(words, places[at])
        middle, line = (left + right) / 2, _origin(words, places[at])[1]
        for base in _bases(text, at):
            letter = _DOTLESS.get(letters[base], letters[base])
            whole = unicodedata.normalize("NFC", letter + mark)
            if letter and len(whole) == 1 and _stands_at(words, places[base], middle, line):
                letters[base], letters[at] = whole, ""
                if base < at - 1:
                    letters[at - 1] = ""
                break
    return "".join(letters)


def _bases(text: str, at: int) -> Iterator[int]:
    """Where the letter of an accent may be."""
    yield from (at + 1, at - 1)
    if text[at - 1 : at] == " " and not text[at + 1 : at + 2].strip():
        # Accents of capitals stand higher, and PDFium puts them behind a word or more.
        before = range(at - 2, max(-1, at - _FARTHEST_CAPITAL), -1)
        yield from islice((index for index in before if text[index].isupper()), _MOST_CAPITALS)


def _stands_at(words: pypdfium2.PdfTextPage, place: int, middle: float, line: float) -> bool:
    """Whether a letter is right under or over what has its middle there, and of the same line."""
    left, right, bottom, top = _box(words, place)
    # A raised accent is less than half a letter higher.
    return left < middle < right and abs(_origin(words, place)[1] - line) < (top - bottom) / 2


def _origin(words: pypdfium2.PdfTextPage, place: int) -> tuple[float, float]:
    x, y = c_double(), c_double()
    raw.FPDFText_GetCharOrigin(words, place, x, y)
    return x.value, y.value


def _box(words: pypdfium2.PdfTextPage, place: int) -> tuple[float, float, float, float]:
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    raw.FPDFText_GetCharBox(words, place, left, right, bottom, top)
    return left.value, right.value, bottom.value, top.value
