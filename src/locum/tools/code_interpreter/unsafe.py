"""No walls at all: for people who run Locum inside a container of their own, and say so.

The same runner as the server's own user, under the limits that the kernel keeps for one process.
It reads what the server reads and reaches what the server reaches.
"""

from pathlib import Path
from typing import ClassVar

from locum.tools.code_interpreter import python
from locum.tools.code_interpreter.interpreter import Launch
from locum.tools.code_interpreter.packages import FONTS
from locum.tools.code_interpreter.sessions import Sessions


class UnsafeSubprocess(Sessions):
    tier: ClassVar[str] = "unsafe-subprocess"
    # The directory is told to the runner by its path, which a rename would change.
    follows_renames: ClassVar[bool] = False
    has_users: ClassVar[bool] = False

    def launch(self, data: Path, uid: int | None) -> Launch:
        packages = str(self.settings.packages) if self.settings.packages else None
        return Launch(
            command=python.command(str(python.RUNNER)),
            environment=python.environment(packages=packages, fonts=f"{packages}/{FONTS}"),
            walls="none",
            data=str(data.resolve()),
            uid=uid,
            limits=self.settings.limits,
        )

    async def check(self) -> str:
        await self.try_out()
        return (
            "UNSAFE: the code of models runs as a plain subprocess, WITHOUT A SANDBOX. It can read "
            "the server's files, keys and network. Use this only inside a container of your own."
        )
