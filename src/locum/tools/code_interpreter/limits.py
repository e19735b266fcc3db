"""How much one session of the code interpreter may use. Every number is settable."""

from msgspec import Struct

_MIB = 1 << 20


class Limits(Struct, frozen=True, kw_only=True):
    wall_s: float = 60.0
    """Of one call. Code that overruns it is interrupted, then killed."""

    grace_s: float = 2.0
    """Between the interrupt and the kill."""

    cpu_s: int = 600
    """Of one process, over its whole life."""

    memory_bytes: int = 1024 * _MIB
    """Of all processes together; one process alone meets a `MemoryError` there."""

    processes: int = 64
    """Threads included, as the kernel counts."""

    mappings: int = 100_000
    """Of memory, in all processes together: to look through more would hold everything up."""

    open_files: int = 256

    disk_bytes: int = 512 * _MIB
    """Of `/mnt/data`, holes included; also the size of the largest file."""

    disk_entries: int = 10_000
    """Files and directories of `/mnt/data`."""

    scratch_bytes: int = 64 * _MIB
    """Of `/tmp`, and of `/dev/shm`: both are memory."""

    scratch_entries: int = 20_000
    """Files and directories of both together: an empty one takes memory of the kernel, too."""

    output_bytes: int = 256 << 10
    """Of the logs of one call; what follows is dropped, and a line says so."""

    pictures: int = 32
    """In one call."""

    picture_bytes: int = 8 * _MIB
