"""Takes figures in turns, so that whatever the machine does meanwhile happens to all of them.

A cast of fresh processes gives one value a side, made of many short rounds; a figure is a median
over casts with its least and most. It is refused, with the reason, when others used the machine
during too many casts or the casts disagree.
"""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from benchmarks.machine import Elsewhere
from msgspec import Struct

# Processors that others may keep busy while a cast is taken.
_MOST_ELSEWHERE = 0.25
# How far the middle half may lie apart, as a share of the median.
_WIDEST = 0.25
# A cast that was disturbed is taken again, up to so many times in all.
_PATIENCE = 2
_UNDISTURBED = 0.1

Take = Callable[[], Awaitable[float]]
Cast = Callable[[ExitStack], Awaitable[Mapping[str, Take]]]


class Spread(Struct, frozen=True):
    """Some measurements of one thing."""

    median: float
    least: float
    most: float
    count: int
    middle_half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        lower, _, upper = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        median = statistics.median(values)
        return cls(median, min(values), max(values), len(values), upper - lower)

    @property
    def is_wide(self) -> bool:
        return self.middle_half > _WIDEST * abs(self.median)


class _One(Struct, frozen=True):
    """What one cast gave, by side, and how many processors others used meanwhile."""

    values: Mapping[str, float]
    elsewhere: float


class Taken(Struct, frozen=True):
    """The values of several sides, by side, and how much else the machine had to do."""

    values: Mapping[str, Sequence[float]]
    disturbed: int
    elsewhere: float
    # Of how many the disk was not itself.
    slowed: int = 0

    @classmethod
    def of(
        cls, values: Mapping[str, Sequence[float]], elsewhere: Sequence[float], *, slowed: int = 0
    ) -> Self:
        """Values, and for each of a side how many processors others used meanwhile."""
        disturbed = [cores for cores in elsewhere if cores > _MOST_ELSEWHERE]
        return cls(values, len(disturbed), max(disturbed, default=0.0), slowed)

    def spread(self, side: str) -> Spread:
        return Spread.of(self.values[side])

    def ratio(self, of: str, to: str) -> Spread:
        """How one side compares to another, cast by cast."""
        pairs = zip(self.values[of], self.values[to], strict=True)
        return Spread.of([one / other for one, other in pairs])

    def difference(self, of: str, to: str) -> Spread:
        """What one side takes more than another, cast by cast."""
        pairs = zip(self.values[of], self.values[to], strict=True)
        return Spread.of([one - other for one, other in pairs])

    def refusal(self, spread: Spread) -> str | None:
        """Why this figure cannot be told, if it cannot."""
        if spread.is_wide:
            share = spread.middle_half / abs(spread.median)
            return (
                f"its values disagree: the middle half lies {share:.0%} apart around"
                f" {spread.median:.3g}"
            )
        if self.disturbed > spread.count // 2:
            return f"others used {self.elsewhere:.1f} processors while {self.disturbed} were taken"
        if self.slowed > spread.count // 2:
            return f"the disk by itself was slower than before while {self.slowed} were taken"
        return None


def undisturbed(rounds: Sequence[float]) -> float:
    """What a round takes while nobody beside it slows the processor down.

    Two guests of one processor share its caches, and who has the larger program loses more: then
    even a ratio tells of the neighbour. Most rounds may be such; of short ones a tenth is not.
    """
    return sorted(rounds)[int(_UNDISTURBED * (len(rounds) - 1))]


async def by_turns(cast: Cast, *, casts: int, rounds: int) -> Taken:
    """One cast of processes after the other; each is ended when its rounds are taken."""
    taken = []
    for _ in range(casts):
        with ExitStack() as stack:
            taken.append(await _interleave(await cast(stack), rounds=rounds))
    values = {side: [one.values[side] for one in taken] for side in taken[0].values}
    return Taken.of(values, [one.elsewhere for one in taken])


async def _interleave(sides: Mapping[str, Take], *, rounds: int) -> _One:
    """Take every side once a round; one round before the first warms up and is not counted."""
    for take in sides.values():
        await take()
    for _ in range(_PATIENCE):
        taken: dict[str, list[float]] = {side: [] for side in sides}
        with Elsewhere() as watch:
            for number in range(rounds):
                # Whoever goes second finds a warmer machine: that changes from round to round.
                for side in list(sides) if number % 2 == 0 else list(sides)[::-1]:
                    taken[side].append(await sides[side]())
        if watch.cores <= _MOST_ELSEWHERE:
            break
    return _One({side: undisturbed(values) for side, values in taken.items()}, watch.cores)
