"""A user of its own for each session, where the server may choose: the kernel counts by user."""

import os
from pathlib import Path
from secrets import randbelow

from locum.tools.code_interpreter.sandbox import SandboxUnavailable

# High above what people, distributions, systemd and containers hand out.
_FIRST, _END = 2_000_000_000, 2_147_483_000
_BLOCK = 1024


class Users:
    """Ids no other process on this machine has, or none at all when the server is not root."""

    def __init__(self, *, any_at_all: bool = True) -> None:
        self._free = list(_block()) if any_at_all and os.geteuid() == 0 else None

    @property
    def all_taken(self) -> bool:
        return self._free is not None and not self._free

    def take(self) -> int | None:
        if self._free is None:
            return None
        if not self._free:
            raise SandboxUnavailable("Every user id for sessions is taken.")
        return self._free.pop()

    def give_back(self, uid: int | None) -> None:
        if self._free is not None and uid is not None:
            self._free.append(uid)


def _block() -> range:
    """One block per server, drawn, so that two on one machine seldom share a user.

    In containers of their own, their processes may have the same number.
    """
    first, end = _FIRST, _END
    mapped = _mapped()
    if not any(start <= first and end <= stop for start, stop in mapped):
        # In a container with few ids, the highest ones it has.
        start, end = max(mapped, key=lambda span: span[1] - span[0])
        first = max(start + 1000, end - 16 * _BLOCK)
    blocks = (end - first) // _BLOCK
    if blocks < 1:
        raise SandboxUnavailable("This user namespace has too few user ids for sessions.")
    start = first + randbelow(blocks) * _BLOCK
    return range(start, start + _BLOCK)


def _mapped() -> list[tuple[int, int]]:
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    spans = [line.split() for line in lines]
    return [(int(first), int(first) + int(count)) for first, _, count in spans]
