"""Files without a name that the code of a session still holds: they fill a disk, and no walk of
directories finds them.

They are held by a descriptor of a process or of one of its threads, by a mapping, or as the program
that the process runs.
"""

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from locum.tools.code_interpreter.processes import threads


def nameless_bytes(pids: Collection[int], *, beside: Path) -> int:
    """What such files take, in the file system of `beside`; holes count as if they were full."""
    device = beside.stat().st_dev
    found: dict[int, int] = {}
    for pid in pids:
        for status in _held(pid):
            if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == device:
                found[status.st_ino] = max(status.st_size, status.st_blocks * 512)
        for inode, size_bytes in _mapped(pid, device):
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


def _mapped(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """Inodes and sizes. Only root may ask for the size of a file by its mapping."""
    for thread in threads(pid):
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/task/{thread}/maps").read_bytes()
            for line in maps.splitlines():
                if not line.endswith(b" (deleted)"):
                    continue
                addresses, _, _, numbers, inode, _ = line.decode(errors="replace").split(None, 5)
                major, minor = (int(number, 16) for number in numbers.split(":"))
                if os.makedev(major, minor) == device:
                    yield int(inode), _size(pid, addresses)
            if maps:
                return


def _size(pid: int, addresses: str) -> int:
    start, end = (int(address, 16) for address in addresses.split("-"))
    with suppress(OSError):
        status = Path(f"/proc/{pid}/map_files/{start:x}-{end:x}").stat()
        # Its name may only sound as if it had been removed.
        return 0 if status.st_nlink else max(status.st_size, status.st_blocks * 512)
    return end - start
