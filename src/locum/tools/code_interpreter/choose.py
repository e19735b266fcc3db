"""Which walls hold here, found by building them; where none do, why not and what would help."""

import platform
import sys
from collections.abc import Iterator
from typing import Literal

from locum.clock import Clock
from locum.tools.code_interpreter import seccomp
from locum.tools.code_interpreter.bubblewrap import Bubblewrap, candidates
from locum.tools.code_interpreter.sandbox import SandboxUnavailable
from locum.tools.code_interpreter.sessions import SandboxSettings, Sessions
from locum.tools.code_interpreter.unsafe import UnsafeSubprocess

Tier = Literal["auto", "unsafe-subprocess"]

_LAST_RESORT = (
    "Inside a container of your own, LOCUM_SANDBOX=unsafe-subprocess runs code without walls."
)


async def build_sandbox(
    settings: SandboxSettings, *, tier: Tier = "auto", clock: Clock | None = None
) -> Sessions:
    """The strongest sandbox that works here, tried out; never an unsafe one nobody asked for."""
    complaints: list[str] = []
    for sandbox in _possible(settings, tier=tier, clock=clock):
        try:
            await sandbox.prepare()
            await sandbox.check()
        except SandboxUnavailable as error:
            complaints.append(f"{sandbox.tier}: {error}")
            await sandbox.close()
        else:
            return sandbox
    raise SandboxUnavailable(_why_not(complaints))


def _possible(settings: SandboxSettings, *, tier: Tier, clock: Clock | None) -> Iterator[Sessions]:
    if sys.platform != "linux":
        return
    if tier == "unsafe-subprocess":
        yield UnsafeSubprocess(settings, clock=clock)
    elif seccomp.supported():
        for bwrap in candidates():
            yield Bubblewrap(settings, bwrap=bwrap, clock=clock)


def _why_not(complaints: list[str]) -> str:
    if sys.platform != "linux":
        return (
            f"The code interpreter needs Linux; this is {platform.system()}. Run Locum in a Linux "
            f"container or virtual machine. {_LAST_RESORT}"
        )
    if not seccomp.supported():
        return f"The code interpreter knows x86-64 and arm64, not {platform.machine()}."
    if not complaints:
        return f"bubblewrap is not installed: `pip install 'locum[sandbox]'`. {_LAST_RESORT}"
    return (
        f"No sandbox can be built here. {' '.join(complaints)} Namespaces may be forbidden: in a "
        "container, allow them (a seccomp profile with unshare, mount and pivot_root); on Ubuntu, "
        f"install the distribution's bubblewrap. {_LAST_RESORT}"
    )
