"""The code that the explorer writes: it parses, and it does what the form does."""

import ast
import ctypes.util
import json
import keyword
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.kit.environments import tools
from tests.kit.server import Server
from tests.kit.talk import Talk, path_of
from tests.web.conftest import Write

from locum.api.routes import ROUTES

pytestmark = pytest.mark.node

_BASE = "http://127.0.0.1:9/v1"
_WITHIN_S = 90
# The page's own scripts write the code, and only Node can run them outside a browser.
pytestmark = pytest.mark.node
_NODE_PACKAGES = Path(__file__).parent.parent / "contract" / "node" / "node_modules"
_LANGUAGES = {
    "c",
    "csharp",
    "dart",
    "go",
    "http",
    "java",
    "javascript",
    "node_sdk",
    "objc",
    "ocaml",
    "php",
    "python",
    "python_sdk",
    "r",
    "ruby",
    "shell",
    "swift",
}
# As much of libcurl's header as a compiler needs, with the values that its library goes by: so
# code in C is compiled and run where there is the library alone.
_CURL_H = """
typedef void CURL; typedef int CURLcode; struct curl_slist; typedef struct m curl_mime;
typedef struct p curl_mimepart;
enum { CURLE_OK, CURL_GLOBAL_DEFAULT = 3, CURLOPT_URL = 10002, CURLOPT_CUSTOMREQUEST = 10036,
       CURLOPT_HTTPHEADER = 10023, CURLOPT_POSTFIELDS = 10015, CURLOPT_MIMEPOST = 10269 };
#define CURL_ZERO_TERMINATED ((unsigned long)-1)
CURLcode curl_global_init(long); void curl_global_cleanup(void);
CURL *curl_easy_init(void); CURLcode curl_easy_setopt(CURL *, int, ...);
CURLcode curl_easy_perform(CURL *); const char *curl_easy_strerror(CURLcode);
void curl_easy_cleanup(CURL *); struct curl_slist *curl_slist_append(struct curl_slist *,
const char *); void curl_slist_free_all(struct curl_slist *); curl_mime *curl_mime_init(CURL *);
curl_mimepart *curl_mime_addpart(curl_mime *); void curl_mime_name(curl_mimepart *, const char *);
void curl_mime_data(curl_mimepart *, const char *, unsigned long);
void curl_mime_filedata(curl_mimepart *, const char *); void curl_mime_free(curl_mime *);
"""

Texts = dict[str, list[str]]


@pytest.fixture(scope="module")
def everything(write_code: Write) -> Any:
    return write_code(_BASE)


@pytest.fixture(scope="module")
def texts(everything: Any) -> Texts:
    """All snippets of a language."""
    told: Texts = defaultdict(list)
    for one in everything["snippets"]:
        told[one["language"]].append(one["text"])
    return told


def _run(command: list[str], *, where: Path | None = None, **told: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
        cwd=where,
        env={**os.environ, **told},
    )
    assert done.returncode == 0, done.stderr[-4_000:] + done.stdout[-1_000:]
    return done.stdout


def test_every_operation_is_written_in_every_language(everything: Any) -> None:
    told = {(one["operation"], one["language"]) for one in everything["snippets"]}
    assert told == {(route.name, language) for route in ROUTES for language in _LANGUAGES}


def test_no_snippet_holds_a_key(everything: Any) -> None:
    for one in everything["snippets"]:
        assert "OPENAI_API_KEY" in one["text"]
        assert not re.search(r"Bearer (?!\$|\\\(|\"|'|#)\w", one["text"]), one["text"]


# U+FEFF too: Go takes it for a mistake wherever it stands but at the beginning.
_NOT_AS_IT_STANDS = re.compile("[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("language", sorted(_LANGUAGES))
def test_nothing_in_code_breaks_a_line_or_turns_it_around_unseen(
    texts: Texts, language: str
) -> None:
    """C# ends lines where others do not, and people read what is shown, not what is executed."""
    for text in texts[language]:
        assert not _NOT_AS_IT_STANDS.search(text), text


@pytest.mark.parametrize("language", ["python", "python_sdk"])
def test_python_parses_and_says_the_same_words(
    texts: Texts, everything: Any, language: str
) -> None:
    words = set()
    for text in texts[language]:
        words |= {
            node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)
        }
    assert everything["hard"] in words


def test_python_parses_whatever_a_body_is_made_of(write_code: Write) -> None:
    """No word of the language names an argument."""
    wanted = [{"operation": "create_thread", "body": {word: 1}} for word in keyword.kwlist]
    for told in write_code(_BASE, wanted)["snippets"]:
        if told["language"] == "python_sdk":
            ast.parse(told["text"])


