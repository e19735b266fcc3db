"""Folds the chunks of a Chat Completions answer into our events, whatever dialect they are in.

Servers differ most in how they name and number calls; `_Calls` is where that is settled.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from locum.llm import loose, tokens
from locum.llm.faults import Fault
from locum.llm.kept import Given, Kept, joined
from locum.llm.protocol import (
    CallBegun,
    CallDelta,
    Event,
    Finished,
    RefusalDelta,
    Request,
    TextDelta,
    Usage,
    call_ids,
)
from locum.llm.reported import usage_of
from locum.unreadable import UNREADABLE

_MOST_CALLS = 128
# With what arguments end that are whole: only then they are read through, and not for ever.
_ENDINGS = ("}", "]")
_MOST_MISREAD = 16 << 20
_CALLED = ("tool_calls", "function_call")
# Reasons to stop that are nobody's choice: in words of vLLM, DeepSeek and Gemini.
_BROKEN = (
    "abort",
    "insufficient_system_resource",
    "function_call_filter",
    "malformed_function_call",
)


class CalledPiece(Struct):
    name: str | None = None
    # As text, or as what the text would say.
    arguments: Any = None


class CallPiece(Struct):
    index: int | float | str | None = None
    id: str | int | None = None
    function: CalledPiece | None = None
    # Where Gemini signs the call.
    extra_content: Any = None


class ContentPart(Struct):
    type: str = "text"
    text: str | None = None
    refusal: str | None = None


class Delta(Struct):
    # Workers AI makes numbers of digits, and objects of JSON.
    content: str | list[ContentPart] | int | float | bool | dict[str, Any] | None = None
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None
    # What calls were before there could be several.
    function_call: CalledPiece | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    # Where OpenRouter has what models sign.
    reasoning_details: Any = None


class Choice(Struct):
    delta: Delta | None = None
    # A server that does not stream sends the whole answer here; others sum up what they streamed.
    message: Delta | None = None
    finish_reason: Any = None
    # Where OpenRouter says what went wrong, and Moonshot what it cost.
    error: Any = None
    usage: Any = None


class Chunk(Struct):
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None


class Answer:
    """One answer as it arrives. Call `read` for each chunk, and `finish` when there are no more."""

    def __init__(self, request: Request, *, new_call_id: Callable[[], str], kept: Kept) -> None:
        self._request = request
        self._kept = kept
        self._calls = _Calls(request, new_call_id)
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._details: list[Any] = []
        self._told: Any = None
        self._reason: str | None = None

    @property
    def is_over(self) -> bool:
        return self._reason is not None

    def read(self, chunk: Chunk) -> Iterator[Event]:
        if chunk.usage:
            self._report(chunk.usage)
        for choice in (chunk.choices or ())[:1]:
            if choice.delta:
                yield from self._delta(choice.delta)
            elif choice.message and not (self._text or self._calls.begun):
                yield from self._delta(choice.message)
            if choice.finish_reason:
                # Gemini shouts in its own words, and says more behind a colon.
                self._reason = str(choice.finish_reason).lower().partition(":")[0]
            if choice.usage:
                self._report(choice.usage)

    def finish(self, *, is_whole: bool) -> Iterator[Event]:
        if not (self._text or self._calls.begun or self._reason):
            raise Fault("The model's server ended its answer before it began.", is_transient=True)
        if not (is_whole or self._reason):
            raise Fault("The model's server ended its answer before it was whole.")
        yield from self._calls.finish()
        if self._reason in _CALLED and not (self._text or self._calls.begun):
            raise Fault("The model stopped to call functions and called none.", is_transient=True)
        if self._reason == "error":
            raise Fault("The model stopped with an error.")
        if self._reason in _BROKEN:
            raise Fault(f"The model's server broke off its answer: {self._reason}.")
        if self._calls.begun:
            thoughts = "".join(self._thoughts)
            given = Given(self._calls.extras, thoughts, joined(self._details))
            self._kept.keep(self._request, self._calls.ids, given)
        reported = usage_of(self._told, "prompt", "completion")
        yield Finished(
            reason=self._finish_reason(),
            usage=reported or self._counted(),
            counted_by_backend=reported is not None,
        )

    def _report(self, told: Any) -> None:
        # Some servers report with every chunk; the last report is the whole.
        if isinstance(told, dict) and told.get("prompt_tokens") is not None:
            self._told = told

    def _delta(self, delta: Delta) -> Iterator[Event]:
        # Some give it both names, and say it twice.
        thought = delta.reasoning_content or delta.reasoning
        if isinstance(thought, str):
            self._thoughts.append(thought)
        if isinstance(delta.reasoning_details, list):
            self._details += delta.reasoning_details
        for text, is_refusal in _spoken(delta):
            self._text.append(text)
            yield RefusalDelta(text) if is_refusal else TextDelta(text)
        for piece in delta.tool_calls or ():
            yield from self._calls.read(piece)
        if delta.function_call:
            yield from self._calls.read(CallPiece(index=0, function=delta.function_call))

    def _finish_reason(self) -> Literal["stop", "length", "calls", "content_filter"]:
        match self._reason:
            case "length" | "max_tokens" | "model_length":
                return "length"
            case "content_filter" | "safety" | "recitation" | "blocklist" | "prohibited_content":
                return "content_filter"
        return "calls" if self._calls.begun else "stop"

    def _counted(self) -> Usage:
        tally = tokens.Tally()
        reasoning = tally.text("".join(self._thoughts))
        said = tally.text("".join(self._text)) + self._calls.tokens(tally)
        return Usage(
            prompt_tokens=tokens.count_messages(self._request.messages, self._request.offers),
            completion_tokens=said + reasoning,
            reasoning_tokens=reasoning,
        )


class _Call(Struct):
    index: int
    id: str
    server_id: str | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    chars: int = 0
    # The last sign of them that is no white space.
    ending: str = ""
    # What was read in vain to find out whether they are whole.
    misread: int = 0
    extra: Any = None
    is_begun: bool = False

    def has_told(self, arguments: str) -> bool:
        """Whether a server says again, as a whole, what it has streamed: LiteLLM does."""
        if not arguments.startswith("{") or len(arguments) != self.chars:
            return False
        return arguments == "".join(self.arguments) and self.has_all_arguments()

    def has_all_arguments(self) -> bool:
        if self.misread > _MOST_MISREAD or self.ending not in _ENDINGS:
            return False
        try:
            msgspec.json.decode("".join(self.arguments))
        except UNREADABLE:
            self.misread += self.chars
            return False
        return True

    def write(self, arguments: str) -> None:
        self.arguments.append(arguments)
        self.chars += len(arguments)
        self.ending = arguments.rstrip()[-1:] or self.ending


class _Calls:
    """The calls of one answer, told apart whether by id, by index or by name."""

    def __init__(self, request: Request, new_call_id: Callable[[], str]) -> None:
        self._new_call_id = new_call_id
        self._calls: list[_Call] = []
        self._at_index: dict[int | float | str, _Call] = {}
        self._offered = [offer.function.name for offer in request.offers]
        # Some servers begin to number anew with every turn; an id must stay one call's own.
        self._taken = {taken for message in request.messages for taken in call_ids(message)}

    @property
    def begun(self) -> bool:
        return bool(self._calls)

    @property
    def ids(self) -> list[str]:
        return [call.id for call in self._calls]

    @property
    def extras(self) -> tuple[Any, ...]:
        return tuple(call.extra for call in self._calls)

    def read(self, piece: CallPiece) -> Iterator[Event]:
        called = piece.function or CalledPiece()
        id_ = str(piece.id) if piece.id else None
        call = self._find(piece, called, id_)
        if call is None:
            if not (id_ or called.name or called.arguments):
                return  # Some servers put an empty call where there is none.
            yield from self._begin_named()
            call = self._add(id_)
        if piece.index is not None:
            self._at_index[piece.index] = call
        call.extra = call.extra or piece.extra_content
        if called.name and self._takes(call, called.name):
            call.name += called.name
        arguments = loose.text(called.arguments or "")
        if call.name in self._offered or not self._is_half(call.name):
            yield from self._begin_named()
        if arguments and not call.has_told(arguments):
            call.write(arguments)
            if call.is_begun:
                yield CallDelta(index=call.index, arguments=arguments)

    def finish(self) -> Iterator[Event]:
        yield from self._begin_named()
        for call in self._calls:
            if not call.is_begun:
                raise Fault("The model called a function without saying which.")
            if not call.arguments:
                call.write("{}")
                yield CallDelta(index=call.index, arguments="{}")

    def tokens(self, tally: tokens.Tally) -> int:
        return sum(
            tally.text(call.name) + tally.text("".join(call.arguments)) for call in self._calls
        )

    def _begin_named(self) -> Iterator[Event]:
        for call in self._calls:
            if call.is_begun or not call.name:
                continue
            call.is_begun = True
            yield CallBegun(index=call.index, id=call.id, name=call.name)
            if held := "".join(call.arguments):
                yield CallDelta(index=call.index, arguments=held)

    def _takes(self, call: _Call, name: str) -> bool:
        """Whether this is the call's name, or more of it."""
        return not call.name or (not call.is_begun and self._is_half(call.name + name))

    def _is_half(self, name: str) -> bool:
        """Whether a name begins so that may be called: some servers stream names in pieces."""
        return any(offered.startswith(name) for offered in self._offered)

    def _find(self, piece: CallPiece, called: CalledPiece, id_: str | None) -> _Call | None:
        """Find the call this piece goes on with; none when it begins one."""
        known = {call.server_id: call for call in self._calls if call.server_id}
        is_new_place = piece.index is not None and piece.index not in self._at_index
        if id_ in known and not (is_new_place and called.name):
            return known[id_]
        call = self._calls[-1] if self._calls else None
        if piece.index is not None:
            call = self._at_index.get(piece.index)
        # Some servers make up another id for every piece of a call that they number and name once.
        goes_on = piece.index is not None and not called.name
        if call is None or (id_ and call.server_id and not goes_on):
            return None
        if called.name and not self._takes(call, called.name) and self._is_another(call, called):
            return None
        call.server_id = call.server_id or id_
        return call

    def _is_another(self, call: _Call, called: CalledPiece) -> bool:
        # A server may repeat the name with every piece, or number every call zero.
        return called.name != call.name or (bool(called.arguments) and call.has_all_arguments())

    def _add(self, server_id: str | None) -> _Call:
        if len(self._calls) == _MOST_CALLS:
            raise Fault(f"The model made more than {_MOST_CALLS} calls in one turn.")
        is_fresh = server_id not in self._taken
        id_ = server_id if server_id and is_fresh else self._new_call_id()
        self._taken.add(id_)
        call = _Call(index=len(self._calls), id=id_, server_id=server_id)
        self._calls.append(call)
        return call


def _spoken(delta: Delta) -> Iterator[tuple[str, bool]]:
    content = delta.content
    if isinstance(content, str):
        if content:
            yield content, False
    elif isinstance(content, list):
        for part in content:
            if part.type in ("text", "output_text") and part.text:
                yield part.text, False
            elif part.refusal:
                yield part.refusal, True
    elif content is not None:
        yield loose.text(content), False
    if delta.refusal:
        yield delta.refusal, True
