"""A program that changed nothing but its base URL; it runs under any client of the second version.

It is given the base URL, stops at the first thing that is not as it was, and says how it went.
"""

import asyncio
import sys
import warnings
from typing import Any

import openai

warnings.simplefilter("ignore", DeprecationWarning)

URL = sys.argv[1]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
TALK = "!say one\n!call f\n!then\n!say it is {result}"


class Handler(openai.AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.calls: list[str] = []

    def on_text_done(self, text: Any) -> None:
        self.texts.append(text.value)

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls.append(tool_call.function.name)


class AsyncHandler(openai.AsyncAssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def on_text_done(self, text: Any) -> None:
        self.texts.append(text.value)


def outputs_of(run: Any) -> list[Any]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": "42"} for call in calls]


def stream(client: Any) -> None:
    """Helpers with event handlers, and what they gathered beside what the lists say."""
    assistant = client.beta.assistants.create(model="scripted", tools=TOOLS)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": TALK}])
    first = Handler()
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=first
    ) as going:
        going.until_done()
        snapshots = going.get_final_run_steps()
        run = going.current_run
    assert run.status == "requires_action", run.status
    assert (first.texts, first.calls) == (["one"], ["f"]), (first.texts, first.calls)
    second = Handler()
    with client.beta.threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id,
        run_id=run.id,
        tool_outputs=outputs_of(run),
        event_handler=second,
    ) as going:
        going.until_done()
        final = going.get_final_run()
    assert final.status == "completed", final.status
    assert second.texts == ["it is 42"], second.texts
    steps = list(
        client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc", limit=1)
    )
    kinds = [step.type for step in steps]
    assert kinds == ["message_creation", "tool_calls", "message_creation"], kinds
    assert [step.id for step in snapshots] == [step.id for step in steps[:2]]
    assert steps[1].step_details.tool_calls[0].function.output == "42"
    total = sum(step.usage.total_tokens for step in steps)
    assert final.usage.total_tokens == total
    said = list(client.beta.threads.messages.list(thread.id, order="asc", run_id=run.id))
    assert [m.content[0].text.value for m in said] == first.texts + second.texts
    again = client.beta.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id)
    assert again == steps[0]


def poll(client: Any) -> None:
    assistant = client.beta.assistants.create(model="scripted", tools=TOOLS)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": TALK}])
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=5
    )
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs_of(run), poll_interval_ms=5
    )
    assert run.status == "completed", run.status
    waiting = client.beta.threads.create_and_run(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "!think 60"}]},
    )
    client.beta.threads.runs.cancel(waiting.id, thread_id=waiting.thread_id)
    ended = client.beta.threads.runs.poll(
        waiting.id, thread_id=waiting.thread_id, poll_interval_ms=5
    )
    assert ended.status == "cancelled", ended.status


def manage(client: Any) -> None:
    made = {client.beta.assistants.create(model="m", name=str(n)).id for n in range(25)}
    for assistant in client.beta.assistants.list(limit=4):
        if assistant.id in made:
            client.beta.assistants.delete(assistant.id)
            made.discard(assistant.id)
    assert not made
    raw = client.beta.threads.with_raw_response.create()
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().object == "thread"
    words = ""
    try:
        client.beta.threads.retrieve("thread_none")
    except openai.NotFoundError as error:
        words = str(error)
    assert "No thread found with id 'thread_none'." in words


async def asynchronous() -> None:
    client: Any = openai.AsyncOpenAI(base_url=URL, api_key="k", max_retries=0, timeout=20)
    assistant = await client.beta.assistants.create(model="scripted")
    handler = AsyncHandler()
    async with client.beta.threads.create_and_run_stream(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "hello"}]},
        event_handler=handler,
    ) as going:
        await going.until_done()
        run = await going.get_final_run()
    assert handler.texts == ["You said: hello"], handler.texts
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert [step.type async for step in steps] == ["message_creation"]
    await client.close()


def main() -> None:
    client: Any = openai.OpenAI(base_url=URL, api_key="k", max_retries=0, timeout=20)
    for part in (stream, poll, manage):
        part(client)
    client.close()
    asyncio.run(asynchronous())
    sys.stdout.write(f"well {openai.__version__}")


main()