def test_the_shell_parses(texts: Texts, tmp_path: Path) -> None:
    script = tmp_path / "all.sh"
    script.write_text("\n".join(texts["shell"]))
    _run(["bash", "-n", str(script)])


@pytest.mark.parametrize("language", ["javascript", "node_sdk"])
def test_javascript_parses(texts: Texts, tmp_path: Path, language: str) -> None:
    (tmp_path / "texts.json").write_text(json.dumps(texts[language]))
    script = tmp_path / "parse.mjs"
    script.write_text(
        "import vm from 'node:vm'; import { readFileSync } from 'node:fs';\n"
        "for (const text of JSON.parse(readFileSync(process.argv[2], 'utf8')))"
        " new vm.SourceTextModule(text);\n"
    )
    flags = ["--experimental-vm-modules", "--no-warnings"]
    _run(["node", *flags, str(script), str(tmp_path / "texts.json")])


def test_c_compiles(texts: Texts, tmp_path: Path) -> None:
    _write_header(tmp_path)
    files = _written(texts["c"], tmp_path, "c")
    flags = ["-fsyntax-only", "-std=c11", "-Wall", "-Werror", f"-I{tmp_path}"]
    _run(["gcc", *flags, *files])


def _write_header(folder: Path) -> None:
    (folder / "curl").mkdir()
    (folder / "curl" / "curl.h").write_text(_CURL_H)


def test_raw_http_is_a_request(texts: Texts) -> None:
    for text in texts["http"]:
        head, _, body = text.partition("\r\n\r\n")
        first, *headers = head.split("\r\n")
        assert re.fullmatch(r"(GET|POST|DELETE) /v1/\S* HTTP/1\.1", first), first
        told = dict(line.split(": ", 1) for line in headers)
        assert told["Host"] == "127.0.0.1:9"
        if "Content-Length" in told:
            assert int(told["Content-Length"]) == len(body.encode())
            json.loads(body)
        assert "\n" not in head.replace("\r\n", "")


_WITH_PARSERS = ["csharp", "dart", "go", "java", "objc", "ocaml", "php", "ruby", "swift"]


@pytest.mark.slow
def test_languages_that_the_machine_does_not_speak_parse(texts: Texts) -> None:
    """By grammars made by others, which must notice a bracket too many."""
    command = [str(tools() / "python"), str(Path(__file__).with_name("parsers.py"))]
    wrong = {name: [f"{text})" for text in texts[name]] for name in _WITH_PARSERS}
    assert _fed(command, texts) == {name: [] for name in _WITH_PARSERS}
    unread = _fed(command, wrong)
    assert {name: len(unread[name]) for name in wrong} == {name: len(texts[name]) for name in wrong}


def _fed(command: list[str], texts: Texts) -> Any:
    given = json.dumps(texts)
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=_WITHIN_S
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Read by their own tools too, where these are.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "ending", "command"),
    [
        ("java", "java", ["javac", "-proc:none", "-d", "out"]),
        ("php", "php", ["php", "-l"]),
        ("ruby", "rb", ["ruby", "-c"]),
        ("go", "go", ["gofmt", "-e", "-l"]),
        ("ocaml", "ml", ["ocamlc", "-stop-after", "parsing"]),
        ("r", "R", ["Rscript", "-e", "for (f in commandArgs(TRUE)) invisible(parse(f))"]),
        ("swift", "swift", ["swiftc", "-parse"]),
        ("dart", "dart", ["dart", "format", "--output=none"]),
    ],
)
def test_a_language_whose_tools_are_here_parses(
    texts: Texts, tmp_path: Path, language: str, ending: str, command: list[str]
) -> None:
    if shutil.which(command[0]) is None:
        assert texts[language]
        return
    if language == "java":
        # A public class has a file of its own, so each gets a name of its own.
        told = [
            text.replace("class Main", f"class Main{at}") for at, text in enumerate(texts["java"])
        ]
        files = _written(told, tmp_path, "java", stem="Main")
        _run([*command, *files], where=tmp_path)
        return
    files = _written(texts[language], tmp_path, ending)
    # Starting R once for each would take a minute.
    for some in [files] if language == "r" else [[file] for file in files]:
        _run([*command, *some], where=tmp_path)


def _written(texts: list[str], folder: Path, ending: str, *, stem: str = "snippet") -> list[str]:
    files = []
    for at, text in enumerate(texts):
        file = folder / f"{stem}{at}.{ending}"
        file.write_text(text)
        files.append(str(file))
    return files


