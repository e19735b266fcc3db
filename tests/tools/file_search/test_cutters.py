"""Cutting in processes: what comes back, what a death costs, and what is never run again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.extract import ExtractionFailed

_LONG = "a word and another " * 500
_BOUND_S = 60
# As people write scripts: nothing keeps it from being run when it is imported.
_SCRIPT = """
import asyncio
from locum.tools.file_search.cutters import Cutters

async def main():
    cutters = Cutters(workers=1)
    print(len(await cutters.cut(str.split, "a word and another " * 500)))
    await cutters.close()

asyncio.run(main())
"""


def _process(_: str) -> int:
    return os.getpid()


def _fails(text: str) -> None:
    raise ValueError(text[:6])


def _dies(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hangs(_: str, pipe: str) -> None:
    with Path(pipe).open("w", encoding="utf-8") as told:
        told.write(str(os.getpid()))
    signal.pause()


def _with_cutters(scene: Callable[[Cutters], Awaitable[None]]) -> None:
    async def bounded() -> None:
        cutters = Cutters(workers=1)
        try:
            async with asyncio.timeout(_BOUND_S):
                await scene(cutters)
        finally:
            await cutters.close()

    asyncio.run(bounded())


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(_SCRIPT)
    done = subprocess.run(  # our own script
        [sys.executable, str(script)], capture_output=True, text=True, timeout=_BOUND_S, check=False
    )
    assert (done.stdout, done.stderr) == ("2000\n", "")


def test_long_texts_are_cut_by_one_process_and_short_ones_here() -> None:
    async def scene(cutters: Cutters) -> None:
        assert await cutters.cut(_process, "short") == os.getpid()
        first = await cutters.cut(_process, _LONG)
        assert first != os.getpid()
        assert await cutters.cut(_process, _LONG) == first

    _with_cutters(scene)


def test_a_failure_comes_back_and_the_process_stays() -> None:
    async def scene(cutters: Cutters) -> None:
        first = await cutters.cut(_process, _LONG)
        with pytest.raises(ValueError, match="a word"):
            await cutters.cut(_fails, _LONG)
        assert await cutters.cut(_process, _LONG) == first

    _with_cutters(scene)


def test_a_process_that_dies_costs_its_text_alone() -> None:
    async def scene(cutters: Cutters) -> None:
        with pytest.raises(ExtractionFailed, match="has died") as failure:
            await cutters.cut(_dies, _LONG)
        assert failure.value.code == "server_error"
        assert await cutters.cut(_process, _LONG)

    _with_cutters(scene)


def test_what_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    pipe = tmp_path / "told"
    os.mkfifo(pipe)

    async def scene(cutters: Cutters) -> None:
        cut = asyncio.create_task(cutters.cut(_hangs, _LONG, str(pipe)))
        pid = int(await asyncio.to_thread(pipe.read_text))
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    _with_cutters(scene)
