"""Pages that are written by the code they describe: `make docs` writes them, a test compares."""

import argparse
import ast
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
from tests.docs.events import events_page
from tests.docs.metrics import metrics_page
from tests.docs.pages import ROOT, index_page
from tests.docs.words import WHAT_IT_DOES

from locum import errors, settings
from locum.api.routes import ROUTES
from locum.arguments import parser
from locum.settings import Settings

_WRITTEN_BY: Final = "<!-- Written by `make docs`. -->\n\n"


def settings_page() -> str:
    lines = [
        "# Settings\n\n",
        _WRITTEN_BY,
        (
            "A setting stands in a TOML file (`locum serve --settings locum.toml`), in the"
            " environment (`LOCUM_` and\nthe name in capitals: `LOCUM_PORT=9000`) or on the command"
            " line; the last of them wins. In the environment,\nlists are written with commas"
            " and tables as JSON."
            " `LOCUM_SETTINGS` names the file.\n\n"
        ),
        "| setting | kind | default | what it does |\n|---|---|---|---|\n",
    ]
    described = _described()
    for field in msgspec.structs.fields(Settings):
        kind, said = described[field.name]
        lines.append(f"| `{field.name}` | {kind} | {_default(field.default)} | {said} |\n")
    lines.append(_BACKENDS)
    return "".join(lines)


_BACKENDS: Final = """
## Models from servers

One server, to which every model name goes:

```toml
backend_url = "http://127.0.0.1:11434/v1"
```

Several, told apart by the name that is asked for. `"*"` stands for every other name; a name before
the `@` replaces what was asked for.

```toml
[backends.vllm]
url = "http://10.0.0.5:8000/v1"

[backends.openrouter]
url = "https://openrouter.ai/api/v1"
key = "sk-or-…"

[models]
"gpt-4o" = "qwen3@vllm"
"*" = "@openrouter"
```
"""


def _described() -> dict[str, tuple[str, str]]:
    """For each setting its type, and what is said of it: here, or in the comment above it."""
    source = inspect.getsource(settings)
    lines = source.splitlines()
    shape = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    found = {}
    for node in shape.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            found[name] = (_kind(node), WHAT_IT_DOES.get(name) or _above(lines, node.lineno - 1))
    return found


def _kind(node: ast.AnnAssign) -> str:
    words = {
        "tuple[str, ...]": "list",
        "tuple[Literal['web', 'worker'], ...]": "list",
        "str": "text",
        "int": "number",
        "float": "number",
        "bool": "true or false",
        "Path": "path",
    }
    parts = [part for part in _either(node.annotation) if part != "None"]
    return " or ".join(
        "table" if part.startswith("dict[") else words.get(part, part) for part in parts
    )


def _either(annotation: ast.expr) -> list[str]:
    """The types of a union, each without what else `Annotated` says of it."""
    if isinstance(annotation, ast.BinOp):
        return [*_either(annotation.left), *_either(annotation.right)]
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
        assert isinstance(annotation.slice, ast.Tuple)
        return _either(annotation.slice.elts[0])
    return [ast.unparse(annotation)]


def _default(value: object) -> str:
    if value is None or value == () or value is msgspec.NODEFAULT:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _above(lines: list[str], at: int) -> str:
    comment: list[str] = []
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        comment.insert(0, lines[at - 1].lstrip(" #"))
        at -= 1
    return " ".join(comment).replace("|", "\\|")


def errors_page() -> str:
    return "".join(
        [
            "# Errors\n\n",
            _WRITTEN_BY,
            (
                "Every error is JSON in one envelope:\n\n```json\n"
                '{"error": {"message": "…", "type": "invalid_request_error", "param": null,'
                ' "code": null}}\n```\n\n'
            ),
            (
                "`param` names what was wrong, `code` is for programs, `message` for people."
                " Responses carry `x-request-id`,\nwhich the log has too. What went wrong in a"
                " *run* stands in its `last_error` instead.\n\n"
            ),
            "| error | status | type | when |\n|---|---|---|---|\n",
            *(_error_row(kind) for kind in _kinds(errors.LocumError)),
        ]
    )


def _kinds(kind: type[errors.LocumError]) -> Iterator[type[errors.LocumError]]:
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from _kinds(below)


def _error_row(kind: type[errors.LocumError]) -> str:
    drawn = next(
        line for line in str(errors.__doc__).splitlines() if f"─ {kind.__name__} " in f"{line} "
    )
    when = drawn.partition(kind.__name__)[2].strip().lstrip("0123456789x").strip()
    return f"| {kind.__name__} | {kind.status} | `{kind.type}` | {when} |\n"


def routes_page() -> str:
    rows = [
        f"| `{route.method}` | `/v1{route.path}` | {'v1 only' if route.only_v1 else ''} |\n"
        for route in ROUTES
    ]
    return "".join(
        [
            "# Routes\n\n",
            _WRITTEN_BY,
            (
                "The same paths answer under `/openai`, `/openai/v1` and"
                " `/openai/deployments/{any}`, as Azure's clients ask\nfor them. What an operation"
                " takes and gives is in"
                " `src/locum/wire/`, one file a resource.\n\n"
            ),
            "| method | path | |\n|---|---|---|\n",
            *rows,
        ]
    )


def command_page() -> str:
    pages = ["# The command\n\n", _WRITTEN_BY, f"```text\n{_help(parser())}```\n"]
    pages += [f"\n## `{name}`\n\n```text\n{_help(below)}```\n" for name, below in _below(parser())]
    return "".join(pages)


def _help(command: argparse.ArgumentParser) -> str:
    """The help at a width of its own, without the words that versions of Python differ in."""
    os.environ["COLUMNS"] = "100"
    return command.format_help().replace("optional arguments:", "options:")


def _below(command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                if not any(isinstance(a, argparse._SubParsersAction) for a in below._actions):
                    yield below.prog, below
                yield from _below(below)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/events.md": events_page,
    "docs/reference/routes.md": routes_page,
    "docs/reference/command.md": command_page,
    "docs/reference/metrics.md": metrics_page,
    # The last, because it lists the others.
    "docs/index.md": index_page,
}


if __name__ == "__main__":
    for path, page in PAGES.items():
        (ROOT / path).write_text(page(), "utf-8")
