"""Whatever a model says and a client does: the states hold, the stream says what the lists say.

Hypothesis writes the scripts of models, and decides where clients submit, cancel or come too
late. Every run must end, and its events must be told again from any of its places.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.kit.clocks import SteppedClock
from tests.kit.folding import Told, hold_together
from tests.kit.inside import Inside, inside

from locum.engine.journal import Place
from locum.engine.states import TERMINAL
from locum.errors import InvalidRequest
from locum.service import assistants, messages, runs, steps, threads
from locum.service.scope import Scope
from locum.store.documents import Page
from locum.store.events import Event
from locum.wire.assistants import CreateAssistant
from locum.wire.messages import CreateMessage, ListMessages
from locum.wire.runs import CreateRun, CreateRunQuery, SubmitToolOutputs, ToolOutput
from locum.wire.steps import ListSteps
from locum.wire.threads import CreateThread
from locum.wire.tools import FunctionDefinition, FunctionTool

Act = Literal["submit", "cancel", "expire"]
_RUN_S = 20.0
_ENDS = {f"thread.run.{status}" for status in TERMINAL}
_TOOLS = tuple(FunctionTool(FunctionDefinition(name=name)) for name in ("f", "g"))

_words = st.text(st.sampled_from("ab é🙂.\u2028 "), min_size=1, max_size=12).map(str.strip)
_said = st.one_of(
    _words.map(lambda text: f"!say {text}"),
    _words.map(lambda text: f"!refuse {text}"),
    st.integers(1, 80).map(lambda count: f"!words {count}"),
)
_called = st.builds(
    "!call {} {}".format,
    st.sampled_from("fgh"),
    st.sampled_from(["", "{}", '{"a":1}', "not json", '{"text":"é🙂 and more words to send"}']),
)
_counted = st.builds("!usage {} {} {}".format, *[st.integers(0, 99)] * 3)
_faults = st.sampled_from(
    [
        "!cut",
        "!filter",
        "!error rate_limit Slow.",
        "!error server_error",
        "!error invalid_prompt No",
    ]
)
_turn = st.lists(st.one_of(_said, _called, _called, _counted), max_size=4)


@dataclass(frozen=True)
class Story:
    """What the model will say, and what the client does meanwhile."""

    script: str
    acts: list[Act]
    # After so many events something else happens; None lets the run be.
    interrupted_at: int | None
    interruption: Act
    parallel: bool
    max_tokens: int | None


@st.composite
def _stories(draw: st.DrawFn) -> Story:
    turns = draw(st.lists(_turn, min_size=1, max_size=4))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(turns) - 1))
        place = draw(st.integers(0, len(turns[at])))
        turns[at].insert(place, draw(_faults))
    return Story(
        script="\n!then\n".join("\n".join(turn) or "!say" for turn in turns),
        acts=draw(st.lists(st.sampled_from(["submit"] * 4 + ["cancel", "expire"]), max_size=12)),
        interrupted_at=draw(st.none() | st.integers(1, 25)),
        interruption=draw(st.sampled_from(["cancel", "expire"])),
        parallel=draw(st.booleans()),
        max_tokens=draw(st.none() | st.integers(1, 60)),
    )


_STORIES = _stories()
_FEW = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_any_run_holds_together() -> None:
    _play_all(_FEW)


@pytest.mark.slow
def test_a_thousand_runs_hold_together() -> None:
    _play_all(settings(_FEW, max_examples=1_000))


def _play_all(chosen: settings) -> None:
    """All stories in one house, which is opened once."""
    with asyncio.Runner() as runner:
        opened = inside()
        door = runner.run(opened.__aenter__())

        @chosen
        @given(_STORIES)
        def play(story: Story) -> None:
            runner.run(_bounded(door, story))

        try:
            play()
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _bounded(door: Inside, story: Story) -> None:
    async with asyncio.timeout(_RUN_S):
        await _play(door, story)


async def _play(door: Inside, story: Story) -> None:
    scope = Scope(door.house, "proj_play")
    made = await assistants.create_assistant(scope, body=CreateAssistant(model="m", tools=_TOOLS))
    said = (CreateMessage(role="user", content=story.script),)
    thread = await threads.create_thread(scope, body=CreateThread(messages=said))
    body = CreateRun(
        assistant_id=made.id,
        parallel_tool_calls=story.parallel,
        max_completion_tokens=story.max_tokens,
    )
    created: Any = await runs.create_run(
        scope, thread_id=thread.id, body=body, query=CreateRunQuery()
    )
    key = ("proj_play", thread.id, created.id)
    heard = await _hear(door, scope, key, story)
    told = Told(heard)
    event(told.run["status"])
    await _check(scope, key, told)
    for seen in range(len(heard) + 1):
        again = [one async for one in _follow(scope, key, seen)]
        assert again == heard[seen:], f"resumed after {seen}"


async def _hear(door: Inside, scope: Scope, key: tuple[str, str, str], story: Story) -> list[Event]:
    """Listen to the run's whole life, and do what the story says."""
    acts = iter(story.acts)
    heard: list[Event] = []
    while not heard or heard[-1].name not in _ENDS:
        # A stream ends where the run waits; it is taken up again where it ended.
        before = len(heard)
        async for one in _follow(scope, key, before):
            heard.append(one)
            if one.name == "thread.run.requires_action":
                await _act(door, scope, key, next(acts, "cancel"))
            elif len(heard) == story.interrupted_at:
                await _act(door, scope, key, story.interruption)
        assert len(heard) > before, f"nothing follows {[event.name for event in heard[-4:]]}"
    return heard


async def _act(door: Inside, scope: Scope, key: tuple[str, str, str], act: Act) -> None:
    _, thread_id, run_id = key
    # The run may have gone on meanwhile; then it is too late, and refused.
    with suppress(InvalidRequest):
        if act == "cancel":
            await runs.cancel_run(scope, thread_id=thread_id, run_id=run_id)
        elif act == "expire":
            clock = door.house.clock
            assert isinstance(clock, SteppedClock)
            clock.advance(600)
            await runs.get_run(scope, thread_id=thread_id, run_id=run_id)
        else:
            run = (await runs.get_run(scope, thread_id=thread_id, run_id=run_id)).read()
            if run.required_action is not None:
                outputs = tuple(
                    ToolOutput(tool_call_id=call.id, output=f"{call.function.name} said 🙂")
                    for call in run.required_action.submit_tool_outputs.tool_calls
                )
                body = SubmitToolOutputs(tool_outputs=outputs)
                await runs.submit_tool_outputs(scope, thread_id=thread_id, run_id=run_id, body=body)


async def _check(scope: Scope, key: tuple[str, str, str], told: Told) -> None:
    _, thread_id, run_id = key
    run = await runs.get_run(scope, thread_id=thread_id, run_id=run_id)
    every: Any = {"limit": 100, "order": "asc"}
    step_page = await steps.list_steps(
        scope, thread_id=thread_id, run_id=run_id, query=ListSteps(**every)
    )
    message_page = await messages.list_messages(
        scope, thread_id=thread_id, query=ListMessages(**every, run_id=run_id)
    )
    hold_together(
        told,
        run=msgspec.json.decode(run.text),
        steps=_listed(step_page),
        messages=_listed(message_page),
    )


async def _follow(scope: Scope, key: tuple[str, str, str], seen: int) -> AsyncIterator[Event]:
    async for one in scope.engine.follow(key, after=Place(0, seen)):
        assert one is not None
        yield one


def _listed(page: Page[Any]) -> Any:
    return msgspec.json.decode(f"[{page.text}]")
