"""A program of early 2024, for the first version of the API; nothing but its base URL is new."""

import sys
import time
from typing import Any

import openai

URL = sys.argv[1]


def finished(client: Any, run: Any) -> Any:
    for _ in range(2_000):
        run = client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
        if run.status not in ("queued", "in_progress", "cancelling"):
            return run
        time.sleep(0.005)
    raise AssertionError(f"the run is still {run.status}")


def main() -> None:
    client: Any = openai.OpenAI(base_url=URL, api_key="k", max_retries=0, timeout=20)
    file = client.files.create(file=("notes.txt", b"hello"), purpose="assistants")
    assistant = client.beta.assistants.create(
        model="scripted",
        tools=[{"type": "function", "function": {"name": "f"}}],
        file_ids=[],
        metadata={"modified": "true"},
    )
    assert assistant.file_ids == [], assistant
    retrieving = client.beta.assistants.create(model="m", tools=[{"type": "retrieval"}])
    assert retrieving.tools[0].type == "retrieval", retrieving
    attached = client.beta.assistants.files.create(retrieving.id, file_id=file.id)
    assert attached.object == "assistant.file", attached
    assert [one.id for one in client.beta.assistants.files.list(retrieving.id)] == [file.id]
    assert client.beta.assistants.files.delete(file.id, assistant_id=retrieving.id).deleted
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "!call f"}])
    run = client.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)
    run = finished(client, run)
    assert run.status == "requires_action", run.status
    assert run.file_ids == [], run
    [call] = run.required_action.submit_tool_outputs.tool_calls
    client.beta.threads.runs.submit_tool_outputs(
        run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "42"}]
    )
    run = finished(client, run)
    assert run.status == "completed", run.status
    steps = list(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc"))
    assert [step.type for step in steps] == ["tool_calls", "message_creation"], steps
    newest = client.beta.threads.messages.list(thread.id).data[0]
    assert newest.file_ids == [], newest
    assert "42" in newest.content[0].text.value, newest
    with client.beta.threads.create_and_run_stream(
        assistant_id=retrieving.id, thread={"messages": [{"role": "user", "content": "hello"}]}
    ) as stream:
        stream.until_done()
        texts = [message.content[0].text.value for message in stream.get_final_messages()]
    assert texts == ["You said: hello"], texts
    sys.stdout.write(f"well {openai.__version__}")


main()
