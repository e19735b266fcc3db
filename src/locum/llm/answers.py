"""Folds the chunks of a Chat Completions answer into our events, whatever dialect they are in.

Servers differ most in how they name and number calls; `_Calls` is where that is settled.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from locum.llm import tokens
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

_MOST_CALLS = 128
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
    arguments: str | dict[str, Any] | None = None


class CallPiece(Struct):
    index: int | None = None
    id: str | None = None
    function: CalledPiece | None = None
    # Where Gemini signs the call.
    extra_content: Any = None


class ContentPart(Struct):
    type: str = "text"
    text: str | None = None
    refusal: str | None = None


class Delta(Struct):
    content: str | list[ContentPart] | None = None
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
    # A server that does not stream sends the whole answer here.
    message: Delta | None = None
    finish_reason: Any = None


class PromptDetails(Struct):
    cached_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class ReportedUsage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(Struct):
    choices: list[Choice] | None = None
    usage: ReportedUsage | None = None
    error: Any = None
    object: Any = None
    message: Any = None
    code: Any = None


class Answer:
    """One answer as it arrives. Call `read` for each chunk, and `finish` when there are no more."""

    def __init__(self, request: Request, *, new_call_id: Callable[[], str], kept: Kept) -> None:
        self._request = request
        self._kept = kept
        self._calls = _Calls(request, new_call_id)
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._details: list[Any] = []
        self._reported: ReportedUsage | None = None
        self._reason: str | None = None

    @property
    def is_over(self) -> bool:
        return self._reason is not None

    def read(self, chunk: Chunk) -> Iterator[Event]:
        if chunk.usage and chunk.usage.prompt_tokens is not None:
            # Some servers report with every chunk; the last report is the whole.
            self._reported = chunk.usage
        for choice in (chunk.choices or ())[:1]:
            if delta := choice.delta or choice.message:
                yield from self._delta(delta)
            if choice.finish_reason:
                # Gemini shouts in its own words, and says more behind a colon.
                self._reason = str(choice.finish_reason).lower().partition(":")[0]

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
        yield Finished(
            reason=self._finish_reason(),
            usage=self._usage(),
            counted_by_backend=self._reported is not None,
        )

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

    def _usage(self) -> Usage:
        reported = self._reported
        if reported is None:
            reasoning = tokens.count("".join(self._thoughts))
            return Usage(
                prompt_tokens=tokens.count_messages(self._request.messages, self._request.offers),
                completion_tokens=tokens.count("".join(self._text))
                + self._calls.tokens()
                + reasoning,
                reasoning_tokens=reasoning,
            )
        prompt = reported.prompt_tokens_details or PromptDetails()
        completion = reported.completion_tokens_details or CompletionDetails()
        return Usage(
            prompt_tokens=reported.prompt_tokens or 0,
            completion_tokens=reported.completion_tokens or 0,
            cached_tokens=prompt.cached_tokens or 0,
            reasoning_tokens=completion.reasoning_tokens or 0,
        )


class _Call(Struct):
    index: int
    id: str
    server_id: str | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: Any = None
    is_begun: bool = False

    def has_all_arguments(self) -> bool:
        try:
            msgspec.json.decode("".join(self.arguments))
        except msgspec.DecodeError:
            return False
        return True


class _Calls:
    """The calls of one answer, told apart whether by id, by index or by name."""

    def __init__(self, request: Request, new_call_id: Callable[[], str]) -> None:
        self._new_call_id = new_call_id
        self._calls: list[_Call] = []
        self._at_index: dict[int, _Call] = {}
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
        call = self._find(piece, called) or self._add(piece)
        if piece.index is not None:
            self._at_index[piece.index] = call
        call.extra = call.extra or piece.extra_content
        call.name = call.name or called.name or ""
        arguments = called.arguments or ""
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        if call.name and not call.is_begun:
            call.is_begun = True
            yield CallBegun(index=call.index, id=call.id, name=call.name)
            if held := "".join(call.arguments):
                yield CallDelta(index=call.index, arguments=held)
        if arguments:
            call.arguments.append(arguments)
            if call.is_begun:
                yield CallDelta(index=call.index, arguments=arguments)

    def finish(self) -> Iterator[Event]:
        for call in self._calls:
            if not call.is_begun:
                raise Fault("The model called a function without saying which.")
            if not call.arguments:
                call.arguments.append("{}")
                yield CallDelta(index=call.index, arguments="{}")

    def tokens(self) -> int:
        return sum(
            tokens.count(call.name) + tokens.count("".join(call.arguments)) for call in self._calls
        )

    def _find(self, piece: CallPiece, called: CalledPiece) -> _Call | None:
        """Find the call this piece goes on with; none when it begins one."""
        known = {call.server_id: call for call in self._calls if call.server_id}
        is_new_place = piece.index is not None and piece.index not in self._at_index
        if piece.id in known and not (is_new_place and called.name):
            return known[piece.id]
        call = self._calls[-1] if self._calls else None
        if piece.index is not None:
            call = self._at_index.get(piece.index)
        # Some servers make up another id for every piece of a call that they number and name once.
        goes_on = piece.index is not None and not called.name
        if call is None or (piece.id and call.server_id and not goes_on):
            return None
        if called.name and call.name and self._is_another(call, called):
            return None
        call.server_id = call.server_id or piece.id
        return call

    def _is_another(self, call: _Call, called: CalledPiece) -> bool:
        # A server may repeat the name with every piece, or number every call zero.
        return called.name != call.name or (bool(called.arguments) and call.has_all_arguments())

    def _add(self, piece: CallPiece) -> _Call:
        if len(self._calls) == _MOST_CALLS:
            raise Fault(f"The model made more than {_MOST_CALLS} calls in one turn.")
        id_ = piece.id if piece.id and piece.id not in self._taken else self._new_call_id()
        self._taken.add(id_)
        call = _Call(index=len(self._calls), id=id_, server_id=piece.id or None)
        self._calls.append(call)
        return call


def _spoken(delta: Delta) -> Iterator[tuple[str, bool]]:
    if isinstance(delta.content, str):
        if delta.content:
            yield delta.content, False
    else:
        for part in delta.content or ():
            if part.type in ("text", "output_text") and part.text:
                yield part.text, False
            elif part.refusal:
                yield part.refusal, True
    if delta.refusal:
        yield delta.refusal, True
