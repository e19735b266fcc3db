"""The Python examples, each run as a user would run it."""

import sys
from pathlib import Path

import pytest
from tests.examples.conftest import EXAMPLES
from tests.examples.programs import run
from tests.kit.environments import environment as made_of

pytestmark = pytest.mark.slow

_FRAMEWORKS = EXAMPLES.parent / "requirements" / "examples.txt"
_SAYS = {
    "one_run.py": "completed\nuser: Good morning.\nassistant: You said: Good morning.\n"
    "message_creation completed\n",
    "many_at_once.py": "You said: Question 1\nYou said: Question 2\n",
    "streaming.py": "Once upon a time a program found its server gone. It was given another"
    " address, and went on.\n[message_creation: completed, ",
    "functions.py": 'get_weather({"city": "Paris"})\nIn Paris it is 18 °C and sunny, says',
    "code_interpreter.py": "print(sum(range(1, 101)))\n> 5050\nThe sum is 5050\n",
    "file_search.py": "Twenty days a year. [1]\n[1] leave.txt\n",
}


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLES / "python").glob("*.py")))
def test_an_example_says_what_it_should(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    program = str(EXAMPLES / "python" / name)
    assert run(sys.executable, program, environment=environment, folder=tmp_path).startswith(
        _SAYS[name]
    )


def test_the_fixture_serves_the_tests_of_a_user(
    environment: dict[str, str], tmp_path: Path
) -> None:
    tests = str(EXAMPLES / "pytest")
    bare = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", tests]
    said = run(
        *(sys.executable, "-m", "pytest", *bare, tests), environment=environment, folder=tmp_path
    )
    assert "3 passed" in said


@pytest.mark.parametrize("name", ["autogen_agent.py", "langchain_agent.py"])
def test_a_framework_that_was_made_for_the_original(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    python = str(made_of(_FRAMEWORKS))
    program = str(EXAMPLES / "frameworks" / name)
    said = run(python, program, environment=environment, folder=tmp_path)
    assert "In Paris it is 18 °C and sunny, says the window of Paris." in said
