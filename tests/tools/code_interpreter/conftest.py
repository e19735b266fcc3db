"""Sandboxes for a whole module of tests. A machine that allows no namespaces skips, and says so."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.tools.code_interpreter.rig import UNSAFE, WALLED, Rig, sandbox_of

from locum.tools.code_interpreter.sandbox import SandboxUnavailable

Build = Callable[..., Rig]


@contextmanager
def rig_of(tier: str, directory: Path, **options: Any) -> Iterator[Rig]:
    with asyncio.Runner() as loop:
        try:
            sandbox = sandbox_of(tier, directory, **options)
            loop.run(sandbox.prepare())
            loop.run(sandbox.try_out())
        except SandboxUnavailable as error:
            pytest.skip(f"this machine cannot build the walls: {error}")
        try:
            yield Rig(sandbox, loop)
        finally:
            loop.run(sandbox.close())


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig_of(WALLED, tmp_path_factory.mktemp("sandbox")) as rig:
        yield rig


@pytest.fixture(scope="module", params=[WALLED, pytest.param(UNSAFE, marks=pytest.mark.slow)])
def any_rig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    with rig_of(request.param, tmp_path_factory.mktemp("sandbox")) as rig:
        yield rig


@pytest.fixture(params=[WALLED, pytest.param(UNSAFE, marks=pytest.mark.slow)])
def build_any(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Build]:
    """Makes a sandbox of each tier with the options given."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            rig_of(request.param, tmp_path / "data", **options)
        )


@pytest.fixture
def build_walled(tmp_path: Path) -> Iterator[Build]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(rig_of(WALLED, tmp_path / "data", **options))
