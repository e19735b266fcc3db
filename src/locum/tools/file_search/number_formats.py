"""Numbers of a spreadsheet, as the format of their cell shows them.

Only what is frequent and plain: dates, durations, percentages, zeros in front, thousands, fixed
decimals, words before and after. In any other format a number is told as it is.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

# The formats that every workbook has without declaring them; those of money have no sign here.
_DATES: Final = frozenset({*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)})
_BUILT_IN: Final = {
    **dict.fromkeys(_DATES, "yyyy-mm-dd"),
    **dict.fromkeys((3, 5, 6, 37, 38, 41, 42), "#,##0"),
    **dict.fromkeys((4, 7, 8, 39, 40, 43, 44), "#,##0.00"),
    1: "0",
    2: "0.00",
    9: "0%",
    10: "0.00%",
    46: "[h]:mm:ss",
}
# Excel takes no longer one; to look through it takes time in the square of its length.
_LONGEST: Final = 255
# Of a format: what is quoted, escaped or in brackets says nothing of dates.
_ASIDE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_DATED = re.compile("[ymdhs]", re.IGNORECASE)
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_SECTION = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|_.|\*.|[^;])*', re.DOTALL)
_PART = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<money>[^\]-]*)(?:-[^\]]*)?\]'
    r"|(?P<unseen>\[(?:color ?\d+|[a-z]+)\]|_.|\*.)"
    r"|(?P<digits>[0#?](?:[0#?,]*[0#?])?(?:\.[0#?]*)?|\.[0#?]+)"
    r"|(?P<percent>%)|(?P<sign>[-+$/():!^&'~{}<>= ]|[^\x00-\x7f])",
    re.IGNORECASE | re.DOTALL,
)
# As many digits as are true of a number of 64 bits. It is at most so much below what was meant,
# also after it was made a percentage: with that added, a half is rounded up as it was written.
_TRUE_DIGITS: Final = 15
_ERROR: Final = 2.0**-51
_LARGEST_WHOLE: Final = 2.0**53
_DAY_S: Final = 86_400
_MOST_DAYS: Final = 1e9
EPOCH, EPOCH_1904 = datetime(1899, 12, 30, tzinfo=UTC), datetime(1904, 1, 1, tzinfo=UTC)
# Excel's calendar has a 29th of February in 1900, as Lotus's had.
_FALSE_DAY: Final = 60
# No number of 64 bits needs more letters; to read a very long one takes its time.
_LONGEST_NUMBER: Final = 64


class _Section(Struct, frozen=True):
    """How numbers above zero, below it, or zero itself are shown."""

    before: str
    after: str
    is_percent: bool
    # As Python calls it.
    how: str
    zeros: int
    fewest_decimals: int
    most_decimals: int


class NumberFormat:
    """One format; `epoch` is the day that its workbook counts from."""

    def __init__(self, code: str, epoch: datetime) -> None:
        code = code[:_LONGEST]
        self._epoch = epoch
        elapsed = _ELAPSED.search(code)
        self._unit = elapsed.group(1)[0].lower() if elapsed else ""
        self._to_seconds = "s" in _ASIDE.sub("", code).lower()
        self._is_date = not elapsed and bool(_DATED.search(_ASIDE.sub("", code)))
        is_number = not elapsed and not self._is_date
        self._sections = [_section(part) for part in _sections(code)] if is_number else []

    def shown(self, written: str) -> str:
        number = _number(written)
        if number is None:
            return written
        if self._unit and abs(number) < _MOST_DAYS:
            return self._elapsed(number)
        if self._is_date:
            return self._date(number) or plain(written)
        return self._sectioned(number) or plain(written)

    def _date(self, days: float) -> str:
        """Days since the epoch as a date, a fraction of a day as a time."""
        if days < 0:
            return ""
        if 1 <= days < _FALSE_DAY and self._epoch == EPOCH:
            days += 1
        try:
            moment = self._epoch + timedelta(seconds=round(days * _DAY_S))
        except OverflowError:
            return ""
        if days < 1:
            return f"{moment:%H:%M:%S}"
        return f"{moment:%Y-%m-%d}" if days.is_integer() else f"{moment:%Y-%m-%d %H:%M:%S}"

    def _elapsed(self, days: float) -> str:
        sign, seconds = "-" if days < 0 else "", round(abs(days) * _DAY_S)
        minutes, rest = divmod(seconds, 60)
        if self._unit == "s":
            return f"{sign}{seconds}"
        if self._unit == "m":
            return f"{sign}{minutes}:{rest:02}" if self._to_seconds else f"{sign}{minutes}"
        hours = f"{sign}{minutes // 60}:{minutes % 60:02}"
        return f"{hours}:{rest:02}" if self._to_seconds else hours

    def _sectioned(self, number: float) -> str:
        """Nothing, where its format is none of ours or shows nothing."""
        place = 1 if number < 0 else 2 if number == 0 else 0
        own = place < len(self._sections)
        section = self._sections[place if own else 0] if self._sections else None
        if section is None:
            return ""
        digits = _digits(abs(number) * 100 if section.is_percent else abs(number), section)
        if digits is None:
            return ""
        shown = f"{section.before}{digits}{section.after}".strip()
        # What is below zero may be told by colour alone, which no text has.
        tells_sign = own and not {"-", "("}.isdisjoint(section.before + section.after)
        return shown if number >= 0 or tells_sign or not shown else f"-{shown}"


def plain(written: str) -> str:
    """A number as it is, to as many digits as are true of it."""
    if written.isdecimal() or written.removeprefix("-").isdecimal():
        return written
    number = _number(written)
    return written if number is None else f"{number:.{_TRUE_DIGITS}G}"


def built_in(number: int) -> str:
    return _BUILT_IN.get(number, "")


def _number(written: str) -> float | None:
    try:
        number = float(written[:_LONGEST_NUMBER])
    except ValueError:
        return None
    return number if math.isfinite(number) and len(written) <= _LONGEST_NUMBER else None


def _digits(number: float, section: _Section) -> str | None:
    """None, where more would be shown than is true."""
    if not number.is_integer():
        number += number * _ERROR
        if number * 10**section.most_decimals >= 10**_TRUE_DIGITS:
            return None
    elif number > _LARGEST_WHOLE:
        return None
    digits = f"{number:{section.how}}"
    if section.zeros == 1 and section.fewest_decimals == section.most_decimals:
        return digits
    whole, _, decimals = digits.partition(".")
    kept = decimals.rstrip("0").ljust(section.fewest_decimals, "0")
    whole = whole.lstrip("0").rjust(section.zeros, "0")
    return f"{whole}.{kept}" if kept else whole


def _sections(code: str) -> Iterator[str]:
    """The parts of a format between its semicolons; the fourth is for words."""
    at = 0
    for _ in range(3):
        found = _SECTION.match(code, at)
        assert found is not None
        yield found.group()
        at = found.end() + 1
        if at > len(code):
            return


def _section(code: str) -> _Section | None:
    """None for what we cannot show: fractions, exponents, conditions, digits in groups."""
    signs = [""]
    digits: str | None = None
    is_percent = False
    at = 0
    while at < len(code):
        part = _PART.match(code, at)
        if part is None or (part["digits"] and digits):
            return None
        if part["digits"]:
            digits = part["digits"]
            signs.append("")
        elif not part["unseen"]:
            is_percent = is_percent or bool(part["percent"])
            shown = part.group("quoted", "escaped", "money", "percent", "sign")
            signs[-1] += "".join(filter(None, shown))
        at = part.end()
    whole, _, decimals = (digits or "").partition(".")
    zeros, by_thousands = whole.count("0"), "," in whole
    if digits is None or (by_thousands and zeros > 1):
        return None
    return _Section(
        before=signs[0],
        after=signs[1],
        is_percent=is_percent,
        how=f"{',' if by_thousands else ''}.{len(decimals)}f",
        zeros=zeros,
        fewest_decimals=decimals.count("0"),
        most_decimals=len(decimals),
    )
