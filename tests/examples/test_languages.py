"""Examples in other languages: run where the machine speaks them, read by a parser where not."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from tests.examples.conftest import EXAMPLES
from tests.examples.programs import run
from tests.kit.environments import tools
from tests.kit.server import Server

pytestmark = pytest.mark.slow

_PARSER: Final = Path(__file__).with_name("parse.py")
_PARSE_S: Final = 60
_PLAIN: Final = "completed\nYou said: Good morning.\nmessage_creation completed\n"


class Program(NamedTuple):
    path: str
    grammar: str
    command: tuple[str, ...]
    says: str


_PROGRAMS: Final = [
    Program("go/main.go", "go", ("go", "run"), _PLAIN),
    Program("ruby/assistant.rb", "ruby", ("ruby",), _PLAIN),
    Program("csharp/Program.cs", "c_sharp", ("dotnet", "run"), _PLAIN),
    Program("java/Assistant.java", "java", ("java",), "Once upon a time a program found its"),
]


@pytest.mark.parametrize("program", _PROGRAMS, ids=lambda program: program.path)
def test_a_program_can_be_read(program: Program) -> None:
    _parse(program.grammar, EXAMPLES / program.path)


@pytest.mark.parametrize("program", _PROGRAMS, ids=lambda program: program.path)
def test_a_program_says_what_it_should(
    program: Program,
    environment: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if shutil.which(program.command[0]) is None:
        with capfd.disabled():
            said = f"\n{program.path}: no {program.command[0]} here; only read by a parser.\n"
            sys.stdout.write(said)
        return
    path = str(EXAMPLES / program.path)
    quiet = environment | {"HOME": str(Path.home()), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    said = run(*program.command, path, environment=quiet, folder=tmp_path)
    assert said.startswith(program.says)


def test_a_program_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.go").write_text("package main\nfunc main() { x := }\n", "utf-8")
    with pytest.raises(subprocess.CalledProcessError) as found:
        _parse("go", tmp_path / "wrong.go")
    assert "wrong.go:2" in found.value.stderr


def _parse(grammar: str, path: Path) -> None:
    subprocess.run(
        [tools() / "python", _PARSER, grammar, path],
        check=True,
        capture_output=True,
        text=True,
        timeout=_PARSE_S,
    )


def test_the_commands_for_curl_stream_a_run_and_list_its_steps(
    ruled: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    script = str(EXAMPLES / "curl" / "assistant.sh")
    subprocess.run([tools() / "shellcheck", script], check=True, timeout=_PARSE_S)
    listed = run("bash", script, environment=environment, folder=tmp_path)
    assert '"object":"list"' in listed
    assert '"type":"message_creation"' in listed
    assert not list(tmp_path.iterdir())


@pytest.mark.node
def test_the_program_for_node(environment: dict[str, str], tmp_path: Path) -> None:
    """Beside the official client that the contract tests install."""
    modules = EXAMPLES.parent / "tests" / "contract" / "node" / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(EXAMPLES / "node" / "assistant.mjs", tmp_path)
    said = run("node", "assistant.mjs", environment=environment, folder=tmp_path)
    assert said.splitlines() == [
        'get_weather({"city": "Paris"})',
        "In Paris it is 18 °C.",
        "completed",
        "tool_calls completed",
        "message_creation completed",
    ]
