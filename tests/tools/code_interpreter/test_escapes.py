"""Hostile code, run for real. Each attempt fails within, and the host is as before."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.tools.code_interpreter.attempts import ATTEMPTS, PRELUDE, Attempt
from tests.tools.code_interpreter.conftest import Build
from tests.tools.code_interpreter.rig import Rig, our_processes

from locum.tools.code_interpreter import python


class Host:
    """What hostile code is after, and what must not have changed afterwards."""

    def __init__(self, directory: Path, listener: socket.socket, rig: Rig) -> None:
        self.canary = directory / "canary"
        self.canary.write_text("untouched")
        self._listener = listener
        self._rig = rig
        self._state = self._look()

    def prelude(self) -> str:
        port = self._listener.getsockname()[1]
        return (
            f"{PRELUDE}\nADDRESS = ('127.0.0.1', {port})\n"
            f"CANARY, VENV = {str(self.canary)!r}, {str(Path(msgspec.__file__).parent)!r}\n"
            f"DATA = {str(self._rig.sandbox.settings.directory)!r}\n"
        )

    def _look(self) -> tuple[object, ...]:
        return (
            self.canary.read_text(),
            socket.gethostname(),
            Path("/proc/self/mounts").read_text(),
            sorted(Path("/").iterdir()),
            sorted(Path("/usr/bin").iterdir()),
            sorted(self.canary.parent.iterdir()),
        )

    def assert_as_before(self) -> None:
        assert self._look() == self._state
        with pytest.raises(BlockingIOError):
            self._listener.accept()


@pytest.fixture(scope="module")
def host(walled: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    os.environ["LOCUM_CANARY"] = "a secret of the server"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Host(tmp_path_factory.mktemp("host"), listener, walled)
    del os.environ["LOCUM_CANARY"]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_fails_and_the_host_is_as_before(
    walled: Rig, host: Host, attempt: Attempt
) -> None:
    session = walled.session("hostile")
    if "CANARY" not in walled.logs(session, "dir()"):
        walled.run(session, host.prelude())
    processes = our_processes()

    text = walled.logs(session, attempt.code)

    assert "ESCAPED" not in text
    assert re.search(attempt.refusal, text), text
    host.assert_as_before()
    assert our_processes() == processes
    assert walled.logs(session, "1 + 1") == "2"


def test_the_folder_of_the_server_is_empty_where_all_around_it_is_shown(
    build_walled: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a server that lies in /usr/src and is not root: its code has the server's user."""
    tmp_path.chmod(0o755)
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "database").write_text("a secret of the server")
    shown = [*python.prefixes(), tmp_path]
    monkeypatch.setattr(python, "prefixes", lambda: shown)
    rig = build_walled(hidden=tmp_path / "server")

    text = rig.logs(
        rig.session(),
        f"import os\nprint('server' in os.listdir({str(tmp_path)!r}))\n"
        f"print(os.listdir({str(tmp_path / 'server')!r}))\n"
        f"open({str(tmp_path / 'server' / 'planted')!r}, 'w')",
    )

    assert text.startswith("True\n[]\n")
    assert re.search("Read-only|PermissionError", text)
