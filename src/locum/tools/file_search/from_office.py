"""DOCX and PPTX: paragraphs out of the XML, in the order they are read."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from locum.tools.file_search.archive import Archive, nothing
from locum.tools.file_search.from_office_numbers import Numbers
from locum.tools.file_search.reading import Limits, Unreadable, tidy, too_much_text

_DOCUMENT = "word/document.xml"
# What stands beside the text, in the order in which it is told after it.
_BESIDE = re.compile(r"word/(diagrams/data|footnotes|endnotes|comments|header|footer)\d*\.xml")
_DECK = "ppt/presentation.xml"
_SLIDE = re.compile(r"ppt/slides/slide(\d{1,9})\.xml")
_OFF = frozenset(("0", "false", "off"))
# What a slide shows or says beyond itself: diagrams and, last, its notes.
_DIAGRAM = re.compile(r"ppt/diagrams/data\d+\.xml")
_NOTES = re.compile(r"ppt/notesslides/notesslide\d+\.xml")


def read_docx(file: BinaryIO, limits: Limits) -> Iterator[str]:
    """Yield the text, its notes and comments, and what heads and foots of pages say, once each."""
    archive = Archive(file, limits)
    document = archive.main(_DOCUMENT)
    if document not in archive.names:
        raise Unreadable("The file could not be parsed: it holds no Word document.")
    told = set()
    numbers = Numbers(archive)
    for part in [document, *sorted(filter(_BESIDE.fullmatch, archive.names), key=_place)]:
        # What stands beside the text is counted on its own, and seldom is.
        text = _text(archive, part, limits, numbers if part == document else None)
        if text and text not in told:
            told.add(text)
            yield text


def _place(part: str) -> tuple[int, str]:
    kinds = ("data", "footnotes", "endnotes", "comments", "header", "footer")
    name = part.rpartition("/")[2]
    return next(n for n, kind in enumerate(kinds) if name.startswith(kind)), name


def read_pptx(file: BinaryIO, limits: Limits) -> Iterator[str]:
    """Yield each slide with its diagrams and notes, as one page, in the order they are shown."""
    archive = Archive(file, limits)
    slides = _slides(archive)
    if not slides:
        raise Unreadable("The file could not be parsed: it holds no slides.")
    for slide in slides:
        related = archive.related(slide).values()
        pages = [slide, *filter(_DIAGRAM.fullmatch, related), *filter(_NOTES.fullmatch, related)]
        yield "\n\n".join(_text(archive, page, limits) for page in pages if page in archive.names)


def _slides(archive: Archive) -> list[str]:
    """The slides as the deck orders them, and after them any it does not name."""
    found = {m.group(): int(m.group(1)) for m in map(_SLIDE.fullmatch, archive.names) if m}
    shown: list[str] = []
    deck = archive.main(_DECK)
    if deck in archive.names:
        related = archive.related(deck)

        def start(name: str, attributes: Mapping[str, str]) -> None:
            if name == "sldId":
                shown.append(related.get(attributes.get("r:id", ""), ""))

        archive.parse(deck, start=start, end=nothing, words=nothing)
    ordered = [slide for slide in dict.fromkeys(shown) if slide in found]
    return ordered + sorted(set(found) - set(ordered), key=lambda slide: found[slide])


def _text(archive: Archive, part: str, limits: Limits, numbers: Numbers | None = None) -> str:
    paragraphs = _Paragraphs(limits, numbers)
    archive.parse(part, start=paragraphs.start, end=paragraphs.end, words=paragraphs.words)
    return tidy("".join(paragraphs.pieces))


class _Paragraphs:
    """Gathers runs of text. Word and PowerPoint share names: `t` text, `p` paragraph, `tc` cell."""

    # Word writes a drawing twice, the second time for old readers, and what was moved where it
    # was, too. `rt` is how a word is spoken; of `tabs` it is told where they stop.
    _GONE = frozenset(("del", "moveFrom"))
    _LEFT_OUT = _GONE | {"Fallback", "rt", "tabs", "tabLst", "pPrChange"}
    # What tells of the number of a paragraph.
    _NUMBERED = frozenset(("pStyle", "numId", "ilvl"))
    _BREAKS: Mapping[str, str] = {
        "br": "\n",
        "cr": "\n",
        "tab": "\t",
        "ptab": "\t",
        "noBreakHyphen": "-",
        # What a fraction is divided by.
        "den": "/",
    }
    _ENDS: Mapping[str, str] = {"tr": "\n", "tbl": "\n", "sp": "\n"}

    def __init__(self, limits: Limits, numbers: Numbers | None) -> None:
        self.pieces: list[str] = []
        self._limits = limits
        self._numbers = numbers
        # What the last paragraph tells of its number, and whether it is gone.
        self._told: dict[str, str] = {}
        self._chars = 0
        self._in_text = False
        # Whether the run is one that Word does not show.
        self._hidden = False
        self._in_cells = 0
        # How deep we are in what is left out.
        self._left_out = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._left_out or name in self._LEFT_OUT or _numbers_slides(name, attributes):
            self._left_out += 1
            if name in self._GONE:
                self._told[name] = ""
        elif name == "r":
            self._hidden = False
        elif name == "vanish":
            # Of the mark that ends a paragraph, too; its runs begin behind that.
            self._hidden = attributes.get("val") not in _OFF
        elif name == "t":
            self._in_text = not self._hidden
        elif name == "tc":
            self._in_cells += 1
        elif name == "txbxContent":
            # A box stands in the middle of the paragraph that it is anchored to.
            self._end_paragraph()
        elif name in self._BREAKS:
            if not self._hidden:
                self.pieces.append(self._BREAKS[name])
        elif name == "pPr":
            self._told = {}
        elif name in self._NUMBERED:
            self._told[name] = attributes.get("val", "")

    def end(self, name: str) -> None:
        if self._left_out:
            self._left_out -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p":
            self._end_paragraph()
        elif name == "pPr":
            self._number_paragraph()
        elif name == "tc":
            self._in_cells -= 1
            self.pieces.append("\t")
        elif name in self._ENDS:
            self.pieces.append(self._ENDS[name])

    def words(self, text: str) -> None:
        if self._in_text:
            self._add(text)

    def _add(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > self._limits.text_chars:
            raise too_much_text(self._limits)
        self.pieces.append(text)

    def _number_paragraph(self) -> None:
        # What is no longer there is not counted.
        if self._numbers and self._told and self._GONE.isdisjoint(self._told):
            number = self._numbers.before(self._told)
            if number:
                self._add(f"{number} ")

    def _end_paragraph(self) -> None:
        self.pieces.append(" " if self._in_cells else "\n")


def _numbers_slides(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether this is a field that shows a slide's number; some programs leave it unfilled."""
    return name == "fld" and attributes.get("type") == "slidenum"
