"""How much is measured."""

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    # Each figure is taken with so many casts of fresh processes, in so many rounds each: two
    # processes of one program differ by some percent for as long as they live.
    casts: int = 10
    # Short ones, of a few milliseconds each.
    rounds: int = 120
    # Those of wall-clock time, a tenth of a second or two each.
    long_rounds: int = 10
    # Steps of the large run; the small one has a thousand.
    rows: tuple[int, ...] = (100_000,)
    # Seconds during which streams are listened to.
    listen_s: float = 2.0
    # How often polls are taken by themselves and beside others.
    poll_rounds: int = 6


FULL = Options(rows=(100_000, 1_000_000, 10_000_000), listen_s=4.0)
