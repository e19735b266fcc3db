"""A server for your own tests: `with locum.testing.server() as base_url: …`.

It needs no key, no network and no model. It runs in a process of its own, with data that is gone
afterwards, and sees none of the settings of this machine.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_LISTENS = re.compile(r"listens on (\S+)")
_STOP_S = 10.0
_LOOK_AGAIN_S = 0.02


class NotStarted(Exception):
    """The server did not start; the message has its last words."""


@contextmanager
def server(
    rules: Mapping[str, str] | None = None, *, start_s: float = 30.0, **settings: object
) -> Iterator[str]:
    """The base URL of a server that lives as long as the block.

    `rules` say what the scripted model does, as its page in the documentation describes: a regular
    expression that the user's text is searched for, and the script that then runs. Without rules
    it does what the messages themselves tell it, or echoes them. `settings` are those of the
    server: `server(strict_beta=True)`.
    """
    with TemporaryDirectory(prefix="locum-testing-", ignore_cleanup_errors=True) as folder:
        chosen = {"host": "127.0.0.1", "port": 0, "data": folder, "model": "scripted"} | settings
        if rules is not None:
            chosen["script"] = _script(Path(folder), rules)
        said = Path(folder) / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "locum", "serve"],
                env=_environment(chosen),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _address(process, said, start_s)
        finally:
            _stop(process)


def _script(folder: Path, rules: Mapping[str, str]) -> Path:
    path = folder / "rules.json"
    told = {"rule": [{"when": when, "script": script} for when, script in rules.items()]}
    path.write_text(json.dumps(told), "utf-8")
    return path


def _environment(settings: Mapping[str, object]) -> dict[str, str]:
    """That of this process, without a setting but ours: tests must not reach a real database."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LOCUM_")}
    return bare | {f"LOCUM_{name.upper()}": _written(value) for name, value in settings.items()}


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool | dict | list | tuple) else str(value)


def _address(process: subprocess.Popen[bytes], said: Path, start_s: float) -> str:
    """Where it listens, once it says so."""
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        words = said.read_text("utf-8", "replace")
        if found := _LISTENS.search(words):
            return found[1]
        if ended:
            raise NotStarted(f"The server did not start:\n{words}")
        time.sleep(_LOOK_AGAIN_S)
    raise NotStarted(f"The server did not start within {start_s} s:\n{words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
