"""What every backend promises. Each test runs against each one that fits in a second."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.kit.fake_model import FakeModel
from tests.kit.fake_responses import answers
from tests.llm.turns import BOUND_S, WEATHER, Turn, after, asking, collect, fold

from locum.llm.chat import ChatCompletions
from locum.llm.protocol import Backend, CalledFunction, ModelError, Named, Request
from locum.llm.responses import Responses
from locum.llm.routing import Router, read_routes
from locum.llm.scripted import Scripted

Opened = Callable[[], AbstractAsyncContextManager[Backend]]


@asynccontextmanager
async def _scripted() -> AsyncIterator[Backend]:
    yield Scripted()


@asynccontextmanager
async def _chat() -> AsyncIterator[Backend]:
    async with FakeModel() as server:
        backend = ChatCompletions(server.url, retries=0)
        try:
            yield backend
        finally:
            await backend.close()


@asynccontextmanager
async def _router() -> AsyncIterator[Backend]:
    async with _chat() as chat:
        yield Router({"vllm": chat, "scripted": Scripted()}, read_routes("* = @vllm"))


@asynccontextmanager
async def _responses() -> AsyncIterator[Backend]:
    async with FakeModel(answers()) as server:
        backend = Responses(server.url, retries=0)
        try:
            yield backend
        finally:
            await backend.close()


@pytest.fixture(
    params=[_scripted, _chat, _router, _responses], ids=lambda opened: opened.__name__[1:]
)
def opened(request: pytest.FixtureRequest) -> Opened:
    chosen: Opened = request.param
    return chosen


def turn_of(opened: Opened, request: Request) -> Turn:
    async def scene() -> Turn:
        async with opened() as backend:
            return fold(await collect(backend, request))

    return asyncio.run(scene())


def test_text_arrives_in_pieces_and_ends(opened: Opened) -> None:
    async def scene() -> None:
        async with opened() as backend:
            events = await collect(backend, asking("!say One two three."))
            assert len(events) == 4
            assert fold(events).text == "One two three."
            assert fold(events).finished.reason == "stop"

    asyncio.run(scene())


def test_usage_is_told(opened: Opened) -> None:
    finished = turn_of(opened, asking("!usage 30 20 10 5\n!say Hi")).finished
    assert finished.counted_by_backend
    usage = finished.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (30, 20)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (10, 5)


def test_calls_follow_text_and_keep_their_order(opened: Opened) -> None:
    text = (
        '!say Let me see.\n!call get_weather {"city": "Paris"}\n!call get_weather {"city": "Rome"}'
    )
    turn = turn_of(opened, asking(text, offers=(WEATHER,)))
    assert turn.text == "Let me see."
    assert turn.calls == [
        CalledFunction("get_weather", '{"city": "Paris"}'),
        CalledFunction("get_weather", '{"city": "Rome"}'),
    ]
    assert turn.finished.reason == "calls"
    assert len(set(turn.ids)) == 2


def test_results_of_calls_are_heard(opened: Opened) -> None:
    request = asking("!call get_weather {}\n!then\n!say It is {result}.", offers=(WEATHER,))
    first = turn_of(opened, request)
    assert turn_of(opened, after(request, first, ["mild"])).text == "It is mild."


def test_a_named_call_is_made(opened: Opened) -> None:
    turn = turn_of(opened, asking("Hi", offers=(WEATHER,), choice=Named("get_weather")))
    assert [call.name for call in turn.calls] == ["get_weather"]


def test_no_call_is_made_when_none_may_be(opened: Opened) -> None:
    assert (
        turn_of(opened, asking("!call get_weather", offers=(WEATHER,), choice="none")).calls == []
    )


def test_one_call_is_made_when_they_may_not_be_parallel(opened: Opened) -> None:
    text = "!call get_weather {}\n!call get_weather {}"
    assert len(turn_of(opened, asking(text, offers=(WEATHER,), parallel=False)).calls) == 1


def test_a_refusal_is_told_apart_from_text(opened: Opened) -> None:
    turn = turn_of(opened, asking("!refuse I will not."))
    assert (turn.text, turn.refusal) == ("", "I will not.")


def test_the_limit_of_tokens_holds(opened: Opened) -> None:
    turn = turn_of(opened, asking("!words 100", max_tokens=17))
    assert turn.finished.reason == "length"
    assert turn.finished.usage.completion_tokens == 17


def test_a_filter_ends_the_answer(opened: Opened) -> None:
    assert turn_of(opened, asking("!say Half\n!filter")).finished.reason == "content_filter"


def test_a_schema_is_kept_to(opened: Opened) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    assert turn_of(opened, asking("Go", response_format=wanted)).text == '{"ok":false}'


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("rate_limit", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("server_error", "server_error"),
    ],
)
@pytest.mark.parametrize("before", ["", "!say Half\n"], ids=["at once", "in mid-answer"])
def test_a_failure_has_the_backends_own_words(
    opened: Opened, before: str, word: str, code: str
) -> None:
    with pytest.raises(ModelError) as failure:
        turn_of(opened, asking(f"{before}!error {word} Not today"))
    assert (failure.value.message, failure.value.code) == ("Not today", code)


def test_closing_the_generator_ends_the_turn(opened: Opened) -> None:
    async def scene() -> None:
        async with opened() as backend, asyncio.timeout(BOUND_S):
            events = backend.stream(asking("!say One\n!think 3600"))
            await anext(events)
            await events.aclose()

    asyncio.run(scene())


def test_cancelling_the_task_ends_the_turn(opened: Opened) -> None:
    async def scene() -> None:
        async with opened() as backend, asyncio.timeout(BOUND_S):
            first = asyncio.Event()

            async def listen() -> None:
                async for _ in backend.stream(asking("!say One\n!think 3600")):
                    first.set()

            task = asyncio.create_task(listen())
            await first.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(scene())


def test_turns_at_the_same_time_do_not_mix(opened: Opened) -> None:
    async def scene() -> None:
        async with opened() as backend, asyncio.timeout(BOUND_S):

            async def one(number: int) -> str:
                request = asking(f"!say {number} {number}")
                return fold([event async for event in backend.stream(request)]).text

            assert await asyncio.gather(*map(one, range(20))) == [f"{n} {n}" for n in range(20)]

    asyncio.run(scene())


def test_models_and_a_line_for_the_doctor(opened: Opened) -> None:
    async def scene() -> None:
        async with opened() as backend:
            assert await backend.models()
            assert await backend.check()

    asyncio.run(scene())
