"""The newest official client and its helpers, sync and async: what they gather equals the lists."""

import asyncio
from typing import Any

import openai
import pytest
from openai import AssistantEventHandler, AsyncAssistantEventHandler, AsyncOpenAI, OpenAI
from tests.contract.requirements import covers
from tests.kit.server import Server
from tests.kit.talk import Talk, function

_F: Any = [function("f")]
_TALK = "!say one\n!call f\n!then\n!say it is {result}"


class Heard(AssistantEventHandler):
    """Answers calls, and keeps what the helper tells of."""

    def __init__(self, client: OpenAI) -> None:
        super().__init__()
        self.client = client
        self.texts: list[str] = []
        self.steps: list[Any] = []
        self.ended = False
        self.final: Any = None

    def on_text_done(self, text: Any) -> None:
        self.texts.append(text.value)

    def on_run_step_done(self, run_step: Any) -> None:
        self.steps.append(run_step)

    def on_event(self, event: Any) -> None:
        if event.event == "thread.run.requires_action":
            run = event.data
            calls = run.required_action.submit_tool_outputs.tool_calls
            after = Heard(self.client)
            with self.client.beta.threads.runs.submit_tool_outputs_stream(
                thread_id=run.thread_id,
                run_id=run.id,
                tool_outputs=[{"tool_call_id": call.id, "output": "42"} for call in calls],
                event_handler=after,
            ) as stream:
                stream.until_done()
            self.texts += after.texts
            self.steps += after.steps
            self.final = stream.get_final_run()

    def on_end(self) -> None:
        self.ended = True


@covers("sdk:event_handler", "sdk:submit_stream")
def test_an_event_handler_hears_what_the_lists_say(sdk: OpenAI) -> None:
    assistant = sdk.beta.assistants.create(model="scripted", tools=_F)
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": _TALK}])
    heard = Heard(sdk)
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=heard
    ) as stream:
        stream.until_done()
        snapshots = stream.get_final_run_steps()
    assert heard.ended
    assert heard.texts == ["one", "it is 42"]
    assert heard.final.status == "completed"
    listed = list(
        sdk.beta.threads.runs.steps.list(heard.final.id, thread_id=thread.id, order="asc")
    )
    assert [step.id for step in heard.steps] == [step.id for step in listed]
    assert [step.id for step in snapshots] == [step.id for step in listed[:2]]
    said = list(sdk.beta.threads.messages.list(thread.id, order="asc"))
    assert [m.content[0].text.value for m in said[1:]] == heard.texts  # type: ignore[union-attr]  # scripted text


class Done(AssistantEventHandler):
    """Keeps the calls that the helper says are done."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls.append(tool_call.id)


@covers("sdk:event_handler", "streams:one_after_another")
def test_an_event_handler_hears_that_each_call_is_done(sdk: OpenAI, talk: Talk) -> None:
    tools = [{"type": "file_search"}, *_F]
    done = Done()
    with sdk.beta.threads.runs.stream(
        thread_id=talk.thread("!search a\n!search b\n!call f"),
        assistant_id=talk.assistant(tools=tools),
        event_handler=done,
    ) as stream:
        run = stream.get_final_run()
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    called = [call.id for step in steps for call in step.step_details.tool_calls]  # type: ignore[union-attr]  # calls alone
    assert done.calls == called


class AsyncHeard(AsyncAssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def on_text_done(self, text: Any) -> None:
        self.texts.append(text.value)


@covers("sdk:async")
def test_the_async_client_streams_polls_and_pages(server: Server) -> None:
    async def scenario(client: AsyncOpenAI) -> None:
        assistant = await client.beta.assistants.create(model="scripted", tools=_F)
        heard = AsyncHeard()
        async with client.beta.threads.create_and_run_stream(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": "hello"}]},
            event_handler=heard,
        ) as stream:
            final = await stream.get_final_run()
            [message] = await stream.get_final_messages()
        assert heard.texts == ["You said: hello"]
        steps = [
            step
            async for step in client.beta.threads.runs.steps.list(
                final.id, thread_id=final.thread_id, limit=1
            )
        ]
        assert [step.step_details.message_creation.message_id for step in steps] == [message.id]  # type: ignore[union-attr]  # a message step
        run = await client.beta.threads.create_and_run_poll(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": "!call f"}]},
            poll_interval_ms=1,
        )
        assert run.required_action is not None
        [call] = run.required_action.submit_tool_outputs.tool_calls
        run = await client.beta.threads.runs.submit_tool_outputs_and_poll(
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=[{"tool_call_id": call.id, "output": "ok"}],
            poll_interval_ms=1,
        )
        assert run.status == "completed"

    async def bounded() -> None:
        async with asyncio.timeout(20), server.async_sdk() as client:
            await scenario(client)

    asyncio.run(bounded())


@covers("sdk:raw", "sdk:stream_iteration")
def test_raw_responses_and_plain_iteration(sdk: OpenAI, talk: Talk) -> None:
    raw = sdk.beta.assistants.with_raw_response.list(limit=1)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().object == "list"  # type: ignore[attr-defined]  # sent, though not typed
    events = [
        event.event
        for event in sdk.beta.threads.runs.create(
            thread_id=talk.thread("hello"), assistant_id=talk.assistant(), stream=True
        )
    ]
    assert events[0] == "thread.run.created"
    assert events[-1] == "thread.run.completed"


@covers("sdk:errors")
def test_errors_reach_the_client_as_its_own(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.beta.threads.retrieve("thread_none")
    assert missing.value.body == {
        "message": "No thread found with id 'thread_none'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert (missing.value.request_id or "").startswith("req_")
    with pytest.raises(openai.BadRequestError) as wrong:
        sdk.beta.assistants.create(model="m", temperature=3)
    assert (wrong.value.code, wrong.value.param) == ("decimal_above_max_value", "temperature")


@covers("sdk:stream_error")
def test_an_error_in_mid_stream_is_raised(sdk: OpenAI, talk: Talk) -> None:
    thread_id = talk.thread("!say a\n!think 60")
    stream = sdk.beta.threads.runs.create(
        thread_id=thread_id, assistant_id=talk.assistant(), stream=True
    )
    for event in stream:
        if event.event == "thread.message.delta":
            talk.http.delete(f"/v1/threads/{thread_id}")
            break
    with pytest.raises(openai.APIError, match="The run was deleted"):
        list(stream)
