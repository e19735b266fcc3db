"""DOCX and PPTX: paragraphs out of the XML, in the order they are read."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from locum.tools.file_search.archive import Archive
from locum.tools.file_search.reading import Limits, Unreadable, tidy, too_much_text

_DOCUMENT_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml")


def read_docx(file: BinaryIO, limits: Limits) -> Iterator[str]:
    archive = Archive(file, limits)
    if _DOCUMENT_PARTS[0] not in archive.names:
        raise Unreadable("The file could not be parsed: it holds no Word document.")
    for part in _DOCUMENT_PARTS:
        if part in archive.names:
            yield _text(archive, part, limits)


def read_pptx(file: BinaryIO, limits: Limits) -> Iterator[str]:
    """Yield each slide with its notes, as one page."""
    archive = Archive(file, limits)
    slides = sorted(int(m.group(1)) for m in map(_SLIDE.fullmatch, archive.names) if m)
    if not slides:
        raise Unreadable("The file could not be parsed: it holds no slides.")
    for number in slides:
        pages = [f"ppt/slides/slide{number}.xml", f"ppt/notesSlides/notesSlide{number}.xml"]
        yield "\n\n".join(_text(archive, page, limits) for page in pages if page in archive.names)


def _text(archive: Archive, part: str, limits: Limits) -> str:
    paragraphs = _Paragraphs(limits)
    archive.parse(part, start=paragraphs.start, end=paragraphs.end, words=paragraphs.words)
    return tidy("".join(paragraphs.pieces))


class _Paragraphs:
    """Gathers runs of text. Word and PowerPoint share names: `t` text, `p` paragraph, `tc` cell."""

    _BREAKS: Mapping[str, str] = {"br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-"}
    _ENDS: Mapping[str, str] = {"p": "\n", "tr": "\n", "tbl": "\n", "sp": "\n"}

    def __init__(self, limits: Limits) -> None:
        self.pieces: list[str] = []
        self._limits = limits
        self._chars = 0
        self._in_text = False
        # Word writes a drawing twice, the second time for old readers.
        self._fallbacks = 0
        self._in_cells = 0

    def start(self, name: str, _: Mapping[str, str]) -> None:
        if name == "Fallback":
            self._fallbacks += 1
        elif name == "tc":
            self._in_cells += 1
        elif name == "t":
            self._in_text = not self._fallbacks
        elif name in self._BREAKS and not self._fallbacks:
            self.pieces.append(self._BREAKS[name])

    def end(self, name: str) -> None:
        if name == "Fallback":
            self._fallbacks -= 1
        elif name == "t":
            self._in_text = False
        elif name == "tc":
            self._in_cells -= 1
            self.pieces.append("\t")
        elif name == "p" and self._in_cells:
            self.pieces.append(" ")
        elif name in self._ENDS and not self._fallbacks:
            self.pieces.append(self._ENDS[name])

    def words(self, text: str) -> None:
        if not self._in_text:
            return
        self._chars += len(text)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        self.pieces.append(text)
