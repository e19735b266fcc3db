"""Messages as strict templates take them: user and assistant in turn, and no system.

A thread may have any order. What is joined stays two paragraphs; where somebody must have spoken
and nobody has, a word stands in.
"""

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from locum.llm.kept import Given
from locum.llm.protocol import Assistant, Message, Part, System, Text, ToolResult, User

# A message, and what a server gave with its calls.
Told = tuple[Message, Given | None]

# As little as may be said: some take no empty text.
_SILENCE = "."
_GO_ON = "Continue."


def without_system(told: Iterable[Told]) -> list[Told]:
    """What the system says, said by the user."""
    return alternating(
        (User(message.content) if isinstance(message, System) else message, given)
        for message, given in told
    )


def ending_with_user(told: Sequence[Told]) -> list[Told]:
    """A run may be started on what an assistant has said last, or on no words at all."""
    is_asked = bool(told) and isinstance(told[-1][0], User | ToolResult)
    return [*told] if is_asked else [*told, (User(_GO_ON), None)]


def alternating(told: Iterable[Told]) -> list[Told]:
    turns: list[Told] = []
    for message, given in told:
        last = turns[-1][0] if turns else None
        match last, message:
            case User(before), User(content):
                turns[-1] = (User(_joined(before, content)), None)
            case Assistant(before, calls), Assistant(content, _) if calls is UNSET:
                text = "\n\n".join(said for said in (before, content) if said)
                turns[-1] = (Assistant(text or None, message.tool_calls), given)
            case None | System(), Assistant():
                turns += [(User(_SILENCE), None), (message, given)]
            case ToolResult(), User():
                turns += [(Assistant(_SILENCE), None), (message, given)]
            case _:
                turns.append((message, given))
    return turns


def _joined(
    before: str | tuple[Part, ...], content: str | tuple[Part, ...]
) -> str | tuple[Part, ...]:
    if isinstance(before, str) and isinstance(content, str):
        return f"{before}\n\n{content}"
    return (*_parts(before), *_parts(content))


def _parts(content: str | tuple[Part, ...]) -> tuple[Part, ...]:
    return (Text(content),) if isinstance(content, str) else content
