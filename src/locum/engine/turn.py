"""One answer of a model: what it has opened so far, what that cost, and how it is closed."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from locum.engine.call_step import CallStep
from locum.engine.change import Change
from locum.engine.context import History
from locum.engine.parts import OpenFunctions
from locum.engine.provided import ProvidedCall
from locum.engine.recorder import Recorder
from locum.engine.unknown import UnknownCall
from locum.engine.voice import Voice
from locum.llm import protocol as llm
from locum.llm import tokens
from locum.store.runs import Words
from locum.tools.tool import Call, Memory, Setting, Tool
from locum.wire.messages import IncompleteReason
from locum.wire.runs import CachedTokens, ReasoningTokens, Usage
from locum.wire.steps import RunStep, StepError, StepStatus, ToolCall, ToolCalls
from locum.wire.tools import FunctionTool

# White space before a message begins; what runs on for longer is text.
_MOST_BLANK = 64 << 10
_MAYBE_DONE = (
    "Error: it is not known whether this call was carried out; the run ended before its answer."
)


class Offered(Struct, frozen=True):
    """A function as this run offers it, and the tool behind it; the user's own have none."""

    offer: llm.Offer
    tool: Tool | None = None
    tool_name: str = ""
    notes: str = ""


class Hosted:
    """A call to a hosted tool, in a step of its own."""

    def __init__(self, recorder: Recorder, call: Call, kind: str, call_id: str) -> None:
        self.call = call
        first = {"index": 0, "id": call_id, "type": kind, kind: call.begin()}
        self.step = CallStep(recorder, first)
        # While it is being carried out.
        self.is_under_way = False
        self._kind = kind

    async def tell(self, payload: dict[str, Any]) -> None:
        await self.step.tell({"index": 0, "type": self._kind, self._kind: payload})

    def written(self) -> tuple[RunStep, tuple[Memory, ...]]:
        """The step while the call is being done: what the model wrote already shows."""
        return replace(self.step.row, step_details=ToolCalls((self.call.done(),))), ()

    @property
    def may_be_done(self) -> bool:
        """Whether a foreign server may have done it though nobody has heard of it."""
        return self.is_under_way and self._kind == "function"

    def remembered(self, error: StepError | None) -> Memory:
        memory = self.call.memory()
        if self.may_be_done:
            return replace(memory, result=_MAYBE_DONE)
        return memory if error is None else replace(memory, result=f"Error: {error.message}")


