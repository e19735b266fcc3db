"""The processes of a trial: Locum, its ceiling, its model; started, waited for, and ended."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from benchmarks.machine import ALL, MEASURED, tree

_HOST = "127.0.0.1"
_START_S = 60.0
_STOP_S = 20.0
_LOOK_AGAIN_S = 0.005
_AT_REST_S = 0.2


class Process:
    def __init__(
        self,
        *words: str,
        port: int,
        environment: dict[str, str] | None = None,
        on: set[int] | None = None,
    ) -> None:
        self.port = port
        self.begun_at = time.perf_counter()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        if on is not None:
            os.sched_setaffinity(self._process.pid, on)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.perf_counter() - self.begun_at

    @property
    def pid(self) -> int:
        return self._process.pid

    def roam(self) -> Self:
        """Let it use every processor after all."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), ALL)
        return self

    def at_rest(self) -> Self:
        """When what it tries out at its start, in one process after the other, has ended.

        Nothing tells of that end, so it is looked for; a trial has nothing else to do meanwhile.
        """
        alone_since = time.perf_counter()
        while time.perf_counter() - alone_since < _AT_REST_S:
            if time.perf_counter() - self.begun_at > _START_S:
                self.stop()
                raise RuntimeError("a server does not come to rest after its start")
            time.sleep(_LOOK_AGAIN_S)
            if tree(self.pid) != [self.pid]:
                alone_since = time.perf_counter()
        return self

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._errors.close()

    def _wait(self) -> None:
        while time.perf_counter() - self.begun_at < _START_S:
            with socket.socket() as probe:
                if probe.connect_ex((_HOST, self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(_LOOK_AGAIN_S)
        self._errors.seek(0)
        raise RuntimeError(f"a server did not start: {self._errors.read().decode()[-2000:]}")


@contextmanager
def running(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.stop()


def locum(data: Path, **settings: object) -> Process:
    """Locum as `locum serve` starts it, on a port and a processor of its own."""
    port = free_port()
    environment = {f"LOCUM_{name.upper()}": str(value) for name, value in settings.items()}
    environment.setdefault("LOCUM_MODEL", "scripted")
    environment.setdefault("LOCUM_FILES_AT_ONCE", "0")
    environment.setdefault("LOCUM_SANDBOX_WARM", "0")
    return Process(
        *("-m", "locum", "serve", "--port", str(port), "--data", str(data)),
        port=port,
        environment=environment,
        on=MEASURED,
    ).at_rest()


def ceiling() -> Process:
    """An application that does nothing, on the server that is the yardstick."""
    port = free_port()
    return Process("-m", "benchmarks.ceilings", "granian", str(port), port=port, on=MEASURED)


def bare(model: Process | None = None) -> Process:
    """The same application on the server of Locum; it may pass on what a model streams."""
    port = free_port()
    words = [str(port)] if model is None else [str(port), str(model.port)]
    return Process("-m", "benchmarks.ceilings", "own", *words, port=port, on=MEASURED)


def model() -> Process:
    port = free_port()
    return Process("-m", "benchmarks.model", str(port), port=port)


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="locum-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
