"""Words as the keyword index knows them: the same for every database, for texts and for queries.

A database's own tokenizer cuts identifiers differently from the next one, and takes a Chinese
sentence for one word. So we cut, and databases index what we give them.
"""

import re
import unicodedata
from collections.abc import Iterator

# Signs on letters, which Python does not count among a word's: accents, points, Indic vowels.
_SIGNS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0966-\u0dff"
)
_INDIC = range(0x0900, 0x0E00)
_TATWEEL = "\u0640"
# Letters that are no accented ones, and that people type without what is added to them.
_PLAIN = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "ı": "i", "œ": "oe", "æ": "ae"})
_WORD = re.compile(rf"(?:[^\W_]|[{_SIGNS}])+(?:['’][^\W_]+){{0,2}}|_", re.UNICODE)
# Letters and digits joined by what joins parts of an identifier: `ERR-2041`, `max_tokens`, `a.b`.
# It begins where a word does and gives nothing back: a long word is looked through once.
_COMPOUND = re.compile(r"(?<![^\W_])[^\W_]++(?:[-_./:@#][^\W_]++)+", re.UNICODE)
# Where a line may break, how letters join and which way they run is no part of a word.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
# The digits of a number in groups of three, as tables show them.
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}([,.'’ ])\d{3}(?:\1\d{3}){0,4}(?!\d)")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
# Scripts written without spaces are indexed by pairs of letters; so is Korean, whose words end
# in particles.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002fa1f]+"
)
# A picture is a word of its own.
_PICTURE = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
# "The" in Arabic, alone or after a preposition, is written at the head of its word.
_ARABIC_THE = re.compile("^(?:[\u0648\u0628\u0643\u0641]?\u0627\u0644|\u0644\u0644)(?=.{3})")
# What English writes behind an apostrophe says nothing; elsewhere the word itself stands there, as
# in "l'entreprise".
_ENGLISH_ENDINGS = frozenset({"s", "t", "d", "m", "ll", "re", "ve"})
_LONGEST_TERM = 64
# With all signs on its letters. To bring signs into their order takes time in the square of how
# many stand together, so it is done part by part.
_LONGEST_WORD = 512
_PARTS = re.compile(rf"(?s:.{{1,{_LONGEST_WORD}}}(?=[ -~]|\Z)|.{{1,{_LONGEST_WORD}}})")
_SHORTEST_STEM = 3
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ied", "ies", "ed", "es", "ly", "s")
_VOWELS = frozenset("aeiouy")
# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
    "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "my", "of", "on", "or", "our", "shall", "should", "so", "that", "the", "their",
    "them", "there", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which",
    "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
})
# fmt: on


def terms(text: str) -> Iterator[str]:
    """The terms of a text, in order, with repeats; none holds a space or a quote."""
    text = text if text.isascii() else _UNSEEN.sub("", text)
    text = "".join(unicodedata.normalize("NFKC", part) for part in _PARTS.findall(text))
    for compound in _COMPOUND.finditer(text):
        yield _folded(compound.group())
    for number in _GROUPED.finditer(text):
        yield "".join(filter(str.isdigit, number.group()))
    yield from _PICTURE.findall(text)
    at = 0
    for run in _UNSPACED.finditer(text):
        yield from _spaced(text[at : run.start()])
        yield from _pairs(run.group())
        at = run.end()
    yield from _spaced(text[at:])


def joined(text: str) -> str:
    return " ".join(terms(text))


def query_terms(query: str) -> list[str]:
    """Each term of a query once; without stop words, unless nothing else is left."""
    found = list(dict.fromkeys(terms(query)))
    return [term for term in found if term not in STOP_WORDS] or found


def _spaced(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match.group()
        head, *rest = _folded(word).split("'")
        for part in (head, *(part for part in rest if part not in _ENGLISH_ENDINGS)):
            folded = _ARABIC_THE.sub("", part)
            if folded not in {"", "_"}:
                yield stem(folded)
            if not folded.isascii() and (plain := folded.translate(_PLAIN)) != folded:
                yield stem(plain)
        parts = _CAMEL.findall(word) if word.isascii() and word.isalnum() else ()
        if len(parts) > 1 and not word.isupper():
            yield from (stem(part.lower()) for part in parts)


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for at in range(len(run) - 1):
        yield run[at : at + 2]


def _folded(word: str) -> str:
    """Lower case, without accents and points, as people type when they search."""
    word = word[:_LONGEST_WORD].replace("’", "'").casefold()
    if not word.isascii():
        letters = unicodedata.normalize("NFD", word)
        word = "".join(letter for letter in letters if not _is_left_out(letter))
    return word[:_LONGEST_TERM]


def _is_left_out(letter: str) -> bool:
    """Of Indic words the vowels are signs, and stay."""
    if letter == _TATWEEL:
        return True
    return unicodedata.category(letter) == "Mn" and ord(letter) not in _INDIC


def stem(word: str) -> str:
    """An English word without its ending, roughly; other words mostly stay as they are."""
    if not word.isascii() or not word.isalpha():
        return word
    for suffix in _SUFFIXES:
        rest = word.removesuffix(suffix)
        if rest == word or len(rest) < _SHORTEST_STEM or not _VOWELS & set(rest):
            continue
        if suffix == "s" and rest.endswith(("s", "u", "i")):
            break
        if suffix in {"ied", "ies"}:
            return rest + "y"
        if suffix == "es" and not rest.endswith(("s", "x", "z", "ch", "sh")):
            return rest
        if rest[-1] == rest[-2] and suffix in {"ing", "ed"} and rest[-1] not in "lsz":
            rest = rest[:-1]
        return rest.removesuffix("e")
    return word.removesuffix("e") if len(word) > _SHORTEST_STEM + 1 else word
