"""Drives one run: asks the model, follows what it says, and decides what comes next.

The loop writes nothing; what it decides, the recorder writes. It can be stopped only while it
waits for a model or a tool, so a stop never tears a write.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from locum.engine.change import Change
from locum.engine.context import Historian, History, OverBudget, prompt
from locum.engine.parts import OpenFunctions
from locum.engine.recorder import Recorder
from locum.engine.turn import Hosted, Offered, Turn, usage_of
from locum.llm import protocol as llm
from locum.llm import tokens
from locum.llm.faults import TOO_LONG
from locum.tools.tool import Setting, Tool, ToolFailed
from locum.wire.messages import IncompleteReason
from locum.wire.runs import (
    CalledFunction,
    RequiredAction,
    RequiredCall,
    RequiredCalls,
    Run,
    RunError,
    RunIncompleteDetails,
    Usage,
)
from locum.wire.steps import StepError, StepStatus
from locum.wire.tools import FunctionTool, ToolChoice

StopReason = Literal["cancelled", "expired"]
T = TypeVar("T")

# A run that calls tools for ever is a run that never ends.
_MOST_TURNS = 128
# The smallest prompt worth another try when one was too long.
_LEAST_ROOM = 256


class Stopped(Exception):
    """Somebody asked the run to stop: cancelled by a client, or past its deadline."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason: StopReason = reason


