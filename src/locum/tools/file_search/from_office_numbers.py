"""The numbers that Word itself puts before paragraphs: "7.2", "(a)", "Article 3".

They stand nowhere in a document: its paragraphs, or their styles, name a list and a level of it,
and lists tell how levels are counted. Bullets are none of them.
"""

import re
from collections.abc import Mapping

from msgspec import Struct, field

from locum.tools.file_search.archive import Archive, nothing
from locum.tools.file_search.reading import Unreadable

_LISTS = re.compile(r"word/numbering\d*\.xml")
_STYLES = re.compile(r"word/styles\d*\.xml")
_LEVELS = 9
# More than Word allows: styles may be based on each other in a circle.
_MOST_BASES = 32
_LONGEST_TEXT = 255
_MOST_DIGITS = 9
_COUNT = re.compile(r"%([1-9])")
_OF_LEVELS = frozenset(("start", "numFmt", "lvlText", "lvlRestart", "isLgl"))
_OF_STYLES = frozenset(("basedOn", "numId", "ilvl"))
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_LETTERS, _MOST_ROMAN = 780, 3999

# What a level, or a style, tells of itself, by the names of elements.
_Told = dict[str, str]


class _Level(Struct):
    start: int
    form: str
    # Words, and by turns with them the numbers of levels whose counts stand there.
    text: list[str]
    # It starts anew after every level above this one.
    restart: int
    legal: bool


class _List(Struct):
    """One of several that may count together, by what their `abstract` tells of its levels."""

    abstract: str = ""
    levels: dict[int, _Told] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    # Of a list that has begun, what it and its abstract tell together.
    known: list[_Level] = field(default_factory=list)


class Numbers:
    """Counts the paragraphs of one text, which has to tell of all of them in their order."""

    def __init__(self, archive: Archive) -> None:
        self._lists: dict[str, _List] = {}
        self._abstracts: dict[str, dict[int, _Told]] = {}
        self._styles: dict[str, _Told] = {}
        # By the abstract, for each level that has begun.
        self._counts: dict[str, dict[int, int]] = {}
        try:
            for name in filter(_LISTS.fullmatch, archive.names):
                self._read_lists(archive, name)
            for name in filter(_STYLES.fullmatch, archive.names if self._lists else ()):
                self._read_styles(archive, name)
        except Unreadable:
            # The words can be read without them.
            self._lists.clear()

    def before(self, paragraph: Mapping[str, str]) -> str:
        """The number of the next paragraph, which tells its `pStyle`, `numId` and `ilvl`."""
        list_id, level = self._place(paragraph)
        one = self._lists.get(list_id)
        if one is None or level >= _LEVELS:
            return ""
        counts = self._counts.setdefault(one.abstract, {})
        if not one.known:
            one.known = self._levels(one)
            for restarted in one.starts:
                counts.pop(restarted, None)
        # Levels above that were left out are shown, and so they have begun.
        for above in range(level):
            if above not in counts:
                counts[above] = one.known[above].start
        counts[level] = counts[level] + 1 if level in counts else one.known[level].start
        for deeper in [begun for begun in counts if begun > level]:
            if level < one.known[deeper].restart:
                del counts[deeper]
        return _written(one.known, level, counts)

    def _place(self, paragraph: Mapping[str, str]) -> tuple[str, int]:
        """The list of a paragraph and its level there, as it tells itself or else its styles do."""
        told, style = paragraph, paragraph.get("pStyle", "")
        list_id, level = told.get("numId"), told.get("ilvl")
        for _ in range(_MOST_BASES):
            if list_id is not None or style not in self._styles:
                break
            told = self._styles[style]
            list_id, level = told.get("numId"), level or told.get("ilvl")
            style = told.get("basedOn", "")
        return list_id or "", _whole(level, otherwise=0)

    def _levels(self, one: _List) -> list[_Level]:
        told = self._abstracts.get(one.abstract, {}) | one.levels
        return [_level(told.get(n, {}), n, one.starts.get(n)) for n in range(_LEVELS)]

    def _read_lists(self, archive: Archive, name: str) -> None:
        one, levels, level, told = _List(), dict[int, _Told](), 0, _Told()
        # Levels may stand with another abstract, under the name of a style.
        abstract, borrowed, lent = "", dict[str, str](), dict[str, dict[int, _Told]]()

        def start(element: str, attributes: Mapping[str, str]) -> None:
            nonlocal one, levels, level, told, abstract
            value = attributes.get("val", "")
            if element == "abstractNum":
                abstract = attributes.get("abstractNumId", "")
                levels = self._abstracts[abstract] = {}
            elif element == "styleLink":
                lent[value] = levels
            elif element == "numStyleLink":
                borrowed[abstract] = value
            elif element == "num":
                one = self._lists[attributes.get("numId", "")] = _List()
                levels = one.levels
            elif element == "abstractNumId":
                one.abstract = value
            elif element in ("lvl", "lvlOverride"):
                level = min(_LEVELS, _whole(attributes.get("ilvl"), otherwise=_LEVELS))
                if element == "lvl":
                    told = levels[level] = {}
            elif element == "startOverride":
                one.starts[level] = _whole(value, otherwise=0)
            elif element in _OF_LEVELS:
                told[element] = value

        archive.parse(name, start=start, end=nothing, words=nothing)
        for abstract, style in borrowed.items():
            self._abstracts[abstract] = lent.get(style, {})

    def _read_styles(self, archive: Archive, name: str) -> None:
        told = _Told()

        def start(element: str, attributes: Mapping[str, str]) -> None:
            nonlocal told
            if element == "style":
                told = self._styles[attributes.get("styleId", "")] = {}
            elif element in _OF_STYLES:
                told[element] = attributes.get("val", "")

        archive.parse(name, start=start, end=nothing, words=nothing)


def _level(told: _Told, number: int, start: int | None) -> _Level:
    return _Level(
        start=_whole(told.get("start"), otherwise=0) if start is None else start,
        form=told.get("numFmt", ""),
        text=_COUNT.split(told.get("lvlText", "")[:_LONGEST_TEXT]),
        restart=_whole(told.get("lvlRestart"), otherwise=number),
        legal="isLgl" in told,
    )


def _written(levels: list[_Level], level: int, counts: Mapping[int, int]) -> str:
    shown = levels[level]
    if shown.form == "bullet":
        return ""
    pieces = shown.text.copy()
    for at in range(1, len(pieces), 2):
        counted = int(pieces[at]) - 1
        form = "decimal" if shown.legal else levels[counted].form
        pieces[at] = _in_form(counts.get(counted, 0), form)
    return "".join(pieces)


def _whole(written: str | None, *, otherwise: int) -> int:
    if written and written.isdecimal() and len(written) <= _MOST_DIGITS:
        return int(written)
    return otherwise


def _in_form(number: int, form: str) -> str:
    """As Word writes it: after z comes aa, then bb. Forms of other languages are left to digits."""
    shown = str(number)
    if form == "none":
        shown = ""
    elif form == "decimalZero":
        shown = f"{number:02}"
    elif form.endswith("Letter") and 0 < number <= _MOST_LETTERS:
        times, letter = divmod(number - 1, 26)
        shown = chr(ord("a") + letter) * (times + 1)
    elif form.endswith("Roman") and 0 < number <= _MOST_ROMAN:
        shown = _roman(number)
    return shown.upper() if form.startswith("upper") else shown


def _roman(number: int) -> str:
    shown = ""
    for value, letters in _ROMAN:
        times, number = divmod(number, value)
        shown += letters * times
    return shown
