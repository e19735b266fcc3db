"""One answer of a model: what it has opened so far, what that cost, and how it is closed."""

from collections.abc import Iterable
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
from locum.engine.unknown import UnknownCall
from locum.llm import protocol as llm
from locum.llm import tokens
from locum.store.runs import Words
from locum.tools.tool import Call, Memory, Setting, Tool
from locum.wire.messages import Annotation, IncompleteReason, Message, Refusal, Text
from locum.wire.runs import CachedTokens, ReasoningTokens, Usage
from locum.wire.steps import RunStep, StepError, StepStatus, ToolCall, ToolCalls
from locum.wire.tools import FunctionTool


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
        # Whether calls of what nobody has are answered here: no client waits for a call.
        tools = recorder.run.tools
        self._answers_unknown = bool(tools) and not any(
            isinstance(tool, FunctionTool) for tool in tools
        )
        self._known_calls = history.calls
        # What came of calls, those of this answer included, and their pictures that no message
        # has shown yet.
        self._memories = list(history.memories)
        self._images = list(history.images)
        self._said = OpenMessage()
        self._message_step: RunStep | None = None
        self._function_step = CallStep(recorder)
        self._speech = _speech(self._memories)
        self._calls: dict[int, tuple[Hosted | None, int]] = {}
        self._provided: dict[str, tuple[Hosted, ProvidedCall]] = {}
        # Lines left empty, of which a call may come: they are no message by themselves.
        self._blank = ""
        self._text_deltas = 0
        self._late = Words()
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
        text = self._blank + text
        if self._message_step is None and text.isspace():
            self._blank = text
            return
        self._text_deltas += 1
        text, self._gap, self._blank = self._gap + text, "", ""
        for piece, annotation in self._speech.feed(text):
            await self._say_text(piece, annotation)

    async def say_nothing(self) -> None:
        """Open the message all the same: clients need one delta in every message."""
        await self._say_text(self._blank, None)

    async def say_late(self) -> None:
        """Give what was said after the calls a message of its own, unless a step is open."""
        if not self.is_open and await self._open_late():
            await self._recorder.write(await self.close_message())

    async def _open_late(self) -> bool:
        """Begin the message of what was said after the calls, if anything was."""
        if (late := self.take_late()) is None:
            return False
        self._begin_message()
        await self._say_words(late)
        return True

    async def go_on(self) -> None:
        """Begin with what is owed of an earlier answer; once."""
        words, self._earlier = self._earlier, Words()
        if words != Words():
            await self._say_words(words)
            self._gap = "" if words.refusal else "\n\n"

    def take_late(self) -> Words | None:
        """What was said and could not be told, because a step is open."""
        late, self._late = self._late, Words()
        return late if late.text.strip() or late.refusal else None

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
        self._begin_message()
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
        self._gap = self._blank = ""
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

    async def _begin_hosted(self, begun: llm.CallBegun, kind: str, call: Call) -> None:
        hosted = Hosted(self._recorder, call, kind, begun.id)
        if not self.is_open:
            await hosted.step.open()
        self.hosted.append(hosted)
        self._calls[begun.index] = (hosted, 0)

    # -------------------------------------------------------------------- speaking

    def _begin_message(self) -> None:
        """What is said next is a message of its own."""
        self.message, self._said = None, OpenMessage()
        self._speech = _speech(self._memories)

    async def _say_text(self, piece: str, annotation: Annotation | None) -> None:
        if self.message is None:
            await self._show_images()
        await self._say(self._said.text(piece, annotation))

    async def _show_images(self) -> None:
        """Pictures that code has shown since the last message stand before its text."""
        images, self._images = self._images, []
        for file_id in images:
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
        written += [self._late.text, self._late.refusal]
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
        return self._recorder.spoken(message, step)

    def close_hosted(
        self, hosted: Hosted, status: StepStatus, *, error: StepError | None, remember: bool
    ) -> Change:
        memory = [hosted.remembered(error)] if remember else []
        for one in memory:
            self._memories.append(one)
            self._images.extend(one.images)
        return self._closed_calls(hosted.step, status, (hosted.call.done(),), error, memory)

    async def close_all(
        self, status: StepStatus, *, cut: IncompleteReason, error: StepError | None = None
    ) -> None:
        """End in the same way what is open and what was not said yet, one after the other.

        The first step bears what is owed.
        """
        write = self._recorder.write
        await self.go_on()
        if self._message_step is not None:
            await write(await self.close_message(cut=cut, status=status, error=error))
        for hosted in self._all_hosted():
            if hosted.step.is_open:
                await write(self.close_hosted(hosted, status, error=error, remember=False))
        if self._function_step.is_open:
            assert self.functions is not None
            step = self._function_step
            await write(self._closed_calls(step, status, self.functions.calls(), error, []))
        if await self._open_late():
            await write(await self.close_message(cut=cut, status=status, error=error))

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


def _speech(memories: Iterable[Memory]) -> Speech:
    citations: dict[str, str] = {}
    paths: dict[str, str] = {}
    for memory in memories:
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
