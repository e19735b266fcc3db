"""What the model is told: instructions, the thread so far, and the calls that were made in it."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from locum import brackets
from locum.engine.pictures import Pictures, said_by_user, stored
from locum.llm import protocol as llm
from locum.llm import tokens
from locum.store.blobs import Blobs
from locum.store.tables import Store
from locum.tools.tool import Memory
from locum.unreadable import UNREADABLE
from locum.wire import messages as wire
from locum.wire.runs import Run, Truncation
from locum.wire.steps import FunctionCall, MessageCreation, RunStep, ToolCalls

# No model reads further back; a thread may be far longer.
_MOST_MESSAGES = 1_000
_MOST_STEPS = 2_000
# As they are stored, pictures included that are written into them: no request carries as much.
_MOST_CHARS = 64 << 20
_memories = msgspec.json.Decoder(tuple[Memory, ...])
_arguments = msgspec.json.Decoder(dict[str, msgspec.Raw])
# The steps of runs, in the order in which these began, with what a model remembers of each step.
_StepsOf = dict[str, list[tuple[RunStep, str]]]


class Turn(Struct, frozen=True):
    """Messages that stay or go together: a call is never parted from its result."""

    messages: tuple[llm.Message, ...]
    from_thread: bool


class History(Struct, frozen=True):
    turns: tuple[Turn, ...]
    # Calls so far; citation markers count them.
    calls: int
    memories: tuple[Memory, ...]
    # Pictures that code has shown in this run and no message yet.
    images: tuple[str, ...] = ()


class _Telling:
    """What has been gathered of a history so far."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.runs: set[str] = set()
        self.memories: list[Memory] = []
        self.images: list[str] = []


class _Silent:
    """Earlier runs that made calls and said nothing: no message shows where in a thread they were.

    They are told where their first step was: among messages by the second, among runs exactly.
    """

    def __init__(
        self, messages: Sequence[wire.Message], steps_of: _StepsOf, current_id: str
    ) -> None:
        # What was before the oldest message that is told belongs to others, that are not.
        since = messages[0].created_at if messages else 0
        self._place = {run_id: place for place, run_id in enumerate(steps_of)}
        self._left = [
            (steps[0][0].created_at, run_id)
            for run_id, steps in steps_of.items()
            if run_id != current_id
            and steps[0][0].created_at >= since
            and not any(step.type == "message_creation" for step, _ in steps)
        ]

    def before(self, message: wire.Message) -> Iterator[str]:
        place = self._place.get(message.run_id or "", 0)
        while self._left:
            began_at, run_id = self._left[0]
            if began_at >= message.created_at and self._place[run_id] >= place:
                return
            del self._left[0]
            yield run_id

    def rest(self) -> Iterator[str]:
        return (run_id for _, run_id in self._left)


class OverBudget(Exception):
    """The newest message and the run's question do not fit into what is left for prompts."""


