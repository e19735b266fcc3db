"""WordPiece as BERT's uncased models expect it: lower case, no accents, longest match first."""

import unicodedata
from collections.abc import Iterator, Mapping

_LONGEST_WORD = 100
# The blocks of Han characters, each of which is a word of its own.
_HAN = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)
# Punctuation by its block in ASCII, though Unicode calls some of it symbols.
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class WordPiece:
    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._unknown = vocabulary["[UNK]"]
        self._first, self._last = vocabulary["[CLS]"], vocabulary["[SEP]"]

    def encode(self, text: str, *, most: int) -> list[int]:
        """The ids of `text` between the marks of its beginning and end, at most `most` of them."""
        pieces: list[int] = []
        for word in _words(text):
            pieces += self._pieces(word)
            if len(pieces) >= most - 2:
                break
        return [self._first, *pieces[: most - 2], self._last]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                found = self._vocabulary.get(prefix + word[start:end])
                if found is not None:
                    break
            else:
                return [self._unknown]
            pieces.append(found)
            start, prefix = end, "##"
        return pieces


def _words(text: str) -> Iterator[str]:
    for run in _spaced(text).split():
        letters = unicodedata.normalize("NFD", run)
        word = ""
        for letter in letters:
            category = unicodedata.category(letter)
            if category == "Mn":
                continue
            if letter in _ASCII_PUNCTUATION or category.startswith("P"):
                if word:
                    yield word.lower()
                yield letter
                word = ""
            else:
                word += letter
        if word:
            yield word.lower()


def _spaced(text: str) -> str:
    """Without control characters, with spaces around Han characters."""
    if text.isascii() and text.isprintable():
        return text
    letters: list[str] = []
    for letter in text:
        if letter.isspace():
            letters.append(" ")
        elif letter == "\ufffd" or unicodedata.category(letter) in {"Cc", "Cf", "Cn", "Co"}:
            continue
        elif letter > "\u3400" and any(ord(letter) in block for block in _HAN):
            letters.append(f" {letter} ")
        else:
            letters.append(letter)
    return "".join(letters)