class Driver:
    """One run on its way to requires_action or to its end."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        backend: llm.Backend,
        tools: Sequence[Tool],
        historian: Historian,
        setting: Setting,
        spent: Usage,
        turns: int,
    ) -> None:
        self._recorder = recorder
        self._backend = backend
        self._tools = tools
        self._historian = historian
        self._setting = setting
        self._spent = spent
        self._turns = turns
        self._stop: StopReason | None = None
        # Who asked for it; of several the first.
        self.stopper = ""
        self._waiter: asyncio.Task[Any] | None = None
        self._turn: Turn | None = None
        # Tokens that a prompt may have, once the model has said that one was too long.
        self._room: int | None = None
        self._too_long: llm.ModelError | None = None
        # Set with the run as it is when its cancellation has begun.
        self.cancelling: asyncio.Future[Run] = asyncio.get_running_loop().create_future()

    def stop(self, reason: StopReason, *, asker: str = "") -> None:
        """Make the run stop at once if it waits, else at its next wait."""
        if self._stop is None:
            self._stop, self.stopper = reason, asker
            if self._waiter is not None:
                self._waiter.cancel()

    async def drive(self) -> None:
        try:
            await self._drive()
        except Stopped as stopped:
            await self._end_stopped(stopped.reason)
        except llm.ModelError as error:
            await self._fail(RunError(error.code, error.message))

    async def _drive(self) -> None:
        recorder = self._recorder
        if self._stop is not None:
            raise Stopped(self._stop)
        if recorder.run.status != "in_progress":
            if recorder.record.was_held:
                # Somebody may have died of it: who comes next must see that it was begun.
                await recorder.move("in_progress")
            else:
                recorder.begin()
        for _ in range(_MOST_TURNS):
            history = await self._historian.history(recorder.record.project_id, recorder.run)
            # A thread can be long to read, and a request to write: others come in between.
            await asyncio.sleep(0)
            functions = await self._offers()
            request = self._request(history, functions)
            if isinstance(request, RunIncompleteDetails):
                await self._end_incomplete(request)
                return
            shown = await self._historian.shown(recorder.record.project_id, request.messages)
            turn = Turn(recorder, history, functions, replace(request, messages=shown))
            self._turn = turn
            try:
                await self._listen(turn)
            except llm.ModelError as error:
                if not self._shorten(turn, error):
                    raise
                self._spent += turn.give_up()
                continue
            assert turn.finished is not None
            if await self._conclude(turn, turn.finished):
                return
            self._turns += 1
        await self._fail(RunError("server_error", f"The run took more than {_MOST_TURNS} turns."))

    # ------------------------------------------------------------ asking the model

    async def _offers(self) -> dict[str, Offered]:
        """The functions of this run by the names the model knows them by."""
        run = self._recorder.run
        offered = {
            tool.function.name: Offered(
                llm.Offer(
                    llm.Function(
                        tool.function.name,
                        tool.function.description,
                        tool.function.parameters or {},
                        bool(tool.function.strict),
                    )
                )
            )
            for tool in run.tools
            if isinstance(tool, FunctionTool)
        }
        for tool in self._tools:
            with self._waiting():
                functions = await tool.functions(self._setting)
            for function in functions:
                # A function of the user's own may already have the name of a tool of ours.
                name = function.name
                while name in offered:
                    name = f"{name}_"
                offered[name] = Offered(
                    llm.Offer(
                        llm.Function(name, function.description, function.parameters), tool.kind
                    ),
                    tool=tool,
                    tool_name=function.name,
                    notes=function.notes,
                )
        return offered

    def _request(
        self, history: History, offered: dict[str, Offered]
    ) -> llm.Request | RunIncompleteDetails:
        run = self._recorder.run
        prompts = _left(run.max_prompt_tokens, self._spent.prompt_tokens)
        completions = _left(run.max_completion_tokens, self._spent.completion_tokens)
        if completions is not None and completions <= 0:
            return RunIncompleteDetails("max_completion_tokens")
        offers = tuple(entry.offer for entry in offered.values())
        notes = [entry.notes for entry in offered.values() if entry.notes]
        instructions = "\n\n".join([*([run.instructions] if run.instructions else []), *notes])
        try:
            messages = prompt(
                history,
                instructions=instructions or None,
                offers=offers,
                truncation=run.truncation_strategy,
                budget=_smaller(prompts, self._room),
            )
        except OverBudget:
            if self._too_long is not None:
                raise self._too_long from None
            return RunIncompleteDetails("max_prompt_tokens")
        fmt = run.response_format
        return llm.Request(
            model=run.model,
            messages=messages,
            offers=offers,
            choice=self._choice(offered),
            parallel=run.parallel_tool_calls,
            response_format=None if fmt == "auto" else msgspec.to_builtins(fmt),
            temperature=run.temperature,
            top_p=run.top_p,
            reasoning_effort=run.reasoning_effort,
            max_tokens=completions,
        )

    def _choice(self, offered: dict[str, Offered]) -> llm.Choice:
        """A forced choice holds for the first turn of the run; kept up, it would never end."""
        choice = self._recorder.run.tool_choice
        forced = choice == "required" or isinstance(choice, ToolChoice)
        if forced and self._turns > 0:
            return "auto"
        if not isinstance(choice, ToolChoice):
            return choice
        if choice.type == "function" and choice.function is not UNSET:
            return llm.Named(choice.function.name)
        for name, entry in offered.items():
            if entry.offer.kind == choice.type:
                return llm.Named(name)
        return "auto"

    async def _listen(self, turn: Turn) -> None:
        """Follow one turn of the model to its end."""
        with self._recorder.trace.model_call(turn.request) as call:
            async with aclosing(self._backend.stream(turn.request)) as stream:
                async for event in self._each(stream):
                    call.hear(event)
                    await turn.go_on()
                    await self._hear(turn, event)
        if turn.finished is None:
            raise llm.ModelError("The model stopped without finishing its answer.")

    async def _hear(self, turn: Turn, event: llm.Event) -> None:
        match event:
            case llm.TextDelta(text):
                await turn.hear_text(text)
            case llm.RefusalDelta(text):
                await turn.hear_refusal(text)
            case llm.CallBegun():
                await turn.begin_call(event, self._setting)
            case llm.CallDelta(index, arguments):
                await turn.hear_arguments(index, arguments)
            case llm.ProviderCallBegun():
                await turn.begin_provided(event)
            case llm.ProviderCallDelta(call_id, text):
                await turn.hear_provided(call_id, text)
            case llm.ProviderCallDone():
                await turn.end_provided(event)
            case llm.Finished():
                turn.finished = event

    def _shorten(self, turn: Turn, error: llm.ModelError) -> bool:
        """Whether to ask again with half the thread: it was too long for the model, no more."""
        automatic = self._recorder.run.truncation_strategy.type == "auto"
        too_long = error.code == "invalid_prompt" and TOO_LONG.search(error.message) is not None
        if not (automatic and too_long) or turn.is_open:
            return False
        asked = tokens.count_messages(turn.request.messages, turn.request.offers)
        self._room, self._too_long = asked // 2, error
        return self._room >= _LEAST_ROOM and len(turn.request.messages) > 1

    # ---------------------------------------------------------- deciding what next

    async def _conclude(self, turn: Turn, finished: llm.Finished) -> bool:
        """End the turn; True when the run has nothing more to do for now."""
        self._spent += turn.settle(usage_of(finished.usage))
        if finished.reason in {"length", "content_filter"}:
            await self._end_cut(turn, finished.reason)
            return True
        if not turn.has_calls:
            await turn.open_message()
            # The last words and the end of the run are one commit: clients wait for it.
            closed = await turn.close_message()
            ended = self._recorder.moved("completed", usage=self._spent)
            closed.run, closed.plan = ended.run, ended.plan
            closed.events = [*closed.events, *ended.events]
            await self._recorder.write(closed)
            return True
        await self._run_hosted(turn)
        await turn.say_late()
        if turn.functions is None:
            return False
        await turn.open_functions()
        if self._stop is not None:
            raise Stopped(self._stop)
        waiting = self._recorder.moved(
            "requires_action",
            plan=replace(self._recorder.record.plan, owed=turn.take_owed(), late=turn.take_late()),
            required_action=_required(turn.functions),
        )
        waiting.steps = [turn.written_functions()]
        await self._recorder.write(waiting)
        return True

    async def _run_hosted(self, turn: Turn) -> None:
        """Do the hosted calls of a turn, one step after the other."""
        for hosted in turn.hosted:
            await hosted.step.open()
            status: StepStatus = "completed"
            error = None
            await self._recorder.write(Change(steps=[hosted.written()]))
            hosted.is_under_way = self._stop is None  # Else it is not even begun.
            try:
                await self._do(hosted)
            except ToolFailed as failure:
                status, error = "failed", StepError("server_error", failure.message)
            hosted.is_under_way = False
            change = turn.close_hosted(hosted, status, error=error, remember=True)
            await self._recorder.write(change)

    async def _do(self, hosted: Hosted) -> None:
        with self._recorder.trace.tool_call(hosted.step.row, hosted.call.done()) as work:
            async with aclosing(hosted.call.run()) as outputs:
                async for payload in self._each(outputs):
                    await hosted.tell(payload)
            work.made(hosted.call.memory())

    # -------------------------------------------------------------- ways of ending

    async def _end_cut(self, turn: Turn, reason: str) -> None:
        """Out of tokens, or filtered: what is there stays, the step is done, the run is not."""
        cut: IncompleteReason = "max_tokens" if reason == "length" else "content_filter"
        await turn.show_functions()
        if not turn.is_open:
            # Cut before its first word: a step must bear what the run has cost all the same.
            await turn.open_message()
        await turn.close_all("completed", cut=cut)
        details = RunIncompleteDetails(
            "max_completion_tokens" if reason == "length" else "content_filter"
        )
        await self._end_incomplete(details)

    async def _end_incomplete(self, details: RunIncompleteDetails) -> None:
        await self._recorder.move("incomplete", usage=self._spent, incomplete_details=details)

    async def _end_stopped(self, reason: StopReason) -> None:
        cut: IncompleteReason = "run_cancelled" if reason == "cancelled" else "run_expired"
        if reason == "cancelled":
            plan = replace(self._recorder.record.plan, stopper=self.stopper)
            await self._recorder.move("cancelling", plan=plan)
            self.cancelling.set_result(self._recorder.run)
        await self._close_open(reason, cut=cut)
        await self._recorder.move(reason, usage=self._spent)

    async def _fail(self, error: RunError) -> None:
        code: Literal["server_error", "rate_limit_exceeded"] = (
            "rate_limit_exceeded" if error.code == "rate_limit_exceeded" else "server_error"
        )
        await self._close_open("failed", cut="run_failed", error=StepError(code, error.message))
        await self._recorder.move("failed", usage=self._spent, last_error=error)

    async def _close_open(
        self, status: StepStatus, *, cut: IncompleteReason, error: StepError | None = None
    ) -> None:
        """Close what the interrupted turn left open; what it has cost is counted here."""
        turn = self._turn
        if turn is None:
            return
        await turn.show_functions()
        self._spent += turn.give_up()
        await turn.close_all(status, cut=cut, error=error)

    # --------------------------------------------------------------------- waiting

    async def _each(self, source: AsyncIterator[T]) -> AsyncIterator[T]:
        while True:
            try:
                with self._waiting():
                    item = await anext(source)
            except StopAsyncIteration:
                return
            yield item

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A stretch in which a stop takes effect at once."""
        if self._stop is not None:
            raise Stopped(self._stop)
        task = asyncio.current_task()
        assert task is not None
        self._waiter = task
        try:
            yield
        except asyncio.CancelledError:
            if self._stop is None:
                raise
            task.uncancel()
            raise Stopped(self._stop) from None
        finally:
            self._waiter = None


def _required(functions: OpenFunctions) -> RequiredAction:
    return RequiredAction(
        submit_tool_outputs=RequiredCalls(
            tuple(
                RequiredCall(
                    id=call.id,
                    function=CalledFunction(call.function.name, call.function.arguments),
                )
                for call in functions.calls()
            )
        )
    )


def _left(budget: int | None, spent: int) -> int | None:
    return None if budget is None else budget - spent


def _smaller(one: int | None, other: int | None) -> int | None:
    known = [budget for budget in (one, other) if budget is not None]
    return min(known) if known else None
