"""Files without a name that the code of a session still holds: they fill a disk, and no walk of
directories finds them.

They are held by a descriptor of a process or of one of its threads, by a mapping, or as the program
that the process runs.
"""

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from locum.tools.code_interpreter.processes import threads


def nameless_bytes(pids: Collection[int], *, beside: Path, most: int) -> int | None:
    """What such files take, in the file system of `beside`; holes count as if they were full.

    None is told of processes with more than `most` mappings, which are not looked through.
    """
    device = beside.stat().st_dev
    found: dict[int, int] = {}
    for pid in pids:
        for status in _held(pid):
            if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == device:
                found[status.st_ino] = max(status.st_size, status.st_blocks * 512)
        mappings = _mappings(pid, most + 1)
        most -= len(mappings)
        if most < 0:
            return None
        for inode, size_bytes in _removed(mappings, pid, device):
            found[inode] = max(found.get(inode, 0), size_bytes)
    return sum(found.values())


def _held(pid: int) -> Iterator[os.stat_result]:
    for thread in threads(pid):
        # A thread may have descriptors of its own.
        directory = f"/proc/{pid}/task/{thread}/fd"
        with suppress(OSError):
            # Code may have unmapped the program it is in, and go on elsewhere.
            yield Path(f"/proc/{pid}/task/{thread}/exe").stat()
        with suppress(OSError):
            for descriptor in os.listdir(directory):  # noqa: PTH208 -- read 4 times a second
                with suppress(OSError):
                    yield Path(directory, descriptor).stat()


def _mappings(pid: int, most: int) -> list[bytes]:
    for thread in threads(pid):
        with suppress(OSError), Path(f"/proc/{pid}/task/{thread}/maps").open("rb") as maps:
            if found := list(islice(maps, most)):
                return found
    return []


def _removed(mappings: list[bytes], pid: int, device: int) -> Iterator[tuple[int, int]]:
    """Inodes and sizes. Only root may ask for the size of a file by its mapping."""
    for line in mappings:
        if not line.endswith(b" (deleted)\n"):
            continue
        addresses, _, _, numbers, inode, _ = line.decode(errors="replace").split(None, 5)
        major, minor = (int(number, 16) for number in numbers.split(":"))
        if os.makedev(major, minor) == device:
            yield int(inode), _size(pid, addresses)


def _size(pid: int, addresses: str) -> int:
    start, end = (int(address, 16) for address in addresses.split("-"))
    with suppress(OSError):
        status = Path(f"/proc/{pid}/map_files/{start:x}-{end:x}").stat()
        # Its name may only sound as if it had been removed.
        return 0 if status.st_nlink else max(status.st_size, status.st_blocks * 512)
    return end - start
