"""Every block of code in the documentation has run, or says on its face why it cannot."""

import configparser
import json
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.docs.blocks import Block, blocks, documents
from tests.docs.pages import ROOT
from tests.docs.running import Failed, Reader, lay_out_clone, reading
from tests.kit.environments import tools

from locum.settings import SettingsError, load

_PARSE_S: Final = 60
_RUN: Final = frozenset({"bash", "python"})
# Nothing can be said of these but that people read them.
_READ: Final = frozenset({"text", "http", "nginx", "diff", "mermaid", "promql", "caddyfile"})
# What the server of a page is told, where its programs need that.
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "docs/how-to/mcp.md": {"mcp_hosts": ("mcp.example.com",)},
    "docs/how-to/watch.md": {"admin_key": "0123456789abcdef0123456789abcdef"},
}
_WRONG: Final = (AssertionError, ValueError, SyntaxError, SettingsError, configparser.Error)
_YAML: Final = "import sys, yaml; list(yaml.safe_load_all(sys.stdin))"
_PARSER: Final = ROOT / "tests" / "examples" / "parse.py"
_GRAMMARS: Final = {"go": "go", "java": "java", "csharp": "c_sharp", "ruby": "ruby"}
_PAGES: Final = [path for path in documents() if list(blocks(path))]


@pytest.mark.slow
@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_of_a_page_runs(path: Path, tmp_path: Path) -> None:
    found = list(blocks(path))
    for block in found:
        _check(block, tmp_path)
    todo = [block for block in found if _is_run(block)]
    if not any(block.language in _RUN for block in todo):
        return
    home = tmp_path / "home"
    with reading(home, todo, _SETTINGS.get(todo[0].page, {})) as reader:
        lay_out_clone(home)
        _read_on(reader, found)


def _is_run(block: Block) -> bool:
    return block.runs and (block.language in _RUN or block.file is not None)


def _read_on(reader: Reader, found: list[Block]) -> None:
    """Run what runs; text with the title `Output` is what the block before it says."""
    said = ""
    for block in found:
        if _is_run(block):
            said = reader.run(block)
        elif block.title == "Output" and said.strip() != block.code.strip():
            raise Failed(f"{block.place}: the block before it says:\n{said}")


def _check(block: Block, scratch: Path) -> None:
    """What can be told of a block without running it."""
    assert block.language, f"{block.place}: say the language of the block, or `text`"
    if block.language in _READ or (block.language == "bash" and block.runs):
        return
    assert block.language in _PARSERS, (
        f"{block.place}: nobody knows how to check {block.language!r}:"
        " teach tests/docs/test_blocks.py, or call it `text`"
    )
    try:
        _PARSERS[block.language](block, scratch)
    except _WRONG as error:
        raise Failed(f"{block.place}: {error}") from error


def _python(block: Block, _scratch: Path) -> None:
    compile(block.code, block.place, "exec")


def _shell(block: Block, _scratch: Path) -> None:
    _ask(block, str(tools() / "shellcheck"), "--shell=bash", "--severity=warning", "-")


def _yaml(block: Block, _scratch: Path) -> None:
    _ask(block, str(tools() / "python"), "-c", _YAML)


def _containerfile(block: Block, _scratch: Path) -> None:
    _ask(block, str(tools() / "hadolint"), "-")


def _javascript(block: Block, scratch: Path) -> None:
    (scratch / "block.mjs").write_text(block.code, "utf-8")
    _ask(block, "node", "--check", str(scratch / "block.mjs"))


def _by_grammar(block: Block, scratch: Path) -> None:
    (scratch / "program").write_text(block.code, "utf-8")
    grammar = _GRAMMARS[block.language]
    _ask(block, str(tools() / "python"), str(_PARSER), grammar, str(scratch / "program"))


def _toml(block: Block, scratch: Path) -> None:
    """Settings of Locum, unless its title names another file."""
    if block.file not in (None, "locum.toml"):
        tomllib.loads(block.code)
        return
    (scratch / "locum.toml").write_text(block.code, "utf-8")
    load(environment={}, file=scratch / "locum.toml")


def _json(block: Block, _scratch: Path) -> None:
    json.loads(block.code)


def _ini(block: Block, _scratch: Path) -> None:
    configparser.ConfigParser(strict=False, interpolation=None).read_string(block.code)


def _ask(block: Block, *command: str) -> None:
    """Whether a program has nothing to say against the code."""
    done = subprocess.run(
        command, input=block.code, capture_output=True, text=True, timeout=_PARSE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


_PARSERS: Final[Mapping[str, Callable[[Block, Path], None]]] = {
    "python": _python,
    "bash": _shell,
    "yaml": _yaml,
    "dockerfile": _containerfile,
    "javascript": _javascript,
    "toml": _toml,
    "json": _json,
    "ini": _ini,
    **dict.fromkeys(_GRAMMARS, _by_grammar),
}


def _block(code: str, *, language: str = "bash", title: str = "") -> Block:
    return Block("docs/page.md", 1, language, title, code)


def test_a_block_that_fails_says_where_and_why(tmp_path: Path) -> None:
    wrong = [_block("echo before; false"), _block("1 / 0", language="python")]
    with reading(tmp_path / "home", wrong, {}) as reader:
        with pytest.raises(Failed, match=r"docs/page\.md:1: exit code 1\nbefore"):
            reader.run(wrong[0])
        with pytest.raises(Failed, match=r"docs/page\.md:1: ZeroDivisionError"):
            reader.run(wrong[1])


def test_blocks_of_a_page_share_a_folder_a_shell_and_names(tmp_path: Path) -> None:
    page = [
        _block("answer = 42\n", title="answer.py", language="python"),
        _block("mkdir inner; cd inner; export WORD=kept"),
        _block('echo "$WORD in ${PWD##*/}"; python ../answer.py'),
        _block("import answer", language="python"),
    ]
    with reading(tmp_path / "home", page, {}) as reader:
        assert [reader.run(block) for block in page[:3]] == ["", "", "kept in inner\n"]


@pytest.mark.slow
def test_a_server_that_a_page_starts_goes_on_until_the_page_ends(tmp_path: Path) -> None:
    page = [
        _block("locum serve"),
        _block("curl -s http://127.0.0.1:8000/v1/models -H 'Authorization: Bearer k'"),
        _block("locum serve --model scripted"),
    ]
    with reading(tmp_path / "home", page, {}) as reader:
        assert "listens on" in reader.run(page[0])
        assert '"object":"list"' in reader.run(page[1])
        assert "Model: " in reader.run(page[2])
        pid = int((tmp_path / "home" / ".shell" / "pid").read_text())
    gone = subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False)
    assert gone.returncode != 0


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "print("),
        ("toml", "no_such_setting = 1"),
        ("json", "{"),
        ("ini", "words"),
        ("", "words"),
        ("cobol", "words"),
    ],
)
def test_a_block_that_cannot_be_read_is_found(language: str, code: str, tmp_path: Path) -> None:
    with pytest.raises((Failed, AssertionError), match=r"docs/page\.md:1"):
        _check(_block(code, language=language), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "code"),
    [("bash", "for x in; echo"), ("yaml", "a: [1"), ("dockerfile", "FROM debian")],
)
def test_a_block_that_cannot_run_here_is_parsed(language: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(Failed):
        _check(_block(code, language=language, title="Needs a lot"), tmp_path)
