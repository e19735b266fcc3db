"""Folds the events of a Responses stream into ours; a whole response is read as its last event."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from locum import logs
from locum.llm import loose, provider_calls, tokens
from locum.llm.faults import Fault, read_fault
from locum.llm.halves import Halves
from locum.llm.protocol import (
    CallBegun,
    CallDelta,
    Event,
    Finished,
    ProviderCallBegun,
    ProviderCallDelta,
    ProviderCallDone,
    RefusalDelta,
    Request,
    TextDelta,
    Usage,
    call_ids,
)
from locum.llm.reported import usage_of
from locum.unreadable import UNREADABLE

_MOST_ITEMS: Final = 512
_LONGEST_TYPE: Final = 64
_OF_PROMPT: Final = ("invalid_", "image_", "unsupported_image", "empty_image", "failed_to_download")
# Nothing of these is a call, or shows in a run.
_UNSEEN: Final = frozenset({"reasoning", "mcp_list_tools", "compaction", "tool_search_call"})
_UNSEEN_OUTPUTS: Final = ("_output", "_response")


class _Event(Struct):
    type: str | None = None
    output_index: int | float | str | None = None
    item_id: str | int | None = None
    delta: Any = None
    item: Any = None
    response: Any = None
    # Of a failure, or of a whole response that came in place of a stream.
    error: Any = None
    message: Any = None
    code: Any = None
    status: str | None = None
    object: str | None = None


_events = msgspec.json.Decoder(_Event | None)


class _Item(Struct):
    """One item of the output, as far as it has been told."""

    type: str
    call_id: str = ""
    # Which function call of the turn it is, counted from 0.
    index: int = 0
    name: str = ""
    kind: provider_calls.Kind | None = None
    pieces: list[str] = field(default_factory=list)
    over: bool = False

    @property
    def told(self) -> str:
        return "".join(self.pieces)


class ResponseAnswer:
    """One answer as it arrives. Call `read` for each document, and `finish` after the last."""

    def __init__(
        self,
        request: Request,
        *,
        new_call_id: Callable[[], str],
        functions_last: bool = False,
        secrets: Iterable[str] = (),
    ) -> None:
        self._request = request
        self._new_call_id = new_call_id
        # A call that waits for an answer stays open, and one of the provider's may still follow it.
        self._functions_last = functions_last
        self._secrets = list(secrets)
        self._items: list[_Item] = []
        # The item that each number, or id where there is none, stood for last.
        self._at: dict[int | float | str, _Item] = {}
        self._calls = 0
        self._ended: Finished | None = None
        self._halves = Halves()
        self._taken = {taken for message in request.messages for taken in call_ids(message)}

    @property
    def is_over(self) -> bool:
        return self._ended is not None

    def read(self, document: bytes) -> Iterator[Event]:
        try:
            event = _events.decode(document)
        except UNREADABLE as error:
            document = self._halves.mended(document)
            try:
                event = _events.decode(document)
            except UNREADABLE:
                message = f"The model's server sent what is no part of an answer: {error}"
                raise Fault(message) from error
        if event is None:
            return
        if event.type is None and event.object == "response":
            event.type = f"response.{event.status or 'completed'}"
            event.response = msgspec.json.decode(document)
        match event.type:
            case "response.output_item.added" if isinstance(event.item, dict):
                yield from self._begin(event.item)
                self._at[_key(event)] = self._items[-1]
            case "response.output_item.done" if isinstance(event.item, dict):
                yield from self._end(self._of(event, event.item.get("type")), event.item)
            case "response.output_text.delta":
                yield from self._speak(event, TextDelta(loose.text(event.delta)))
            case "response.refusal.delta":
                yield from self._speak(event, RefusalDelta(loose.text(event.delta)))
            case (
                "response.function_call_arguments.delta"
                | "response.code_interpreter_call_code.delta"
                | "response.mcp_call_arguments.delta"
            ):
                yield from self._write(self._at.get(_key(event)), loose.text(event.delta))
            case "response.completed" | "response.incomplete":
                yield from self._conclude(loose.record(event.response))
            case "response.failed" | "error" | None:
                raise self._failure(event, document)

    def finish(self, *, is_whole: bool) -> Iterator[Event]:  # noqa: ARG002 — its last event says so
        if self._ended is None:
            message = "The model's server ended its answer before it was whole."
            raise Fault(message, is_transient=True)
        if self._functions_last:
            yield from self._functions()
        yield self._ended

    # ----------------------------------------------------------------------- items

    def _of(self, event: _Event, kind: Any) -> _Item | None:
        """The item this event is about. Gateways give one number to items of several kinds."""
        item = self._at.get(_key(event))
        return item if item is not None and item.type == kind else None

    def _begin(self, item: dict[str, Any]) -> Iterator[Event]:
        if len(self._items) >= _MOST_ITEMS:
            raise Fault(f"The model's answer has more than {_MOST_ITEMS} items.")
        kind = provider_calls.kind_of(item)
        begun = _Item(str(item.get("type")), kind=kind)
        self._items.append(begun)
        if begun.type == "function_call":
            begun.index, begun.name = self._calls, loose.text(item.get("name"))
            if not begun.name:
                raise Fault("The model called a function without saying which.")
            begun.call_id = self._id(item.get("call_id"))
            self._calls += 1
            if not self._functions_last:
                yield CallBegun(begun.index, begun.call_id, begun.name)
        elif kind is not None:
            begun.name = provider_calls.name_of(item)
            begun.call_id = self._id(item.get("id"))
            shown = begun.name if kind == "function" else ""
            yield ProviderCallBegun(begun.call_id, kind, shown)
        elif begun.type != "message" and not _is_unseen(begun.type):
            asked = begun.type[:_LONGEST_TYPE]
            raise Fault(f"The model asks for a '{asked}', which nobody here carries out.")

    def _end(self, known: _Item | None, item: dict[str, Any]) -> Iterator[Event]:
        """All that the item says and that no delta has told."""
        if known is None:
            yield from self._begin(item)
            known = self._items[-1]
        if known.over:
            return
        known.over = True
        if known.type == "function_call":
            rest = _rest(known.told, loose.text(item.get("arguments")))
            yield from self._write(known, rest or ("" if known.told else "{}"))
        elif known.kind is not None:
            if known.kind != "file_search":  # Whose queries no step shows.
                rest = _rest(known.told, provider_calls.arguments_of(item))
                yield from self._write(known, rest)
            yield self._done(known, known.kind, item)
        elif known.type == "message" and not known.pieces:
            yield from self._spoken(known, item)

    def _done(
        self, known: _Item, kind: provider_calls.Kind, item: dict[str, Any]
    ) -> ProviderCallDone:
        told = provider_calls.told_of(item)
        return ProviderCallDone(
            id=known.call_id,
            call=provider_calls.call_of(known.call_id, kind, known.name, known.told, told),
            name=known.name,
            arguments=known.told or provider_calls.arguments_of(item),
            result=provider_calls.result_of(told),
            error=told.error,
        )

    def _speak(self, event: _Event, said: TextDelta | RefusalDelta) -> Iterator[Event]:
        item = self._of(event, "message")
        if item is None:
            item = self._at[_key(event)] = _Item("message")
            self._items.append(item)
        if said.text:
            item.pieces.append(said.text)
            yield said

    def _spoken(self, known: _Item, item: dict[str, Any]) -> Iterator[Event]:
        """What a server says that streams nothing."""
        for part in loose.records(item.get("content")):
            text = loose.text(part.get("text") or part.get("refusal"))
            if text:
                known.pieces.append(text)
                yield RefusalDelta(text) if part.get("type") == "refusal" else TextDelta(text)

    def _write(self, item: _Item | None, text: str) -> Iterator[Event]:
        if item is None or item.type in ("message", "reasoning") or not text:
            return
        item.pieces.append(text)
        if item.kind is not None:
            yield ProviderCallDelta(item.call_id, text)
        elif not self._functions_last:
            yield CallDelta(item.index, text)

    def _id(self, given: Any) -> str:
        chosen = given if isinstance(given, str) and given not in self._taken else None
        chosen = chosen or self._new_call_id()
        self._taken.add(chosen)
        return chosen

    # --------------------------------------------------------------------- the end

    def _functions(self) -> Iterator[Event]:
        """The calls that were put off, each with its arguments in one piece."""
        for item in self._items:
            if item.type == "function_call":
                yield CallBegun(item.index, item.call_id, item.name)
                yield CallDelta(item.index, item.told or "{}")

    def _conclude(self, response: dict[str, Any]) -> Iterator[Event]:
        # What was streamed, in its order and by kind: gateways number the whole otherwise.
        streamed: dict[str, list[_Item]] = {}
        for known in self._items:
            streamed.setdefault(known.type, []).append(known)
        for item in loose.records(response.get("output")):
            same = streamed.get(str(item.get("type")))
            yield from self._end(same.pop(0) if same else None, item)
        reason: Literal["stop", "length", "calls", "content_filter"] = (
            "calls" if self._calls else "stop"
        )
        if response.get("status") == "incomplete":
            details = loose.record(response.get("incomplete_details"))
            filtered = details.get("reason") == "content_filter"
            reason = "content_filter" if filtered else "length"
        reported = usage_of(response.get("usage"), "input", "output")
        self._ended = Finished(
            reason, reported or self._counted(), counted_by_backend=reported is not None
        )

    def _counted(self) -> Usage:
        said = "".join(item.told + item.name for item in self._items)
        return Usage(
            tokens.count_messages(self._request.messages, self._request.offers),
            tokens.Tally().text(said),
        )

    def _failure(self, event: _Event, document: bytes) -> Fault:
        words = event.response if event.type == "response.failed" else None
        fault = read_fault(
            msgspec.json.decode(document) if words is None else words,
            status=None,
            otherwise="The model's server reported an error.",
            secrets=self._secrets,
        )
        if (fault.code or "").startswith(_OF_PROMPT):
            fault.code = "invalid_prompt"
        return fault


def _key(event: _Event) -> int | float | str:
    return event.item_id or "" if event.output_index is None else event.output_index


def _rest(told: str, whole: str) -> str:
    """What is missing of the whole. What was told otherwise is told, and stays."""
    return whole.removeprefix(told) if whole.startswith(told) else ""


def _is_unseen(kind: str) -> bool:
    if kind in _UNSEEN or kind.endswith(_UNSEEN_OUTPUTS):
        return True
    if kind.endswith(("_call", "_request")):
        return False
    logs.info("model.item_unseen", type=kind[:_LONGEST_TYPE])
    return True
