"""Saying what tools answered, word for word, with the marker of the passage it comes from."""

import re
from collections.abc import Sequence

# As file search writes them before each passage: `【4:0†places.txt】`.
MARKER = re.compile(r"【[^【】\n]*】")

_WORD = re.compile(r"\s*\S+(?:\s+$)?|\s+$")
_QUOTED_CHARACTERS = 300


def quotation(results: Sequence[str]) -> str:
    """Quote the first passage found, or else everything the tools answered."""
    for result in results:
        if mark := MARKER.search(result):
            passage = MARKER.split(result[mark.end() :])[0]
            return f"The files say: “{_shortened(passage)}” {mark[0]}"
    quotes = "; ".join(f"“{_shortened(result)}”" for result in results)
    return f"The tool answered: {quotes}"


def words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it, and nothing lost."""
    return _WORD.findall(text)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED_CHARACTERS else f"{line[:_QUOTED_CHARACTERS]}…"
