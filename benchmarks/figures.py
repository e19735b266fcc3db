"""What was measured, and how it is told: a table a chapter, refusals in their place."""

from benchmarks.rounds import Spread, Taken
from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One line of a table. `ratio` is what counts; `ours` and `ceiling` say of what it is made."""

    path: str
    against: str
    ratio: Spread | None = None
    ours: str = ""
    ceiling: str = ""
    # What the ratio should be: at least, or at most.
    at_least: float | None = None
    at_most: float | None = None
    refused: str | None = None

    @property
    def holds(self) -> bool | None:
        if self.refused is not None or self.ratio is None:
            return None
        if self.at_least is not None:
            return self.ratio.median >= self.at_least
        return None if self.at_most is None else self.ratio.median <= self.at_most


class Fact(Struct, frozen=True, kw_only=True):
    """A figure that stands for itself: megabytes, milliseconds, how many at once."""

    name: str
    value: str
    target: str = ""
    holds: bool | None = None
    refused: str | None = None


class Chapter(Struct, kw_only=True):
    title: str
    intro: str
    figures: list[Figure] = []
    facts: list[Fact] = []
    notes: list[str] = []


def compare(
    taken: Taken,
    *,
    path: str,
    ours: str,
    to: str,
    against: str,
    unit: str = "µs",
    inverse: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """The ceiling's cost by ours, or with `inverse` ours by the other's, round by round."""
    ratio = taken.ratio(ours, to) if inverse else taken.ratio(to, ours)
    return Figure(
        path=path,
        against=against,
        ratio=ratio,
        ours=told(taken.spread(ours), unit),
        ceiling=told(taken.spread(to), unit),
        at_least=at_least,
        at_most=at_most,
        refused=taken.refusal(ratio),
    )


def told(spread: Spread, unit: str) -> str:
    return f"{short(spread.median)} {unit} ({short(spread.least)}–{short(spread.most)})"


def short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def as_markdown(chapter: Chapter, *, noisy: bool = False) -> str:
    lines = [f"## {chapter.title}", "", chapter.intro, ""]
    if chapter.figures:
        lines += [
            "| path | against | ratio (least–most) | target | Locum | the other |",
            "|---|---|---|---|---|---|",
            *(_figure(figure, noisy=noisy) for figure in chapter.figures),
            "",
        ]
    if chapter.facts:
        lines += [
            "| what | measured | target |",
            "|---|---|---|",
            *(_fact(fact, noisy=noisy) for fact in chapter.facts),
            "",
        ]
    for note in chapter.notes:
        lines += [note, ""]
    return "\n".join(lines)


def _figure(figure: Figure, *, noisy: bool) -> str:
    target = ""
    if figure.at_least is not None:
        target = f"≥ {figure.at_least:g}"
    elif figure.at_most is not None:
        target = f"≤ {figure.at_most:g}"
    target += {True: " holds", False: " **missed**", None: ""}[figure.holds]
    if figure.refused is not None and not (noisy and figure.ratio is not None):
        return f"| {figure.path} | {figure.against} | not taken: {figure.refused} | {target} | | |"
    assert figure.ratio is not None
    ratio = f"{figure.ratio.median:.2f} ({figure.ratio.least:.2f}–{figure.ratio.most:.2f})"
    if figure.refused is not None:
        ratio += f" NOISY: {figure.refused}"
    return (
        f"| {figure.path} | {figure.against} | {ratio} | {target} | {figure.ours}"
        f" | {figure.ceiling} |"
    )


def _fact(fact: Fact, *, noisy: bool) -> str:
    holds = {True: " holds", False: " **missed**", None: ""}[fact.holds]
    value = fact.value
    if fact.refused is not None:
        value = (
            f"{value} NOISY: {fact.refused}" if noisy and value else f"not taken: {fact.refused}"
        )
    return f"| {fact.name} | {value} | {fact.target}{holds} |"
