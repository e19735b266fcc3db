"""Waiting for what a server does after it has answered."""

import threading
from collections.abc import Callable

import pytest

_WAIT_S = 30.0


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds; within five seconds."""

    def wait(holds: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(int(_WAIT_S / 0.01)):
            if holds():
                return
            pause.wait(0.01)
        raise AssertionError("it never came to hold")

    return wait
