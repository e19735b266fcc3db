"""PDF, page by page, by PDFium. Pictures of text are not read."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import pypdfium2
from pypdfium2 import raw

from locum.tools.file_search.reading import Limits, Unreadable

# PDFium marks a word broken at the end of a line with a non-character.
_BROKEN_WORD = re.compile("(?:\ufffe|\u0002)\r?\n?")
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
        words = page.get_textpage()
        text = str(words.get_text_bounded(errors="replace"))
        words.close()
        page.close()
    except pypdfium2.PdfiumError:
        # One broken page in a good document is an empty page, as every viewer shows it.
        return ""
    return _BROKEN_WORD.sub("", text)
