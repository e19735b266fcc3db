"""What holds a reader of hostile files: limits on memory, time and files, and no file system.

The child calls this on itself, after it has opened what it reads.
"""

import ctypes
import os
import resource
import sys

from locum.tools.file_search.reading import Limits

_OPEN_FILES = 16
# The same numbers on every architecture of Linux.
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38
# Rights of the first version; later versions know more, and ask for them by their own bits.
_FILE_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_NET_RIGHTS = 0b11
_NET_SINCE = 4


def close_in(limits: Limits) -> None:
    """Give up everything a reader does not need. There is no way back."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    # At the soft limit a signal tells the cause; at the hard one it is a bare kill.
    _limit(resource.RLIMIT_CPU, limits.cpu_s, later=1)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    if sys.platform == "linux":
        _landlock()


def _limit(which: int, most: int, *, later: int = 0) -> None:
    """Where the server was given less, less it is: nobody may raise a limit again."""
    _, given = resource.getrlimit(which)
    hard = most + later if given == resource.RLIM_INFINITY else min(most + later, given)
    resource.setrlimit(which, (min(most, hard), hard))


def _landlock() -> None:
    """Open no path and no connection any more. A kernel without Landlock leaves the limits."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return
    files = _FILE_RIGHTS_BY_VERSION.get(version, _FILE_RIGHTS_BY_VERSION[3])
    rights = (ctypes.c_uint64 * 2)(files, _NET_RIGHTS if version >= _NET_SINCE else 0)
    size = ctypes.sizeof(rights) if version >= _NET_SINCE else ctypes.sizeof(ctypes.c_uint64)
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(rights), size, 0)
    if rules < 0:
        return
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)
    os.close(rules)
