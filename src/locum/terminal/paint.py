"""Words for a terminal: colours where they are wanted, and nothing in them that steers it."""

import re
from typing import Final, TextIO

_CODES: Final = {"dim": 2, "bold": 1, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_STATUS: Final = {
    "completed": "green",
    "failed": "red",
    "expired": "red",
    "cancelled": "yellow",
    "incomplete": "yellow",
    "requires_action": "yellow",
}
# What models and tools write may hold anything, sequences that command a terminal too.
_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Paint:
    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on

    @classmethod
    def on(cls, stream: TextIO, *, no_color: bool) -> "Paint":
        """Colours for people at a terminal who have not asked for none."""
        return cls(is_on=stream.isatty() and not no_color)

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._is_on else text

    def status(self, status: str) -> str:
        return self(status, _STATUS.get(status, "cyan"))


def harmless(text: str) -> str:
    """A text with no character that does more than be seen."""
    return _STEERING.sub("�", text.replace("\r\n", "\n"))


def on_one_line(text: str, width: int | None) -> str:
    """The text on one line, cut where the line ends; whole where there is no width."""
    text = " ".join(harmless(text).split())
    return text if width is None or len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def lines_of(text: str, width: int | None, most: int) -> list[str]:
    """A text as lines that fit; `most` of them where there is a width."""
    if not text.strip():
        return []
    lines = [line.rstrip() for line in harmless(text).strip("\n").split("\n")]
    if width is None:
        return lines
    shown = [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines[:most]]
    more = len(lines) - len(shown)
    return [*shown, f"… {more} more line{'s' if more > 1 else ''}"] if more else shown
