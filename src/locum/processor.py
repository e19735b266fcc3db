"""How soon the system lets a thread have a processor.

Linux lets whoever runs go on for one to three milliseconds, though somebody has woken who has used
hardly any of it: so long a request may wait for a log that is being moved, for a sandbox, or for
another program altogether. Who asks for short turns is let in when it wakes, and gets no more of
the processor than before. Linux knows that since 6.12; what is older takes the wish, and nothing
changes.
"""

import ctypes
import os
import platform
import sys
from typing import Final

# The number of the call, by machine: before 2.41 the C library has no name for it.
_SET_ATTRIBUTES: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
# The shortest there is.
_TURN_NS: Final = 100_000


class _Attributes(ctypes.Structure):
    """What Linux calls `sched_attr`, in its first and shortest form."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def take_short_turns() -> bool:
    """Have this thread wait for nobody's turn to end, and say whether the system took the wish.

    It is for this thread alone: what it starts from now on, a thread or a program, is as ever.
    Whoever was started under another policy than the usual one keeps that.
    """
    call = _SET_ATTRIBUTES.get(platform.machine())
    if sys.platform != "linux" or call is None:
        return False
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        return False
    wish = _Attributes(
        size=ctypes.sizeof(_Attributes),
        policy=os.SCHED_OTHER,
        flags=1,  # The children start anew.
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime=_TURN_NS,
    )
    ask = ctypes.CDLL(None).syscall
    return bool(ask(ctypes.c_long(call), 0, ctypes.byref(wish), 0) == 0)