Execute = Callable[[str, dict[str, Any]], str]


@pytest.fixture
def execute(server: Server, write_code: Write, tmp_path: Path) -> Execute:
    """What the code of a request prints, when run as a reader of it would."""

    def execute(language: str, wanted: dict[str, Any]) -> str:
        text = _of(write_code(f"{server.url}/v1", [wanted]), language)
        if language == "http":
            return _over_a_socket(text.replace("$OPENAI_API_KEY", "sk-any"), server.port)
        if language == "node_sdk":
            (tmp_path / "node_modules").symlink_to(_NODE_PACKAGES)
        if language == "c":
            _write_header(tmp_path)
        runner, ending = _RUNNERS[language]
        file = tmp_path / f"Main.{ending}"
        file.write_text(text)
        return _run([*runner, str(file)], where=tmp_path, OPENAI_API_KEY="sk-any")

    return execute


def _over_a_socket(text: str, port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), _WITHIN_S) as connection:
        connection.sendall(text.encode())
        with connection.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2].decode()


_PYTHON = [sys.executable, "-W", "ignore"]
_CURL = ctypes.util.find_library("curl")
_RUNNERS = {
    "c": (["bash", "-c", f'gcc -std=c11 -I. "$0" -o main -l:{_CURL} && ./main'], "c"),
    "go": (["go", "run"], "go"),
    "java": (["java"], "java"),
    "javascript": (["node"], "mjs"),
    "node_sdk": (["node"], "mjs"),
    "php": (["php"], "php"),
    "python": (_PYTHON, "py"),
    "python_sdk": (_PYTHON, "py"),
    "ruby": (["ruby"], "rb"),
    "shell": (["bash"], "sh"),
}


def _can_run(language: str) -> bool:
    if language == "node_sdk":
        return (_NODE_PACKAGES / "openai").exists()
    if language == "c":
        return _CURL is not None
    if language not in _OTHERS:
        return True
    if shutil.which(_RUNNERS[language][0][0]) is None:
        return False
    # PHP comes without it, where its parts are packages of their own.
    return language != "php" or b"curl" in subprocess.check_output(["php", "-m"]).split()


_RUNNABLE = ["shell", "javascript", "python", "python_sdk", "http", "node_sdk", "c"]
_OTHERS = ["java", "php", "ruby", "go"]
_EXECUTED = [*_RUNNABLE, *[pytest.param(name, marks=pytest.mark.slow) for name in _OTHERS]]


@pytest.mark.parametrize("language", _EXECUTED)
def test_a_snippet_says_what_was_typed(
    talk: Talk, execute: Execute, everything: Any, language: str
) -> None:
    """Executed, it makes a message with the very words, however hard they are to quote."""
    if not _can_run(language):
        return
    hard = everything["hard"]
    thread_id = talk.thread()
    wanted = {
        "operation": "create_message",
        "path": {"thread_id": thread_id},
        "body": {"role": "user", "content": hard, "metadata": {"key's \"$x": hard}},
    }
    execute(language, wanted)
    (message,) = talk.messages(thread_id)
    assert message["content"][0]["text"]["value"] == hard
    assert message["metadata"] == {"key's \"$x": hard}


@pytest.mark.parametrize("language", _EXECUTED)
def test_a_snippet_says_what_is_long(talk: Talk, execute: Execute, language: str) -> None:
    """Longer than Linux takes as an argument, and than Java takes as a constant."""
    if not _can_run(language):
        return
    said = "ünï☃😀" * 10_000
    thread_id = talk.thread()
    path = {"thread_id": thread_id}
    body = {"role": "user", "content": said}
    execute(language, {"operation": "create_message", "path": path, "body": body})
    (message,) = talk.messages(thread_id)
    assert message["content"][0]["text"]["value"] == said


@pytest.mark.parametrize("language", ["python_sdk", "node_sdk"])
def test_an_official_client_says_what_it_has_no_argument_for(
    talk: Talk, execute: Execute, language: str
) -> None:
    if not _can_run(language):
        return
    wanted = {
        "operation": "create_thread_and_run",
        "query": {"include[]": ["step_details.tool_calls[*].file_search.results[*].content"]},
        "body": {
            "assistant_id": talk.assistant(),
            "reasoning_effort": "low",
            "thread": {"messages": [{"role": "user", "content": "!say Hello."}]},
        },
    }
    assert json.loads(execute(language, wanted))["object"] == "thread.run"


