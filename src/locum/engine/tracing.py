"""What a run does, told as spans: run → model calls and steps, step → tool calls.

A model call is no child of a step: it begins before the first word that opens one, and may open
several. Names follow OpenTelemetry's conventions for generative AI; ours begin with `locum.`.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from locum import logs
from locum.clock import Clock
from locum.engine.states import TERMINAL
from locum.engine.traced_calls import SECOND, UNTIMED, ModelCall, Stretch, ToolWork, of_call
from locum.llm import protocol as llm
from locum.store.runs import RunRecord
from locum.telemetry.spans import Origin, Span, Tracer, asked
from locum.wire.runs import Run
from locum.wire.steps import RunStep, ToolCall, ToolCalls

_MOST_OPEN: Final = 10_000

Changed = Sequence[tuple[RunStep, object]]


class RunTrace(Protocol):
    """The spans of one run, as far as this process sees them."""

    def opened(self, step: RunStep) -> None: ...

    def wrote(self, *, steps: Changed, run: Run | None) -> None:
        """Rows have been committed: steps that were closed, the run's new state."""
        ...

    def model_call(self, request: llm.Request) -> Stretch: ...

    def tool_call(self, step: RunStep, call: ToolCall) -> Stretch: ...


class Traces:
    """Makes the trace of every run: one that tells, or one that costs nothing."""

    def __init__(self, tracer: Tracer | None, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock
        # When open steps began, finer than their rows say: some wait for a client meanwhile.
        self._opened: dict[str, int] = {}

    def begin(self, run: Run) -> Origin | None:
        """Where the trace of a new run begins: in its caller's, beside the request that asks."""
        if self._tracer is None:
            return None
        asking = asked.get()
        parent = None if asking is None else asking.caller
        return Origin(
            context=self._tracer.begin("invoke_agent", parent),
            begun_ns=_within(run.created_at, self._clock.now_ns()),
            parent=parent,
            request=None if asking is None else asking.span,
        )

    def of(self, record: RunRecord) -> RunTrace:
        origin = record.plan.origin
        if self._tracer is None or origin is None:
            return _UNTRACED
        return _Traced(self._tracer, self._clock, origin, record.run, self._opened)

    def enter(self, record: RunRecord) -> None:
        """From here on, what this task logs belongs to the run."""
        origin = record.plan.origin
        place = None if origin is None else origin.context
        logs.trace.set(None if place is None else (place.trace_id, place.span_id))


class _Traced:
    def __init__(
        self, tracer: Tracer, clock: Clock, origin: Origin, run: Run, opened: dict[str, int]
    ) -> None:
        self._tracer = tracer
        self._clock = clock
        self._origin = origin
        self._thread_id = run.thread_id
        self._opened = opened
        self._done_here: set[str] = set()

    def opened(self, step: RunStep) -> None:
        if len(self._opened) >= _MOST_OPEN:
            self._opened.clear()  # Steps whose runs others have ended. Rows know the second.
        self._opened[step.id] = _within(step.created_at, self._clock.now_ns())

    def wrote(self, *, steps: Changed, run: Run | None) -> None:
        now = self._clock.now_ns()
        for step, _ in steps:
            if (ended_at := _ended_at(step)) is not None:
                self._tell_step(step, _within(ended_at, now))
        if run is not None and run.status in TERMINAL:
            self._tell_run(run, now)

    def model_call(self, request: llm.Request) -> Stretch:
        return ModelCall(
            self._tracer, self._clock, self._origin.context, request, thread_id=self._thread_id
        )

    def tool_call(self, step: RunStep, call: ToolCall) -> Stretch:
        self._done_here.add(step.id)
        return ToolWork(self._tracer, self._clock, self._origin.context.beside(step.id), call)

    def _tell_step(self, step: RunStep, end_ns: int) -> None:
        # The process that opened it may be gone; then its row still knows the second.
        start_ns = self._opened.pop(step.id, step.created_at * SECOND)
        start_ns = min(max(start_ns, self._origin.begun_ns), end_ns)
        span = Span(
            name=f"step {step.type}",
            context=self._origin.context.beside(step.id),
            parent=self._origin.context,
            start_ns=start_ns,
            end_ns=end_ns,
            attributes={
                "locum.step.id": step.id,
                "locum.step.type": step.type,
                "locum.step.status": step.status,
                **({} if step.last_error is None else {"error.type": step.last_error.code}),
            },
            failed=step.status == "failed",
        )
        self._tracer.record(span)
        if isinstance(step.step_details, ToolCalls) and step.id not in self._done_here:
            for call in step.step_details.tool_calls if step.status == "completed" else ():
                self._tell_call(call, span)

    def _tell_call(self, call: ToolCall, step: Span) -> None:
        """A call that was done elsewhere, by the client or a provider, while its step was open."""
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            **of_call(call, shows_content=self._tracer.shows_content),
        }
        self._tracer.record(
            Span(
                name=f"execute_tool {attributes['gen_ai.tool.name']}",
                context=step.context.beside(f"{step.context.span_id} {call.id}"),
                parent=step.context,
                start_ns=step.start_ns,
                end_ns=step.end_ns,
                attributes=attributes,
            )
        )

    def _tell_run(self, run: Run, now: int) -> None:
        ended_at = run.completed_at or run.failed_at or run.cancelled_at
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "locum",
            "gen_ai.agent.id": run.assistant_id,
            "gen_ai.conversation.id": run.thread_id,
            "gen_ai.request.model": run.model,
            "locum.run.id": run.id,
            "locum.run.status": run.status,
        }
        if run.usage is not None:
            attributes["gen_ai.usage.input_tokens"] = run.usage.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = run.usage.completion_tokens
        if run.last_error is not None:
            attributes["error.type"] = run.last_error.code
        end_ns = now if ended_at is None else _within(ended_at, now)
        self._tracer.record(
            Span(
                name="invoke_agent",
                context=self._origin.context,
                parent=self._origin.parent,
                start_ns=self._origin.begun_ns,
                end_ns=max(end_ns, self._origin.begun_ns),
                attributes=attributes,
                link=self._origin.request,
                failed=run.status == "failed",
            )
        )


def _ended_at(step: RunStep) -> int | None:
    return step.completed_at or step.cancelled_at or step.failed_at or step.expired_at


def _within(second: int, now_ns: int) -> int:
    """The moment, as far as it lies in the second that stands in the row."""
    return min(max(now_ns, second * SECOND), (second + 1) * SECOND - 1)


class _Untraced:
    """Stands where nothing is traced: every method does nothing, at the price of being called."""

    def opened(self, step: RunStep) -> None:
        pass

    def wrote(self, *, steps: Changed, run: Run | None) -> None:
        pass

    def model_call(self, request: llm.Request) -> Stretch:  # noqa: ARG002
        return UNTIMED

    def tool_call(self, step: RunStep, call: ToolCall) -> Stretch:  # noqa: ARG002
        return UNTIMED


_UNTRACED: Final = _Untraced()
