"""One answer of a model: what it has opened so far, what that cost, and how it is closed."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from locum.engine.call_step import CallStep
from locum.engine.change import Change
from locum.engine.context import History
from locum.engine.parts import OpenFunctions, OpenMessage
from locum.engine.provided import ProvidedCall
from locum.engine.recorder import Recorder
from locum.engine.speech import Speech
from locum.llm import protocol as llm
from locum.llm import tokens
from locum.store.runs import Words
from locum.tools.tool import Call, Memory, Setting, Tool
from locum.wire.messages import Annotation, IncompleteReason, Message, Refusal, Text
from locum.wire.runs import CachedTokens, ReasoningTokens, Usage
from locum.wire.steps import RunStep, StepError, StepStatus, ToolCall, ToolCalls


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
        self._kind = kind

    async def tell(self, payload: dict[str, Any]) -> None:
        await self.step.tell({"index": 0, "type": self._kind, self._kind: payload})

    def written(self) -> tuple[RunStep, tuple[Memory, ...]]:
        """The step while the call is being done: what the model wrote already shows."""
        return replace(self.step.row, step_details=ToolCalls((self.call.done(),))), ()

    def remembered(self, error: StepError | None) -> Memory:
        memory = self.call.memory()
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
        self.message: Message | None = None
        self.functions: OpenFunctions | None = None
        self.hosted: list[Hosted] = []
        self._recorder = recorder
        self._offered = offered
        # Whether calls of tools may come beside those of functions.
        self._mixes = recorder.run.parallel_tool_calls and any(
            function.tool is not None for function in offered.values()
        )
        self._history = history
        self._said = OpenMessage()
        self._message_step: RunStep | None = None
        self._function_step = CallStep(recorder)
        self._speech = _speech(history)
        self._calls: dict[int, tuple[Hosted | None, int]] = {}
        self._provided: dict[str, tuple[Hosted, ProvidedCall]] = {}
        self._text_deltas = 0
        self._late = Words()
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
            self._message_step is not None
            or self._function_step.is_open
            or any(hosted.step.is_open for hosted in self._all_hosted())
        )

    def _all_hosted(self) -> list[Hosted]:
        return [*self.hosted, *(hosted for hosted, _ in self._provided.values())]

    # ------------------------------------------------------------------- listening

    async def hear_text(self, text: str) -> None:
        if self.has_calls:
            # A model that talks on after its calls is heard when they are over.
            self._late = replace(self._late, text=self._late.text + text)
            return
        self._text_deltas += 1
        text, self._gap = self._gap + text, ""
        for piece, annotation in self._speech.feed(text):
            await self._say_text(piece, annotation)

    async def say_nothing(self) -> None:
        """Open the message all the same: clients need one delta in every message."""
        await self._say_text("", None)

    async def say_late(self) -> None:
        """Give what was said after the calls a message of its own, unless a step is open."""
        if self._late == Words() or self.is_open:
            return
        self.message, self._said = None, OpenMessage()
        self._speech = _speech(self._history)
        await self._say_words(self._late)
        self._late = Words()
        await self._recorder.write(await self.close_message())

    async def go_on(self, words: Words) -> None:
        """Begin with what was said after functions that the client has answered since."""
        await self._say_words(words)
        self._gap = "" if words.refusal else "\n\n"

    def take_late(self) -> Words | None:
        """What was said and could not be told, because a step is open."""
        late, self._late = self._late, Words()
        return None if late == Words() else late

    async def _say_words(self, words: Words) -> None:
        for piece, annotation in self._speech.feed(words.text):
            await self._say_text(piece, annotation)
        if words.refusal:
            await self._say(self._said.refusal(words.refusal))

    async def hear_refusal(self, text: str) -> None:
        if self.has_calls:
            self._late = replace(self._late, refusal=self._late.refusal + text)
            return
        self._text_deltas += 1
        if self.message is None:
            await self._show_images()
        await self._say(self._said.refusal(text))

    async def begin_call(self, begun: llm.CallBegun, setting: Setting) -> None:
        if self._calls and not self._recorder.run.parallel_tool_calls:
            return  # The run allows one call a turn; the model must ask again.
        await self._close_early()
        offered = self._offered.get(begun.name)
        if offered is None or offered.tool is None:
            await self._begin_function(begun)
        else:
            await self._begin_hosted(begun, offered, setting)

    async def begin_provided(self, begun: llm.ProviderCallBegun) -> None:
        """A call that the provider carries out while the model speaks: text goes on after it."""
        await self._close_early()
        self.message, self._said = None, OpenMessage()
        self._speech = _speech(self._history)
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
        if self._message_step is None:
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

    async def _begin_hosted(self, begun: llm.CallBegun, offered: Offered, setting: Setting) -> None:
        kind = "function" if offered.offer.kind == "mcp" else offered.offer.kind
        assert offered.tool is not None
        call: Call = await offered.tool.open(
            setting,
            call_id=begun.id,
            name=offered.tool_name,
            context_item=self._history.calls + len(self._calls),
        )
        hosted = Hosted(self._recorder, call, kind, begun.id)
        if not self.is_open:
            await hosted.step.open()
        self.hosted.append(hosted)
        self._calls[begun.index] = (hosted, 0)

    # -------------------------------------------------------------------- speaking

    async def _say_text(self, piece: str, annotation: Annotation | None) -> None:
        if self.message is None:
            await self._show_images()
        await self._say(self._said.text(piece, annotation))

    async def _show_images(self) -> None:
        """Pictures that code has shown since the last message stand before its text."""
        for file_id in self._history.images:
            await self._say(self._said.image(file_id))

    async def _say(self, part: dict[str, Any]) -> None:
        if self.message is None:
            self._message_step, self.message = await self._recorder.open_message(part)
        else:
            await self._recorder.say(self.message, part)

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
        said = [
            part.text.value if isinstance(part, Text) else part.refusal
            for part in self._said.parts()
            if isinstance(part, Text | Refusal)
        ]
        calls = () if self.functions is None else self.functions.calls()
        written = [call.function.arguments for call in calls]
        return _total(
            Usage(
                prompt_tokens=tokens.count_messages(self.request.messages, self.request.offers),
                completion_tokens=tokens.count("".join(said + written)),
            )
        )

    # --------------------------------------------------------------------- closing

    async def close_message(
        self,
        *,
        cut: IncompleteReason | None = None,
        status: StepStatus = "completed",
        error: StepError | None = None,
    ) -> Change:
        """End the open message and its step: what it said, and how it ended."""
        assert self.message is not None
        assert self._message_step is not None
        for piece, annotation in self._speech.end():
            await self._say_text(piece, annotation)
        message = self._recorder.closed_message(self.message, self._said.parts(), cut)
        step = self._recorder.closed_step(
            self._message_step, status, usage=self.take_owed(), error=error
        )
        self._message_step = None
        plan = self._recorder.record.plan
        return Change(
            # What was said late is told now.
            plan=None if plan.late is None else replace(plan, late=None),
            message=message,
            steps=[(step, ())],
            events=[
                (f"thread.message.{message.status}", message),
                (f"thread.run.step.{status}", step),
            ],
        )

    def close_hosted(
        self, hosted: Hosted, status: StepStatus, *, error: StepError | None, remember: bool
    ) -> Change:
        memory = [hosted.remembered(error)] if remember else []
        return self._closed_calls(hosted.step, status, (hosted.call.done(),), error, memory)

    async def close_all(
        self, status: StepStatus, *, cut: IncompleteReason, error: StepError | None = None
    ) -> list[Change]:
        """End everything that is open in the same way; the first step bears what is owed."""
        changes = []
        if self._message_step is not None:
            changes.append(await self.close_message(cut=cut, status=status, error=error))
        changes += [
            self.close_hosted(hosted, status, error=error, remember=False)
            for hosted in self._all_hosted()
            if hosted.step.is_open
        ]
        if self._function_step.is_open:
            assert self.functions is not None
            step = self._function_step
            changes.append(self._closed_calls(step, status, self.functions.calls(), error, []))
        return changes

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


def _speech(history: History) -> Speech:
    citations: dict[str, str] = {}
    paths: dict[str, str] = {}
    for memory in history.memories:
        citations.update(memory.citations)
        paths.update(memory.paths)
    return Speech(citations=citations, paths=paths)


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
