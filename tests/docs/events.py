"""The page of events: names from the tables of states, orders from streams that were just heard."""

from collections.abc import Iterator
from typing import Final, get_args

from tests.kit.http import Frame, names
from tests.kit.server import running
from tests.kit.talk import Talk, function, last, outline

from locum.engine.states import NEXT
from locum.wire.messages import MessageStatus
from locum.wire.steps import StepStatus

_HEAD: Final = """\
# Events

<!-- Written by `make docs`. -->

With `stream: true`, creating a run, creating a thread and a run, and submitting tool outputs answer
with server-sent events. Each has an id, a name and one line of data:

```text
id: 8
event: thread.message.delta
data: {"id":"msg_…","object":"thread.message.delta","delta":{"content":[…]}}
```

The stream ends with `done`. A line that begins with `:` is a comment, sent while there is nothing
to tell, and no event.

| event | its data | when |
|---|---|---|
"""
_RESUME: Final = """
## Go on where a stream broke

Leaving a stream stops nothing but the stream. `GET /v1/threads/{thread_id}/runs/{run_id}/events`
tells the events of a run again, and goes on live. Each bears an `id:` there, which counts the run's
events from 1 without gaps; with the header `Last-Event-ID`, or `?after=`, those after that one are
told. Events are kept for a day after the run has ended (`journal_life_s`). This is ours: the
original had neither.

The streams of `POST` requests bear no ids, as the original's: there are clients that break at such
a line. Whoever was cut off there asks for all events again, or says how many of the run's events
have come: `?after=12`.
"""
_WHEN: Final = {
    "thread.created": "a run is created together with its thread",
    "thread.run.created": "always the first event of a run",
    "thread.run.queued": "at once, and again when tool outputs have been submitted",
    "thread.run.in_progress": "it is worked on",
    "thread.run.requires_action": "functions are to be called; the stream ends here",
    "thread.run.cancelling": "somebody has cancelled it; what goes on is being stopped",
    "thread.run.cancelled": "it was cancelled",
    "thread.run.failed": "see `last_error`",
    "thread.run.completed": "it is done",
    "thread.run.incomplete": "tokens ran out, or a filter stepped in: see `incomplete_details`",
    "thread.run.expired": "it took longer than it may",
    "thread.run.step.created": "a message or calls begin",
    "thread.run.step.in_progress": "right after it",
    "thread.run.step.delta": "a piece of its calls",
    "thread.run.step.completed": "it is whole",
    "thread.run.step.failed": "the run failed in it; see `last_error`",
    "thread.run.step.cancelled": "the run was cancelled in it",
    "thread.run.step.expired": "the run expired in it",
    "thread.message.created": "the first words have come",
    "thread.message.in_progress": "right after it",
    "thread.message.delta": "a piece of its text",
    "thread.message.completed": "it is whole",
    "thread.message.incomplete": "it was cut off; see `incomplete_details`",
    "error": "the stream, not the run, ended early",
    "done": "always the last one; its data is `[DONE]`",
}
_SHAPES: Final = {
    "thread.run.step.delta": "step delta",
    "thread.message.delta": "message delta",
    "error": "error",
    "done": "`[DONE]`",
}
_ROOMS: Final = (
    ("thread.run.step", "run step"),
    ("thread.run", "run"),
    ("thread.message", "message"),
)
_ASKS: Final = {
    "A plain answer": "Good morning.",
    "A function": '!call get_weather {"city":"Paris"}\n!then\n!say It is {result}.',
    "Code": "!python print(6 * 7)\n!then\n!say Forty-two.",
    "A failure": "!say Let me see.\n!error rate_limit Slow down.",
}
_TOOLS: Final = [function("get_weather"), {"type": "code_interpreter"}]


def event_names() -> list[str]:
    """Every name a stream may carry, as the tables of states have them."""
    steps = ["created", "in_progress", "delta", *_ends(get_args(StepStatus))]
    messages = ["created", "in_progress", "delta", *_ends(get_args(MessageStatus))]
    return [
        "thread.created",
        "thread.run.created",
        *(f"thread.run.{status}" for status in NEXT),
        *(f"thread.run.step.{name}" for name in steps),
        *(f"thread.message.{name}" for name in messages),
        "error",
        "done",
    ]


def _ends(statuses: tuple[str, ...]) -> list[str]:
    return [status for status in statuses if status != "in_progress"]


def events_page() -> str:
    rows = [f"| `{name}` | {_shape(name)} | {_WHEN[name]} |\n" for name in event_names()]
    return "".join([_HEAD, *rows, *_states(), *_orders(), _RESUME])


def _shape(name: str) -> str:
    if name in _SHAPES:
        return _SHAPES[name]
    return next((shape for room, shape in _ROOMS if name.startswith(f"{room}.")), "thread")


def _states() -> Iterator[str]:
    yield "\n## States of a run\n\n| from | to |\n|---|---|\n"
    for status, following in NEXT.items():
        told = ", ".join(f"`{name}`" for name in NEXT if name in following)
        yield f"| `{status}` | {told or 'nothing: it has ended'} |\n"


def _orders() -> Iterator[str]:
    """What a stream tells, heard from a server with the scripted model."""
    yield "\n## In which order\n"
    with running(sandbox="unsafe-subprocess") as server:
        talk = Talk(server.http())
        for what, text in _ASKS.items():
            frames = talk.frames(text, tools=_TOOLS)
            yield f"\n### {what}\n\n```text\n{_told(frames)}```\n"
            if names(frames)[-2] == "thread.run.requires_action":
                more = talk.submit_frames(last(frames, "thread.run.requires_action"), ["18 °C"])
                yield f"\nand when its outputs are submitted:\n\n```text\n{_told(more)}```\n"


def _told(frames: list[Frame]) -> str:
    return "".join(f"{name}\n" for name in outline(frames))