def test_python_lists_files_before_another(execute: Execute, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Lisbon is sunny.")
    create = {"operation": "create_file", "body": {"file": "a.txt", "purpose": "assistants"}}
    older, newer = [json.loads(execute("python_sdk", create))["id"] for _ in range(2)]
    listed = execute("python_sdk", {"operation": "list_files", "query": {"before": older}})
    assert newer in listed
    assert older not in listed


def test_what_is_not_given_yet_is_named_in_the_code(write_code: Write) -> None:
    """As the address names it, so that whoever copies the code sees what to put there."""
    told = write_code(_BASE, [{"operation": "list_steps"}])
    assert 'steps.list("{run_id}", thread_id="{thread_id}")' in _of(told, "python_sdk")
    assert 'steps.list("{run_id}", {thread_id: "{thread_id}"})' in _of(told, "node_sdk")
    assert "/threads/{thread_id}/runs/{run_id}/steps" in _of(told, "shell")


def test_the_shell_asks_for_what_the_form_asks_for_while_it_is_empty(write_code: Write) -> None:
    """Without a word about it, curl would list the files."""
    assert "-X POST" in _of(write_code(_BASE, [{"operation": "create_file"}]), "shell")


@pytest.mark.parametrize("language", _EXECUTED)
def test_a_snippet_reads_what_the_form_reads(talk: Talk, execute: Execute, language: str) -> None:
    if not _can_run(language):
        return
    run = talk.run("!say Hello there.")
    wanted = {
        "operation": "list_steps",
        "path": {"thread_id": run["thread_id"], "run_id": run["id"]},
        "query": {
            "limit": 5,
            "order": "asc",
            "include[]": ["step_details.tool_calls[*].file_search.results[*].content"],
        },
    }
    printed = json.loads(execute(language, wanted))
    data = printed.get("data") or printed["body"]["data"]
    assert [step["id"] for step in data] == [step["id"] for step in talk.steps(run)]


@pytest.mark.parametrize(
    "language", ["shell", "python", "python_sdk", "javascript", "node_sdk", "c"]
)
def test_a_snippet_uploads_a_file_whose_name_is_hard(
    execute: Execute, tmp_path: Path, language: str
) -> None:
    if not _can_run(language):
        return
    name = "it's a; list, of $things.txt"
    (tmp_path / name).write_text("Lisbon is sunny.")
    wanted = {"operation": "create_file", "body": {"file": name, "purpose": "assistants"}}
    printed = json.loads(execute(language, wanted))
    assert (printed["filename"], printed["bytes"]) == (name, 16)


@pytest.mark.parametrize(
    "language", ["shell", "python", "python_sdk", "javascript", "node_sdk", "c"]
)
@pytest.mark.parametrize("operation", ["create_run", "follow_run"])
def test_a_snippet_prints_events_as_they_come(
    talk: Talk, execute: Execute, language: str, operation: str
) -> None:
    if not _can_run(language):
        return
    wanted: dict[str, Any]
    if operation == "create_run":
        body = {"assistant_id": talk.assistant(), "stream": True}
        wanted = {"path": {"thread_id": talk.thread("!say Hello.")}, "body": body}
    else:
        run = talk.run("!say Hello.")
        wanted = {"path": {"thread_id": run["thread_id"], "run_id": run["id"]}}
        assert path_of(run)
    printed = execute(language, {"operation": operation, **wanted})
    assert "thread.run.created" in printed
    assert "thread.run.completed" in printed


@pytest.mark.parametrize("language", ["shell", "python", "javascript", "c"])
def test_a_snippet_prints_the_data_of_an_event_in_one_line(
    talk: Talk, execute: Execute, language: str
) -> None:
    if not _can_run(language):
        return
    said = "one\u2028two\u2029three\u0085four\u000bfive"
    body = {"assistant_id": talk.assistant(), "stream": True, "metadata": {"said": said}}
    path = {"thread_id": talk.thread("!say Hello.")}
    wanted = {"operation": "create_run", "path": path, "body": body}
    printed = execute(language, wanted)
    # Not `splitlines`, which would break them here.
    data = [line[6:] for line in printed.split("\n") if line.startswith("data: {")]
    runs = [one for one in map(json.loads, data) if one["object"] == "thread.run"]
    assert [run["status"] for run in runs][-1] == "completed"
    assert {run["metadata"]["said"] for run in runs} == {said}


def _of(told: Any, language: str) -> str:
    (text,) = [one["text"] for one in told["snippets"] if one["language"] == language]
    return str(text)