class Turn:
    """What one answer of the model has opened so far."""

    def __init__(
        self,
        recorder: Recorder,
        history: History,
        offered: dict[str, Offered],
        request: llm.Request,
    ) -> None:
        self.request = request
        self.finished: llm.Finished | None = None
        self.functions: OpenFunctions | None = None
        self.hosted: list[Hosted] = []
        self._recorder = recorder
        self._offered = offered
        # Whether calls of tools may come beside those of functions.
        self._mixes = recorder.run.parallel_tool_calls and any(
            function.tool is not None for function in offered.values()
        )
        # Whether calls of what nobody has are answered here: no client waits for a call.
        tools = recorder.run.tools
        self._answers_unknown = bool(tools) and not any(
            isinstance(tool, FunctionTool) for tool in tools
        )
        self._known_calls = history.calls
        self._voice = Voice(recorder, history)
        self._function_step = CallStep(recorder)
        self._calls: dict[int, tuple[Hosted | None, int]] = {}
        self._provided: dict[str, tuple[Hosted, ProvidedCall]] = {}
        # Lines left empty, of which a call may come: they are no message by themselves.
        self._blank = _Pieces()
        self._text_deltas = 0
        self._late_text = _Pieces()
        self._late_refusal = _Pieces()
        # What was said after functions that the client has answered since.
        self._earlier = recorder.record.plan.late or Words()
        # What parts the words of an earlier turn from those of this one.
        self._gap = ""
        self._borne_early = 0
        self._owed = Usage()
        self._settled = False

    @property
    def has_calls(self) -> bool:
        return bool(self.hosted) or self.functions is not None

    @property
    def is_open(self) -> bool:
        return (
            self._voice.is_open
            or self._function_step.is_open
            or any(hosted.step.is_open for hosted in self._all_hosted())
        )

    def _all_hosted(self) -> list[Hosted]:
        return [*self.hosted, *(hosted for hosted, _ in self._provided.values())]

    # ------------------------------------------------------------------- listening

    async def hear_text(self, text: str) -> None:
        if self.has_calls:
            # A model that talks on after its calls is heard when they are over.
            self._late_text.add(text)
            return
        if not self._voice.is_open:
            if not text.strip() and self._blank.length + len(text) <= _MOST_BLANK:
                self._blank.add(text)
                return
            text = self._blank.take() + text
        self._text_deltas += 1
        text, self._gap = self._gap + text, ""
        await self._voice.say(text)

    async def open_message(self) -> None:
        """Begin the message of an answer, whatever it said."""
        await self._voice.open(self._blank.text)

    async def say_late(
        self,
        status: StepStatus = "completed",
        *,
        cut: IncompleteReason | None = None,
        error: StepError | None = None,
    ) -> None:
        """Give what was said after the calls a message of its own, unless a step is open."""
        if self.is_open or (late := self.take_late()) is None:
            return
        self._voice.begin()
        await self._voice.say_words(late)
        await self._recorder.write(await self.close_message(status, cut=cut, error=error))

    async def go_on(self) -> None:
        """Begin with what is owed of an earlier answer; once."""
        words, self._earlier = self._earlier, Words()
        if words != Words():
            await self._voice.say_words(words)
            self._gap = "" if words.refusal else "\n\n"

    def take_late(self) -> Words | None:
        """What was said and could not be told, because a step is open."""
        late = Words(self._late_text.take(), self._late_refusal.take())
        return late if late.text.strip() or late.refusal else None

    async def hear_refusal(self, text: str) -> None:
        if self.has_calls:
            self._late_refusal.add(text)
            return
        self._text_deltas += 1
        self._gap = ""
        self._blank.take()
        await self._voice.refuse(text)

    async def begin_call(self, begun: llm.CallBegun, setting: Setting) -> None:
        if self._calls and not self._recorder.run.parallel_tool_calls:
            return  # The run allows one call a turn; the model must ask again.
        await self._close_early()
        offered = self._offered.get(begun.name)
        if offered is None and self._answers_unknown:
            await self._begin_hosted(begun, "function", UnknownCall(begun.id, begun.name))
        elif offered is None or offered.tool is None:
            await self._begin_function(begun)
        else:
            call = await offered.tool.open(
                setting,
                call_id=begun.id,
                name=offered.tool_name,
                context_item=self._known_calls + len(self._calls),
            )
            kind = "function" if offered.offer.kind == "mcp" else offered.offer.kind
            await self._begin_hosted(begun, kind, call)

    async def begin_provided(self, begun: llm.ProviderCallBegun) -> None:
        """A call that the provider carries out while the model speaks: text goes on after it."""
        await self._close_early()
        self._voice.begin()
        call = ProvidedCall(begun)
        hosted = Hosted(self._recorder, call, begun.kind, begun.id)
        await hosted.step.open()
        self._provided[begun.id] = (hosted, call)

    async def hear_provided(self, call_id: str, text: str) -> None:
        hosted, call = self._provided[call_id]
        await hosted.tell(call.write(text))

    async def end_provided(self, done: llm.ProviderCallDone) -> None:
        hosted, call = self._provided[done.id]
        if (payload := call.end(done)) is not None:
            await hosted.tell(payload)
        error = None if done.error is None else StepError("server_error", done.error)
        status: StepStatus = "completed" if error is None else "failed"
        change = self.close_hosted(hosted, status, error=error, remember=True)
        await self._recorder.write(change)

    async def _close_early(self) -> None:
        """Close the message that a call interrupts.

        What the answer costs is told at its end. Until then its text bears one token a delta,
        which no model undercuts; what comes after bears the rest.
        """
        self._gap = ""
        self._blank.take()
        await self._voice.say_held()
        if not self._voice.is_open:
            return
        self._owed = _total(Usage(completion_tokens=self._text_deltas - self._borne_early))
        self._borne_early = self._text_deltas
        await self._recorder.write(await self.close_message())

    async def hear_arguments(self, index: int, arguments: str) -> None:
        if index not in self._calls or not arguments:
            return
        hosted, position = self._calls[index]
        if hosted is not None:
            payload = hosted.call.write(arguments)
            if payload is not None:
                await hosted.tell(payload)
        else:
            assert self.functions is not None
            await self._function_step.tell(self.functions.write(position, arguments))

    async def _begin_function(self, begun: llm.CallBegun) -> None:
        self.functions = self.functions or OpenFunctions()
        self._calls[begun.index] = (None, len(self.functions))
        await self._function_step.tell(self.functions.begin(begun.id, begun.name))
        # Calls of tools that may still come end before the client is asked.
        if not self._mixes:
            await self.show_functions()

    async def show_functions(self) -> None:
        """Begin the step of the functions, if there are any and no other step is open."""
        if self.functions is not None and not self.is_open:
            await self.open_functions()

    async def open_functions(self) -> None:
        """Begin the step of the functions, unless it has begun while the model spoke."""
        await self._function_step.open()

    async def _begin_hosted(self, begun: llm.CallBegun, kind: str, call: Call) -> None:
        hosted = Hosted(self._recorder, call, kind, begun.id)
        if not self.is_open:
            await hosted.step.open()
        self.hosted.append(hosted)
        self._calls[begun.index] = (hosted, 0)

    # -------------------------------------------------------------------- counting

    def settle(self, usage: Usage) -> Usage:
        """Learn what the answer cost; what was borne already is not borne twice."""
        self._settled = True
        completions = max(usage.completion_tokens, self._borne_early)
        self._owed = _total(replace(usage, completion_tokens=completions - self._borne_early))
        return _total(replace(usage, completion_tokens=completions))

    def give_up(self) -> Usage:
        """What an answer has cost that is not followed to its end, as far as its steps bear it."""
        if self._settled:
            return Usage()
        if not self.is_open:
            # No step is left for the rest.
            return self.settle(Usage(completion_tokens=self._borne_early))
        told = self.finished
        return self.settle(self._counted() if told is None else usage_of(told.usage))

    def take_owed(self) -> Usage:
        """The usage of the next step to be closed: all that no step bears yet."""
        owed, self._owed = self._owed, Usage()
        return owed

    def _counted(self) -> Usage:
        """Tokens of a turn that never finished, by our own count."""
        calls = () if self.functions is None else self.functions.calls()
        written = [call.function.arguments for call in calls]
        written += [*self._voice.words, self._late_text.text, self._late_refusal.text]
        return _total(
            Usage(
                prompt_tokens=tokens.count_messages(self.request.messages, self.request.offers),
                completion_tokens=tokens.Tally().text("".join(written)),
            )
        )

    # --------------------------------------------------------------------- closing

    async def close_message(
        self,
        status: StepStatus = "completed",
        *,
        cut: IncompleteReason | None = None,
        error: StepError | None = None,
    ) -> Change:
        """End the open message; its step bears what is owed."""
        return await self._voice.close(status, usage=self.take_owed(), cut=cut, error=error)

    def close_hosted(
        self, hosted: Hosted, status: StepStatus, *, error: StepError | None, remember: bool
    ) -> Change:
        memory = [hosted.remembered(error)] if remember else []
        for one in memory:
            self._voice.remember(one)
        return self._closed_calls(hosted.step, status, (hosted.call.done(),), error, memory)

    async def close_all(
        self, status: StepStatus, *, cut: IncompleteReason, error: StepError | None = None
    ) -> None:
        """End in the same way what is open and what was not said yet, one after the other.

        The first step bears what is owed.
        """
        write = self._recorder.write
        await self.go_on()
        await self._voice.say_held()
        if self._voice.is_open:
            await write(await self.close_message(status, cut=cut, error=error))
        for hosted in self._all_hosted():
            if hosted.step.is_open:
                remember = hosted.may_be_done
                await write(self.close_hosted(hosted, status, error=error, remember=remember))
        if self._function_step.is_open:
            assert self.functions is not None
            step = self._function_step
            await write(self._closed_calls(step, status, self.functions.calls(), error, []))
        await self.say_late(status, cut=cut, error=error)

    def written_functions(self) -> tuple[RunStep, tuple[Memory, ...]]:
        """The step while the client answers its calls: they show in full, without outputs."""
        assert self.functions is not None
        details = ToolCalls(self.functions.calls())
        return replace(self._function_step.row, step_details=details), ()

    def _closed_calls(
        self,
        step: CallStep,
        status: StepStatus,
        calls: tuple[ToolCall, ...],
        error: StepError | None,
        memory: list[Memory],
    ) -> Change:
        step.closed = True
        closed = self._recorder.closed_step(
            step.row, status, usage=self.take_owed(), calls=calls, error=error
        )
        return Change(steps=[(closed, memory)], events=[(f"thread.run.step.{status}", closed)])


class _Pieces:
    """Text that has not been told yet, kept as it came: an answer may come letter by letter."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.length = 0

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self.length += len(text)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self) -> str:
        text = self.text
        self._pieces.clear()
        self.length = 0
        return text


def usage_of(told: llm.Usage) -> Usage:
    return _total(
        Usage(
            prompt_tokens=told.prompt_tokens,
            completion_tokens=told.completion_tokens,
            prompt_token_details=CachedTokens(told.cached_tokens),
            completion_tokens_details=ReasoningTokens(told.reasoning_tokens),
        )
    )


def _total(usage: Usage) -> Usage:
    return replace(usage, total_tokens=usage.prompt_tokens + usage.completion_tokens)
