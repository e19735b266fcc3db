"""The server that `make run` starts: the very command, in a process and a directory of its own."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from locum.tools.code_interpreter import packages
from locum.tools.file_search import minilm

_READY_S = 60.0


@contextlib.contextmanager
def quickstarted(folder: Path) -> Iterator[str]:
    """The address of `locum quickstart` with the scripted model, all else as it comes."""
    kept = Path(tempfile.gettempdir()) / f"locum-tests-{os.getuid()}"
    # Playwright has a loop of its own in this thread.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, _fetch(kept)).result()
    data = folder / "data"
    data.mkdir()
    # What it would fetch at its first start, and keep.
    (data / "models").symlink_to(kept / "models")
    (data / "sandbox-packages").symlink_to(kept)
    command = [sys.executable, "-m", "locum", "quickstart", "--port", "0", "--data", str(data)]
    environment = os.environ | {"LOCUM_MODEL": "scripted"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        # A server that never listens is ended, and its output with it.
        patience = threading.Timer(_READY_S, process.kill)
        patience.start()
        try:
            yield _address(process, folder / "log")
        finally:
            patience.cancel()
            process.terminate()
            process.communicate(timeout=_READY_S)


async def _fetch(kept: Path) -> None:
    await packages.install(kept)
    if not minilm.is_fetched(kept / "models"):
        await minilm.fetch(kept / "models")


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listens on (http://\S+)/v1", line):
            return found[1]
    raise AssertionError(f"It never listened: {log.read_text('utf-8')[-2_000:]}")
