"""PDF, page by page, by PDFium. Pictures of text are not read."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2
from pypdfium2 import raw

from locum.tools.file_search.reading import Limits, Unreadable

# PDFium marks a word broken at the end of a line with a non-character.
_BROKEN_WORD = re.compile("(?:\ufffe|\u0002)\r?\n?")
# PDFium takes a time for them that grows faster than their number.
_MOST_ANNOTATIONS = 10_000
_HEAD_BYTES = 1024


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    if b"%PDF-" not in file.read(_HEAD_BYTES):
        raise Unreadable("The file's extension says PDF, but it is not a PDF document.")
    file.seek(0)
    document = _open(file)
    if len(document) > limits.pages:
        raise Unreadable(f"The file has {len(document)} pages; at most {limits.pages} are read.")
    for number in range(len(document)):
        yield _page(document, number)


def _open(file: BinaryIO) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("The file is encrypted; a password would be needed.") from None
        raise Unreadable("The file could not be parsed as a PDF document.") from None


def _page(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number]
        if _has_annotations(page):
            # What lies upon a page is no text of it until it is made a part of it.
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = document[number]
        words = page.get_textpage()
        text = str(words.get_text_bounded(errors="replace"))
        words.close()
        page.close()
    except pypdfium2.PdfiumError:
        # One broken page in a good document is an empty page, as every viewer shows it.
        return ""
    return _BROKEN_WORD.sub("", text)


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
