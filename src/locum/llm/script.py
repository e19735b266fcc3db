"""The language of the scripted model: what a text tells it to do, turn by turn.

A line that begins with `!` and a word of `_READERS` is a directive, the lines after it belong to
it, and `!then` begins the next turn. `docs/reference/scripted-model.md` shows each at work.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from locum.llm.protocol import ErrorCode, ModelError, Usage

_MOST_WORDS = 100_000
_DIRECTIVE = re.compile(r"^!([a-z]+)(?:[ \t]+(.*))?$")
_ERRORS: dict[str, ErrorCode] = {
    "rate_limit": "rate_limit_exceeded",
    "rate_limit_exceeded": "rate_limit_exceeded",
    "invalid_prompt": "invalid_prompt",
    "server_error": "server_error",
}


class Say(Struct, frozen=True):
    text: str


class Refuse(Struct, frozen=True):
    text: str


class Use(Struct, frozen=True):
    """A call: of the function `name` with `text` as its arguments, or of the hosted tool `kind`."""

    kind: Literal["function", "code_interpreter", "file_search"]
    name: str
    text: str


class Fail(Struct, frozen=True):
    code: ErrorCode
    message: str


class Think(Struct, frozen=True):
    seconds: float


class Pace(Struct, frozen=True):
    """From here on, so many seconds before each word."""

    seconds: float


class Stop(Struct, frozen=True):
    reason: Literal["length", "content_filter"]


class Report(Struct, frozen=True):
    usage: Usage


class Repeat(Struct, frozen=True):
    """The turn this stands in is the last, and is taken again and again."""


Action = Say | Refuse | Use | Fail | Think | Pace | Stop | Report | Repeat
Turn = tuple[Action, ...]


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """`script` answers a user's text without directives in which the pattern `when` is found."""

    when: str
    script: str


class _RuleFile(Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...] = ()


def read_script(text: str) -> tuple[Turn, ...]:
    """Read the turns `text` asks for; none when it holds no directive."""
    turns: list[list[Action]] = [[]]
    directives = _directives(text)
    for word, rest in directives:
        if word == "then":
            turns.append([])
        else:
            turns[-1].append(_READERS[word](rest))
    return tuple(tuple(turn) for turn in turns) if directives else ()


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Rules from a TOML or JSON file: `[[rule]]`, each with `when` and `script`."""
    try:
        if path.suffix == ".json":
            rules = msgspec.json.decode(path.read_bytes(), type=_RuleFile).rule
        else:
            rules = msgspec.convert(tomllib.loads(path.read_text()), _RuleFile).rule
        for rule in rules:
            re.compile(rule.when)
            read_script(rule.script)
    except (OSError, ValueError, re.error, msgspec.MsgspecError, ModelError) as error:
        message = f"The rules in '{path}' cannot be used: {error}."
        raise ModelError(message) from error
    return rules


def _directives(text: str) -> list[tuple[str, str]]:
    """Each directive's word, and its text with the lines that follow it."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        match = _DIRECTIVE.match(line)
        if match and (match[1] in _READERS or match[1] == "then"):
            found.append((match[1], match[2] or ""))
        elif found:
            word, rest = found[-1]
            found[-1] = (word, f"{rest}\n{line}")
    return [(word, rest.strip("\n")) for word, rest in found]


def _call(rest: str) -> Use:
    name, *arguments = rest.split(maxsplit=1) or [""]
    if not name:
        raise _unreadable("call", "the name of a function, then its arguments", rest)
    return Use(kind="function", name=name, text=arguments[0].strip() if arguments else "{}")


def _python(rest: str) -> Use:
    return Use(kind="code_interpreter", name="code_interpreter", text=rest)


def _search(rest: str) -> Use:
    return Use(kind="file_search", name="file_search", text=rest)


def _error(rest: str) -> Fail:
    word, _, message = rest.partition(" ")
    if word not in _ERRORS:
        raise _unreadable("error", f"one of {', '.join(_ERRORS)}", word)
    return Fail(code=_ERRORS[word], message=message or "Sorry, something went wrong.")


def _think(rest: str) -> Think:
    return Think(_seconds("think", rest))


def _pace(rest: str) -> Pace:
    return Pace(_seconds("pace", rest))


def _words(rest: str) -> Say:
    if not rest.strip().isdecimal() or int(rest) > _MOST_WORDS:
        raise _unreadable("words", f"a number up to {_MOST_WORDS}", rest)
    return Say(" ".join(f"word{number}" for number in range(1, int(rest) + 1)))


def _usage(rest: str) -> Report:
    figures = rest.split()
    if len(figures) not in (2, 3, 4) or not all(figure.isdecimal() for figure in figures):
        raise _unreadable("usage", "prompt, completion, cached and reasoning tokens", rest)
    return Report(Usage(*map(int, figures)))


def _seconds(word: str, rest: str) -> float:
    try:
        seconds = float(rest)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise _unreadable(word, "a number of seconds", rest)
    return seconds


def _unreadable(word: str, wanted: str, found: str) -> ModelError:
    message = f"The scripted model cannot read '!{word}': it wants {wanted}, not '{found}'."
    return ModelError(message, code="invalid_prompt")


_READERS: dict[str, Callable[[str], Any]] = {
    "say": Say,
    "words": _words,
    "refuse": Refuse,
    "call": _call,
    "python": _python,
    "search": _search,
    "error": _error,
    "think": _think,
    "pace": _pace,
    "cut": lambda _: Stop("length"),
    "filter": lambda _: Stop("content_filter"),
    "usage": _usage,
    "again": lambda _: Repeat(),
}
