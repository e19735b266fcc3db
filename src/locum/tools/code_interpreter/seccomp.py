"""The system calls no code of a session may make, as a BPF program for x86-64 and arm64.

A list of what is refused, not of what is allowed: numpy, pandas and their threads use hundreds of
calls, and the namespaces already hold the rest. What stands here would reach around those walls
(new namespaces, mounts, other processes, keyrings, sockets), enlarge the kernel's surface (bpf,
io_uring, userfaultfd), hold memory or files that no watcher sees (memfd, memory that is shared and
of no file or lent to a pipe, files on their way through a socket), take a disk in one stroke
(fallocate) or what the whole machine shares (places for asynchronous reads), or have the kernel
wake what the server has stopped (SIGCONT by a timer, a file or the end of a child).
"""

import errno
import platform
import struct

# Number on x86-64, number on arm64; None where the architecture has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_setup": (206, 0),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "sendmmsg": (307, 269),
    "sendmsg": (46, 211),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "timer_create": (222, 107),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}
# The C library asks for these first and falls back when the kernel does not know them. The flags of
# clone3 lie behind a pointer, where no filter can read them.
_UNKNOWN: tuple[int, ...] = (425, 426, 427, 435)  # io_uring_setup, _enter, _register, clone3
# Calls numbered above this one are younger than this table. It ends x32 as well.
_NEWEST = 462

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NEW_NAMESPACES = 0x7E020000
_AF_UNIX = 1
_SIGNAL_OF_A_CHILD, _SIGCONT = 0xFF, 18
_F_SETSIG = 10
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_HUGETLB = 0x01, 0x20, 0x40000
# They type into, or paste onto, the terminal of whoever started the server.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# What fallocate does, under the older names of XFS, which the kernel knows for every file system.
_RESVSP, _RESVSP64, _ZERO_RANGE = 0x40305828, 0x4030582A, 0x40305839

# The architecture as the kernel names it, then clone, ioctl, socketpair, fcntl, mmap, fallocate.
_MACHINES: dict[str, tuple[int, int, int, int, int, int, int, int]] = {
    "x86_64": (0, 0xC000003E, 56, 16, 53, 72, 9, 285),
    "aarch64": (1, 0xC00000B7, 220, 29, 199, 25, 222, 47),
}

_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _FOURTH = 0, 4, 16, 24, 40


def supported(machine: str | None = None) -> bool:
    return (machine or platform.machine()) in _MACHINES


def program(machine: str | None = None) -> bytes:
    """The filter, ready for `bwrap --seccomp` or `seccomp(2)`."""
    column, architecture, clone, ioctl, socketpair, fcntl, mmap, fallocate = _MACHINES[
        machine or platform.machine()
    ]
    refused = sorted(n for n in (row[column] for row in REFUSED.values()) if n is not None)
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE),
            _instruction(_EQUAL, architecture, then=1),
            _instruction(_RETURN, _KILL),
            _instruction(_LOAD, _NUMBER),
            _instruction(_ABOVE, _NEWEST, otherwise=1),
            _instruction(_RETURN, _FAIL | errno.ENOSYS),
            *(_refuse(number, errno.EPERM) for number in refused),
            *(_refuse(number, errno.ENOSYS) for number in _UNKNOWN),
            # The C library then writes what it would have reserved, at the pace of writing.
            _refuse(fallocate, errno.EOPNOTSUPP),
            # Each block below leaves the program, so that the number loaded above is still there.
            _block(
                clone,
                _instruction(_LOAD, _FIRST),
                _instruction(_ANY_BIT, _NEW_NAMESPACES, then=2),
                _instruction(_AND, _SIGNAL_OF_A_CHILD),
                _instruction(_EQUAL, _SIGCONT, otherwise=1),
                _instruction(_RETURN, _FAIL | errno.EPERM),
            ),
            _block(
                ioctl,
                _instruction(_LOAD, _SECOND),
                _instruction(_EQUAL, _TIOCSTI, then=4),
                _instruction(_EQUAL, _TIOCLINUX, then=3),
                _instruction(_EQUAL, _RESVSP, then=2),
                _instruction(_EQUAL, _RESVSP64, then=1),
                _instruction(_EQUAL, _ZERO_RANGE, otherwise=1),
                _instruction(_RETURN, _FAIL | errno.EPERM),
            ),
            _block(
                socketpair,
                _instruction(_LOAD, _FIRST),
                _instruction(_EQUAL, _AF_UNIX, then=1),
                _instruction(_RETURN, _FAIL | errno.EPERM),
            ),
            _block(
                fcntl,
                _instruction(_LOAD, _SECOND),
                _instruction(_EQUAL, _F_SETSIG, otherwise=1),
                _instruction(_RETURN, _FAIL | errno.EPERM),
            ),
            _block(
                mmap,
                _instruction(_LOAD, _FOURTH),
                _instruction(_ANY_BIT, _MAP_HUGETLB, then=2),
                _instruction(_ANY_BIT, _MAP_ANONYMOUS, otherwise=2),
                _instruction(_ANY_BIT, _MAP_SHARED, otherwise=1),
                _instruction(_RETURN, _FAIL | errno.EPERM),
            ),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _refuse(number: int, error: int) -> bytes:
    return _instruction(_EQUAL, number, otherwise=1) + _instruction(_RETURN, _FAIL | error)


def _block(number: int, *body: bytes) -> bytes:
    """For call `number` the body, which allows where it falls through; else skip it."""
    code = b"".join(body) + _instruction(_RETURN, _ALLOW)
    return _instruction(_EQUAL, number, otherwise=len(code) // 8) + code


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
