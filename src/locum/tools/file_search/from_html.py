"""HTML: the words a reader would see, block by block."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from selectolax.lexbor import LexborHTMLParser

from locum.tools.file_search import from_text
from locum.tools.file_search.reading import Limits, Unreadable, read_all, tidy

_CHARSET = re.compile(rb"""(?i)<meta[^>]{0,200}charset\s*=\s*["']?([a-zA-Z0-9_.:-]{1,40})""")
_HEAD_BYTES = 1 << 14
_UNSEEN = ["script", "style", "template", "noscript", "svg", "head", "iframe", "object"]
# fmt: off
_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "font", "i", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
})
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
# White space that counts is carried past the folding of all other by signs no text needs.
_KEPT = str.maketrans("\n \t", "\x01\x02\x03")
_RESTORED = str.maketrans("\x01\x02\x03", "\n \t")


def read(file: BinaryIO, limits: Limits) -> Iterator[str]:
    data = read_all(file, limits)
    found = _CHARSET.search(data[:_HEAD_BYTES])
    text = from_text.decode(data, declared=found.group(1).decode("ascii") if found else None)
    yield visible(text)


def visible(html: str) -> str:
    _refuse_depth(html)
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    heading = title.text().strip() if title else ""
    tree.strip_tags(_UNSEEN)
    # The innermost first: what is replaced takes along what it holds.
    for node in reversed(tree.css("pre, textarea")):
        node.replace_with(f"\n\n{node.text()}\n\n".translate(_KEPT))
    words = [heading, "\n\n"] if heading else []
    root = tree.root
    if root is None:
        return heading
    for node in root.traverse(include_text=True):
        if node.tag == "-text":
            words.append(_SPACE.sub(" ", node.text_content or ""))
        elif node.tag in {"td", "th"}:
            words.append("\t")
        elif node.tag not in _INLINE:
            words.append("\n" if node.tag in {"br", "li", "tr", "dd", "dt"} else "\n\n")
    folded = re.sub(r"\n +", "\n", "".join(words))
    return tidy(re.sub(r"(?<! ) +\n", "\n", folded.translate(_RESTORED)))


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
