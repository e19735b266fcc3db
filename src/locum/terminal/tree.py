"""A run as a tree: its steps in order, how long they took, what they cost, what went in and out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from locum.terminal.paint import Paint, lines_of, on_one_line

_MOST_LINES: Final = 6
_ENDS: Final = ("completed_at", "failed_at", "cancelled_at", "expired_at", "incomplete_at")


class Told(Struct, frozen=True):
    """A run and its steps, as the API shows them; what was said, by the ids of messages."""

    run: dict[str, Any]
    steps: Sequence[dict[str, Any]]
    texts: Mapping[str, str]


def tree(told: Told, *, paint: Paint, width: int | None) -> Iterator[str]:
    """The lines of the tree; `width` None shows everything whole."""
    run = told.run
    yield " ".join([paint(run["id"], "bold"), *summary(run, paint), paint(run["model"], "dim")])
    where = f"{run['thread_id']} · {run['assistant_id']}"
    yield paint(f"│ {where}", "dim") if told.steps else f"  {where}"
    for number, step in enumerate(told.steps, start=1):
        is_last = number == len(told.steps)
        yield f"{'└─' if is_last else '├─'} {number} {_heading(step, paint)}"
        for line in details(step, told.texts, paint=paint, width=width and width - 6):
            yield f"{'  ' if is_last else '│ '}    {line}"
    yield from _ending(run, paint, width)


def summary(thing: dict[str, Any], paint: Paint) -> list[str]:
    """Status, duration and tokens of a run or a step, as far as there are any."""
    words = [paint.status(thing["status"])]
    ended = next((thing[name] for name in _ENDS if thing.get(name)), None)
    if ended is not None:
        words.append(f"{ended - thing['created_at']} s")
    usage = thing.get("usage")
    if usage and usage["total_tokens"]:
        words.append(f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens")
    return words


def title(step: dict[str, Any]) -> str:
    """What a step is: a message, or the names of what it calls."""
    calls = step["step_details"].get("tool_calls")
    if calls is None:
        return "message"
    return ", ".join(on_one_line(_name(call), 60) for call in calls) or "tool calls"


def details(
    step: dict[str, Any], texts: Mapping[str, str], *, paint: Paint, width: int | None
) -> Iterator[str]:
    """What went in and out of a step, and what went wrong."""
    inside = step["step_details"]
    if inside["type"] == "message_creation":
        yield from lines_of(texts.get(inside["message_creation"]["message_id"], ""), width, 20)
    for call in inside.get("tool_calls") or ():
        yield from _call(call, paint, width)
    if step.get("last_error"):
        yield paint(error(step["last_error"], width), "red")


def text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    """What a message says, with a word for each picture."""
    said = []
    for part in parts:
        match part["type"]:
            case "text":
                said.append(part["text"]["value"])
            case "refusal":
                said.append(part["refusal"])
            case kind:
                said.append(f"[{kind}]")
    return "\n".join(said)


def awaited(run: dict[str, Any], *, width: int | None) -> Iterator[str]:
    """The calls that a run waits for its client to answer."""
    if run.get("required_action"):
        for call in run["required_action"]["submit_tool_outputs"]["tool_calls"]:
            called = f"{call['function']['name']}({call['function']['arguments']})"
            yield on_one_line(f"waits for {called}", width)


def error(told: dict[str, Any], width: int | None) -> str:
    return on_one_line(f"{told['code']}: {told['message']}", width)


def _heading(step: dict[str, Any], paint: Paint) -> str:
    return " ".join([title(step), *summary(step, paint), paint(step["id"], "dim")])


def _name(call: dict[str, Any]) -> str:
    return str(call["function"]["name"] if call["type"] == "function" else call["type"])


def _call(call: dict[str, Any], paint: Paint, width: int | None) -> Iterator[str]:
    match call["type"]:
        case "function":
            function = call["function"]
            yield on_one_line(function["arguments"], width)
            if function.get("output") is not None:
                yield from _out(function["output"], paint, width)
        case "code_interpreter":
            code = call["code_interpreter"]
            yield from lines_of(code["input"], width, _MOST_LINES)
            for output in code["outputs"]:
                shown = output["logs"] if output["type"] == "logs" else _picture(output)
                yield from _out(shown, paint, width)
        case "file_search":
            for found in call["file_search"].get("results") or ():
                text = "".join(part["text"] for part in found.get("content") or ())
                line = f"{found['score']:.2f}  {found['file_name']}  {text}"
                yield on_one_line(line, width)


def _picture(output: dict[str, Any]) -> str:
    return f"[picture {output['image']['file_id']}]"


def _out(text: str, paint: Paint, width: int | None) -> Iterator[str]:
    for at, line in enumerate(lines_of(text, width and width - 2, _MOST_LINES)):
        yield paint(f"{'  ' if at else '→ '}{line}", "dim")


def _ending(run: dict[str, Any], paint: Paint, width: int | None) -> Iterator[str]:
    if run.get("last_error"):
        yield paint(error(run["last_error"], width), "red")
    if run.get("incomplete_details"):
        yield paint(f"incomplete: {run['incomplete_details']['reason']}", "yellow")
    for line in awaited(run, width=width):
        yield paint(line, "yellow")
