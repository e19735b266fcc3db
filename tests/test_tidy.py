"""What linters cannot see: sizes, names, and things that are said in one place only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src" / "locum"
_MOST_FILE_LINES = 500
_MOST_FUNCTION_LINES = 60
_BANNED = {"utils", "util", "common", "misc", "base", "manager", "helpers"}

# What is said in one place only: where it may stand, and why it may stand there.
_SAID_ONLY = {
    "time.time": {
        "clock.py": "time is passed in, so that a test can hold it still",
        "logs.py": "a line bears the time of the machine, which no test holds still",
    },
    "os.environ": {
        "settings.py": "the one place where the environment is read",
        "testing.py": "hands the environment on, without our settings",
        "tools/code_interpreter/runner.py": "runs within the walls, in an environment of its own",
    },
    "print": {"cli.py": "the command speaks to a person"},
}
_SQL = re.compile(r"^\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE) ")
# Modules that nothing imports, because something else starts them.
_STARTED = {
    "__main__": "python -m locum",
    "llm.llama_server": "the process of the embedded model",
    "tools.code_interpreter.runner": "the process within the walls",
    "tools.file_search.cutting_worker": "the process that cuts long texts",
    "tools.file_search.minilm_worker": "the process that embeds",
    "testing": "the tests of our users",
    "tools.file_search.worker": "the process that reads documents",
}


def _files(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        for path in sorted((_ROOT / room).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_no_file_is_too_long() -> None:
    long = {
        _name(path): lines
        for path in _files("src", "tests", "benchmarks", "examples")
        if (lines := len(path.read_text("utf-8").splitlines())) > _MOST_FILE_LINES
    }
    assert not long


def test_no_function_is_too_long() -> None:
    long = {
        f"{_name(path)}:{node.name}": lines
        for path in _files("src", "benchmarks", "examples")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > _MOST_FUNCTION_LINES
    }
    assert not long


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [_name(path) for path in _files("src", "tests") if path.stem in _BANNED]


def test_every_module_says_what_is_in_it() -> None:
    silent = [
        _name(path)
        for path in _files("src", "benchmarks", "examples")
        if path.read_text("utf-8").strip() and not ast.get_docstring(_tree(path))
    ]
    assert not silent


@pytest.mark.parametrize("said", sorted(_SAID_ONLY))
def test_what_is_said_in_one_place_is_said_nowhere_else(said: str) -> None:
    found = {
        path.relative_to(_SOURCE).as_posix() for path in _files("src") if said in _uses(_tree(path))
    }
    assert found == set(_SAID_ONLY[said])


def _uses(tree: ast.Module) -> set[str]:
    """Names that are called, and attributes that are read, as in `print` and `os.environ`."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    attributes = {node for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {ast.unparse(node) for node in (*called, *attributes)}


def test_sql_stands_behind_the_seam() -> None:
    found = {
        f"{_name(path)}:{node.lineno}"
        for path in _files("src")
        if "store" not in path.parts
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.match(node.value)
    }
    assert not found


def test_every_module_is_used() -> None:
    modules = {
        ".".join(path.relative_to(_SOURCE).with_suffix("").parts)
        for path in _files("src")
        if path.name != "__init__.py"
    }
    used = {name for path in _files("src") for name in _imported(path)}
    unused = modules - used - set(_STARTED)
    assert not unused
    assert set(_STARTED) <= modules


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("locum"):
            below = node.module.removeprefix("locum").lstrip(".")
            yield below
            for alias in node.names:
                yield f"{below}.{alias.name}".lstrip(".")


def test_a_todo_names_its_issue() -> None:
    loose = [
        f"{_name(path)}:{number}"
        for path in _files("src", "tests", "benchmarks", "examples")
        if path.name != "test_tidy.py"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(r"\b(TODO|FIXME|XXX)\b", line) and "issues/" not in line
    ]
    assert not loose
