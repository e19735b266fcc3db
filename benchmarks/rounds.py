"""Takes figures in turns, so that whatever the machine does meanwhile happens to all of them.

A figure is a median over rounds with its least and most. It is refused, with the reason, when
others used the machine during too many rounds or the rounds disagree.
"""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from benchmarks.machine import Elsewhere
from msgspec import Struct

# Processors that others may keep busy while a round is taken.
_MOST_ELSEWHERE = 0.25
# How far the middle half of the rounds may lie apart, as a share of the median.
_WIDEST = 0.25
# Rounds that were disturbed are taken again, up to so many times the number asked for.
_PATIENCE = 2

Take = Callable[[], Awaitable[float]]
Cast = Callable[[ExitStack], Awaitable[Mapping[str, Take]]]


class Spread(Struct, frozen=True):
    """Some measurements of one thing."""

    median: float
    least: float
    most: float
    rounds: int
    middle_half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        lower, _, upper = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        median = statistics.median(values)
        return cls(median, min(values), max(values), len(values), upper - lower)

    @property
    def is_wide(self) -> bool:
        return self.middle_half > _WIDEST * abs(self.median)


class Taken(Struct, frozen=True):
    """The rounds of several sides, by side, and how much else the machine had to do."""

    rounds: Mapping[str, Sequence[float]]
    disturbed: int
    elsewhere: float

    @classmethod
    def joined(cls, casts: "Sequence[Taken]") -> "Taken":
        """The rounds of several casts, as if of one."""
        return cls(
            {
                side: [one for cast in casts for one in cast.rounds[side]]
                for side in casts[0].rounds
            },
            sum(cast.disturbed for cast in casts),
            max(cast.elsewhere for cast in casts),
        )

    @classmethod
    def of(cls, rounds: Mapping[str, Sequence[float]], elsewhere: Sequence[float]) -> Self:
        """Rounds that were taken otherwise, each with how many processors others used meanwhile."""
        disturbed = [cores for cores in elsewhere if cores > _MOST_ELSEWHERE]
        return cls(rounds, len(disturbed), max(disturbed, default=0.0))

    def spread(self, side: str) -> Spread:
        return Spread.of(self.rounds[side])

    def ratio(self, of: str, to: str) -> Spread:
        """How one side compares to another, round by round."""
        pairs = zip(self.rounds[of], self.rounds[to], strict=True)
        return Spread.of([one / other for one, other in pairs])

    def difference(self, of: str, to: str) -> Spread:
        """What one side takes more than another, round by round."""
        pairs = zip(self.rounds[of], self.rounds[to], strict=True)
        return Spread.of([one - other for one, other in pairs])

    def refusal(self, *spreads: Spread) -> str | None:
        """Why these figures cannot be told, if they cannot."""
        if self.disturbed and not spreads[0].rounds:
            return "others used the machine all the time"
        for spread in spreads:
            if spread.is_wide:
                share = spread.middle_half / abs(spread.median)
                return (
                    f"the rounds disagree: their middle half lies {share:.0%} apart around"
                    f" {spread.median:.3g}"
                )
        if self.disturbed > len(next(iter(self.rounds.values()))):
            return f"others used {self.elsewhere:.1f} processors during {self.disturbed} rounds"
        return None


async def by_turns(cast: Cast, *, casts: int, rounds: int) -> Taken:
    """Rounds of one cast of processes after the other; each is ended when its rounds are taken."""
    taken = []
    for _ in range(casts):
        with ExitStack() as stack:
            taken.append(await interleave(await cast(stack), rounds=rounds))
    return Taken.joined(taken)


async def interleave(sides: Mapping[str, Take], *, rounds: int) -> Taken:
    """Take every side once a round; one round before the first warms up and is not counted."""
    for take in sides.values():
        await take()
    kept: dict[str, list[float]] = {side: [] for side in sides}
    spoilt: list[tuple[float, dict[str, float]]] = []
    for number in range(rounds * _PATIENCE):
        with Elsewhere() as watch:
            # Whoever goes second finds a warmer machine: that changes from round to round.
            order = list(sides) if number % 2 == 0 else list(sides)[::-1]
            one = {side: await sides[side]() for side in order}
        if watch.cores > _MOST_ELSEWHERE:
            spoilt.append((watch.cores, one))
            continue
        for side, value in one.items():
            kept[side].append(value)
        if len(next(iter(kept.values()))) == rounds:
            break
    for _, one in spoilt:
        # Too few undisturbed ones: the rest is kept, and the figures are marked for it.
        if len(next(iter(kept.values()))) < rounds:
            for side, value in one.items():
                kept[side].append(value)
    elsewhere = statistics.median([cores for cores, _ in spoilt]) if spoilt else 0.0
    return Taken(kept, len(spoilt), elsewhere)