class Historian:
    """Reads the thread of one run as a model must see it."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._pictures = Pictures(store, blobs)

    async def history(self, project_id: str, run: Run) -> History:
        return await read_history(self._store, project_id, run)

    async def shown(
        self, project_id: str, messages: Sequence[llm.Message]
    ) -> tuple[llm.Message, ...]:
        """The messages of a request with the pictures in them."""
        return await self._pictures.shown(project_id, messages)


async def read_history(store: Store, project_id: str, run: Run) -> History:
    """What the thread holds, up to what the run has said and done itself."""
    messages, steps = await store.newest(
        project_id,
        run.thread_id,
        messages=_MOST_MESSAGES,
        chars=_MOST_CHARS,
        steps=_MOST_STEPS,
    )
    steps_of: _StepsOf = {}
    for step, memory in steps:
        steps_of.setdefault(step.run_id, []).append((step, memory))
    by_id = {message.id: message for message in messages}
    telling = _Telling()
    silent = _Silent(messages, steps_of, run.id)
    for message in messages:
        for run_id in silent.before(message):
            _tell_run(telling, steps_of[run_id], by_id)
        # A message that was imported may name a run whose steps were not.
        if message.run_id is None or message.run_id not in steps_of:
            telling.turns.extend(_told(message))
        elif message.run_id not in telling.runs and message.run_id != run.id:
            telling.runs.add(message.run_id)
            _tell_run(telling, steps_of[message.run_id], by_id)
    for run_id in silent.rest():
        _tell_run(telling, steps_of[run_id], by_id)
    telling.images.clear()
    asked, telling.turns = telling.turns, []
    _tell_run(telling, steps_of.get(run.id, []), by_id)
    # What a run has said since does not push out what it was asked.
    said = [replace(turn, from_thread=False) for turn in telling.turns]
    return History(
        (*asked, *said),
        len(telling.memories),
        tuple(telling.memories),
        tuple(telling.images),
    )


def _tell_run(
    telling: _Telling, steps: list[tuple[RunStep, str]], messages: dict[str, wire.Message]
) -> None:
    """A run in the order of its steps. What a lost worker left open is not told."""
    for step, memory in steps:
        if isinstance(step.step_details, MessageCreation):
            message = messages.get(step.step_details.message_creation.message_id)
            if message is not None and step.status != "failed":
                telling.turns.extend(_told(message))
            telling.images.clear()
            continue
        remembered = _memories.decode(memory)
        if not remembered and step.status == "completed":
            remembered = _of_functions(step)
        for one in remembered:
            telling.memories.append(one)
            telling.images.extend(one.images)
        if remembered:
            telling.turns.append(_calls(remembered))


def _told(message: wire.Message) -> list[Turn]:
    parts = [part for source in message.content if (part := _part(source)) is not None]
    if message.role == "assistant":
        # No model is shown what it is said to have drawn.
        text = "\n".join(part.text for part in parts if isinstance(part, llm.Text))
        return [Turn((llm.Assistant(text),), from_thread=True)] if text else []
    return [Turn((said_by_user(parts),), from_thread=True)] if parts else []


def _part(part: wire.Part) -> llm.Part | None:
    match part:
        case wire.Text(text=text):
            return llm.Text(text.value) if text.value else None
        case wire.Refusal(refusal=refusal):
            return llm.Text(refusal)
        case wire.ImageURLPart(image_url=image):
            return llm.Image(llm.ImageURL(image.url, image.detail))
    return stored(part.image_file.file_id, part.image_file.detail)


def prompt(
    history: History,
    *,
    instructions: str | None,
    offers: Sequence[llm.Offer],
    truncation: Truncation,
    budget: int | None,
) -> tuple[llm.Message, ...]:
    """The messages of one request, cut to what the strategy and the budget allow."""
    system = (llm.System(instructions),) if instructions else ()
    turns = list(history.turns)
    if truncation.type == "last_messages" and truncation.last_messages is not None:
        turns = _newest(turns, truncation.last_messages)
    if budget is not None:
        turns = _fitting(turns, budget - tokens.count_messages(system, offers))
    return (*system, *_joined(message for turn in turns for message in turn.messages))


def _newest(turns: list[Turn], count: int) -> list[Turn]:
    """Keep the newest `count` messages of the thread, and the calls that came after them."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        if count == 0:
            break
        kept.append(turn)
        count -= turn.from_thread
    return kept[::-1]


def _fitting(turns: list[Turn], room: int) -> list[Turn]:
    """Drop turns in the middle until the rest fits; the newest must, and what the run was asked.

    What the run has done since goes before the thread, of which the beginning stays if it can.
    """
    if not turns:
        return turns
    newest = len(turns) - 1
    asked = next((at for at in range(newest, -1, -1) if _is_asked(turns[at])), newest)
    kept = {newest, asked}
    tally = tokens.Tally()
    room -= sum(tally.messages(turns[at].messages) for at in kept)
    if room < 0:
        raise OverBudget
    for at in (*range(newest - 1, asked, -1), 0, *range(asked - 1, 0, -1)):
        cost = 0 if at in kept else tally.messages(turns[at].messages)
        if cost <= room:
            room -= cost
            kept.add(at)
        elif at > 0:
            break
    return [turns[at] for at in sorted(kept)]


def _is_asked(turn: Turn) -> bool:
    return turn.from_thread and isinstance(turn.messages[0], llm.User)


def _of_functions(step: RunStep) -> tuple[Memory, ...]:
    """Calls of the user's functions: all there is to remember stands in the step itself.

    Calls that were cut off have a step that is completed, and nobody has answered them.
    """
    assert isinstance(step.step_details, ToolCalls)
    return tuple(
        Memory(
            call_id=call.id,
            name=call.function.name,
            arguments=call.function.arguments,
            result=call.function.output,
        )
        for call in step.step_details.tool_calls
        if isinstance(call, FunctionCall) and call.function.output is not None
    )


def _calls(memories: Sequence[Memory]) -> Turn:
    asked = tuple(
        llm.Call(memory.call_id, llm.CalledFunction(memory.name, _readable(memory.arguments)))
        for memory in memories
    )
    answered = tuple(llm.ToolResult(memory.call_id, memory.result) for memory in memories)
    return Turn((llm.Assistant(None, asked), *answered), from_thread=False)


def _readable(arguments: str) -> str:
    """As an object, whatever the model has written: many servers refuse a call without one."""
    if _can_be_read(arguments):
        return arguments
    return msgspec.json.encode({"unreadable": arguments}).decode()


def _can_be_read(arguments: str) -> bool:
    try:
        _arguments.decode(arguments)
    except UNREADABLE:
        return False
    return not brackets.nests_too_deep(arguments.encode())


def _joined(messages: Iterable[llm.Message]) -> tuple[llm.Message, ...]:
    """One assistant message for text and the calls that follow it, as models expect."""
    joined: list[llm.Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        if (
            isinstance(message, llm.Assistant)
            and message.tool_calls is not UNSET
            and isinstance(last, llm.Assistant)
            and last.tool_calls is UNSET
        ):
            joined[-1] = llm.Assistant(last.content, message.tool_calls)
        else:
            joined.append(message)
    return tuple(joined)
