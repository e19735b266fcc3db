"""A reader who does what a page says: in a folder of his own, with a server and a shell."""

import contextlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.docs.blocks import Block
from tests.docs.pages import ROOT
from tests.kit.server import running

_BLOCK_S: Final = 90
_SHELL: Final = ROOT / "tests" / "docs" / "reader.sh"


class Failed(Exception):
    """A block did not do what the page says it does."""


class Reader:
    """Runs the blocks of one page, one after the other."""

    def __init__(self, home: Path, *, port: int) -> None:
        self._home = home
        self._port = port
        self._names: dict[str, Any] = {"__name__": "__main__"}
        (home / ".shell").mkdir()

    def run(self, block: Block) -> str:
        """What the block said."""
        code = self._here(block.code)
        if block.file is not None:
            self._write(block.file, code)
            return ""
        if block.language == "python":
            return self._run_python(block, code)
        return self._run_shell(block, code)

    def close(self) -> None:
        self._bash("_stop")

    def _here(self, code: str) -> str:
        """The same code for the port that this reader's server has."""
        for host in ("127.0.0.1", "localhost"):
            code = code.replace(f"{host}:8000", f"{host}:{self._port}")
        return code

    def _write(self, name: str, code: str) -> None:
        path = self._home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")

    def _run_python(self, block: Block, code: str) -> str:
        said = io.StringIO()
        # Errors name the line of the page.
        lines = "\n" * block.line + code
        with contextlib.redirect_stdout(said), contextlib.chdir(self._home):
            try:
                exec(compile(lines, block.page, "exec"), self._names)
            except Exception as error:
                raise Failed(f"{block.place}: {type(error).__name__}: {error}") from error
        return said.getvalue()

    def _run_shell(self, block: Block, code: str) -> str:
        done = self._bash(code)
        if done.returncode != 0:
            raise Failed(f"{block.place}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def _bash(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"source {_SHELL}\n{code}"],
            cwd=self._home,
            env=self._environment(),
            # Not a pipe: a server that goes on would hold it open.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BLOCK_S,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        commands = str(Path(sys.executable).parent)
        bare = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LOCUM_", "OPENAI_", "PYTHON", "VIRTUAL_ENV"))
        }
        return bare | {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._home),
            "READER_HOME": str(self._home),
            "LOCUM_PORT": str(self._port),
            "LOCUM_SANDBOX": "unsafe-subprocess",
        }


@contextlib.contextmanager
def reading(home: Path, blocks: list[Block], settings: Mapping[str, Any]) -> Iterator[Reader]:
    """A reader with a server, unless the page has him start one."""
    home.mkdir()
    with contextlib.ExitStack() as stack:
        if any(_starts_server(block) for block in blocks):
            reader = Reader(home, port=_free_port())
        else:
            chosen = {"files_at_once": 2, "sandbox": "unsafe-subprocess", **settings}
            reader = Reader(home, port=stack.enter_context(running(**chosen)).port)
        stack.callback(reader.close)
        yield reader


def lay_out_clone(home: Path) -> None:
    """What a fresh clone has, and the environment that `make setup` has made in it."""
    for path in ROOT.iterdir():
        if path.name not in {".git", ".locum", "build", "dist"}:
            (home / path.name).symlink_to(path)


def _starts_server(block: Block) -> bool:
    commands = ("locum serve", "locum quickstart", "make run")
    return block.runs and block.language == "bash" and any(c in block.code for c in commands)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
