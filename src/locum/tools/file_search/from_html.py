"""HTML: the words a reader would see, block by block."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from selectolax.lexbor import LexborHTMLParser, LexborNode

from locum.tools.file_search import from_text
from locum.tools.file_search.reading import Limits, Unreadable, read_all, tidy

_CHARSET = re.compile(rb"""(?i)<meta[^>]{0,200}charset\s*=\s*["']?([a-zA-Z0-9_.:-]{1,40})""")
_XML = re.compile(rb"""<\?xml[^>]{0,200}\sencoding\s*=\s*["']([a-zA-Z0-9_.:-]{1,40})""")
_HEAD_BYTES = 1 << 14
# fmt: off
_UNSEEN = frozenset({
    "script", "style", "template", "noscript", "head", "iframe", "object", "rp", "rt", "rtc",
    "annotation", "annotation-xml",
})
_UNSEEN_IN_SVG = frozenset({"title", "desc", "metadata", "defs", "symbol"})
# KaTeX sets a formula twice: in MathML, and piece by piece as it is drawn, the denominator first.
_SECOND_COPY = ".katex-mathml + .katex-html"
_PARAGRAPHS = (
    "address", "article", "aside", "blockquote", "body", "caption", "center", "details", "dialog",
    "dir", "div", "dl", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "main", "menu", "nav", "ol", "p",
    "search", "section", "summary", "table", "title", "ul",
)
# `text` is a line of a drawing in SVG.
_LINES = ("li", "tr", "dd", "dt", "option", "optgroup", "text")
# Without the gap a half would be read as twelve: the tokens of MathML stand one by one.
_APART = ("button", "input", "tspan", "mi", "mn", "mo", "ms", "mtext")
# How many newlines part an element from what is around it. All others are inline, as in browsers.
_GAPS = dict.fromkeys(_PARAGRAPHS, 2) | dict.fromkeys(_LINES, 1) | dict.fromkeys(_APART, 0)
_KEPT = frozenset({"pre", "textarea", "listing", "xmp", "plaintext"})
_CELLS = frozenset({"td", "th"})
_LAID_OUT = _CELLS.union(_KEPT, _GAPS, ["br", "svg"])
# Elements without an end tag, or whose end tag is often left out.
_UNCLOSED = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option",
    "optgroup", "colgroup", "body", "html", "head", "rt", "rp",
})
# fmt: on
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,30})")
# A parser of HTML5 takes time in the square of the depth: 0.03 s at this one, an hour at a million.
_DEEPEST = 4000
_SPACE = re.compile(r"[ \t\n\r\f]+")


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    data = read_all(file, limits)
    found = _CHARSET.search(data[:_HEAD_BYTES]) or _XML.match(data)
    text = from_text.decode(data, declared=found.group(1).decode("ascii") if found else None)
    yield visible(text)


def visible(html: str) -> str:
    _refuse_depth(html)
    tree = LexborHTMLParser(html)
    # The innermost first: what is taken out takes along what it holds.
    for node in reversed(tree.css(_SECOND_COPY)):
        node.decompose()
    flow = _Flow()
    if title := tree.css_first("head title"):
        flow.begin("title")
        flow.write(title.text())
        flow.end("title")
    if tree.root:
        _walk(tree.root, flow)
    return tidy("".join(flow.words))


def _walk(root: LexborNode, flow: "_Flow") -> None:
    # A name among the nodes is the end of an element. Calls of calls would not go deep enough.
    todo: list[LexborNode | str] = [root]
    drawings = 0
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            drawings -= node == "svg"
            flow.end(node)
            continue
        if following := node.next:
            todo.append(following)
        tag = node.tag or ""
        if tag == "-text":
            flow.write(node.text_content or "")
        elif tag not in _UNSEEN and not (drawings and tag in _UNSEEN_IN_SVG):
            if tag in _LAID_OUT:
                drawings += tag == "svg"
                flow.begin(tag)
                todo.append(tag)
            if child := node.first_child:
                todo.append(child)


class _Flow:
    """Words as they are laid out. A gap is written before the next words, the widest asked for."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._lines = 0
        self._tabs = 0
        self._space = False
        self._kept = 0
        # Where among the words the last paragraph begins.
        self._paragraph = 0
        # Of each open cell: how many words were before it, and the gap.
        self._cells: list[tuple[int, int, int]] = []

    def begin(self, tag: str) -> None:
        if tag in _GAPS:
            self._gap(_GAPS[tag])
        elif tag in _CELLS:
            self._cells.append((len(self.words), self._lines, self._tabs))
        elif tag == "br":
            self._break()
        elif tag in _KEPT:
            self._part(2)
            self._kept += 1

    def end(self, tag: str) -> None:
        if tag in _GAPS:
            self._gap(_GAPS[tag])
        elif tag in _CELLS:
            self._end_cell()
        elif tag in _KEPT:
            self._kept -= 1
            self._part(2)

    def write(self, text: str) -> None:
        if self._kept:
            self._write_kept(text)
            return
        text = _SPACE.sub(" ", text)
        words = text.strip(" ")
        if not words:
            self._space = self._space or bool(text)
            return
        if (self._space or text[0] == " ") and not (self._lines or self._tabs):
            self.words.append(" ")
        self._fill()
        self.words.append(words)
        self._space = text[-1] == " "

    def _write_kept(self, text: str) -> None:
        if self._lines == 1 and self.words and self.words[-1].endswith("\n"):
            self._lines = 0
        if self._lines and text.startswith("\n"):
            self._lines -= 1
        self._fill()
        self.words.append(text)
        self._space = False

    def _fill(self) -> None:
        if self._lines > 1:
            self._paragraph = len(self.words)
        if self._lines or self._tabs:
            self.words.append("\n" * self._lines + "\t" * self._tabs)
        self._lines = self._tabs = 0

    def _break(self) -> None:
        if self._kept:
            self._fill()
            self.words.append("\n")
        elif not self._in_empty_cell():
            self._part(min(self._lines + 1, 2))

    def _gap(self, lines: int) -> None:
        if lines == 0:
            self._space = True
        elif self._kept:
            self._part(1)
        elif not self._in_empty_cell():
            self._part(lines)

    def _part(self, lines: int) -> None:
        self._lines = max(self._lines, lines)
        self._tabs = 0

    def _in_empty_cell(self) -> bool:
        """Whether the paragraph that begins here begins a cell, and so stays in the line."""
        return bool(self._cells) and self._cells[-1][0] == len(self.words)

    def _end_cell(self) -> None:
        before, lines, tabs = self._cells.pop()
        if before == len(self.words):
            self._lines, self._tabs = lines, tabs + 1
        elif self._paragraph > before:
            # It is no field of a row but a part of the page, as where tables lay out all of it.
            self._part(2)
        else:
            self._lines, self._tabs = 0, 1


def _refuse_depth(html: str) -> None:
    """Count what is open. An end of what is not open ends nothing, whatever else is."""
    depth = 0
    opened: Counter[str] = Counter()
    for tag in _TAG.finditer(html):
        ends, name = bool(tag.group(1)), tag.group(2).lower()
        if name in _UNCLOSED or (ends and not opened[name]):
            continue
        change = -1 if ends else 1
        opened[name] += change
        depth += change
        if depth > _DEEPEST:
            raise Unreadable(f"The file's HTML is nested more than {_DEEPEST} deep.")
