"""The same program against a real OpenAI-compatible server: llama.cpp's own, with real weights."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import OpenAI
from openai.types.beta import Assistant
from tests.contract.requirements import covers
from tests.kit.server import running
from tests.kit.weights import demo_gguf

from locum.llm.llama_server import Ready, Wanted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
_KEY = "sk-upstream-secret"
_WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of llama.cpp's server, in a process of its own."""
    gguf: Path = demo_gguf()
    wanted = Wanted(gguf=str(gguf), key=_KEY, threads=1, context_tokens=4096, parallel=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "locum.llm.llama_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        process.stdin.flush()
        ready = msgspec.json.decode(process.stdout.readline(), type=Ready)
        assert ready.address, ready.failure
        yield ready.address


@pytest.fixture(scope="module")
def client(llama: str) -> Iterator[OpenAI]:
    with (
        running(model="auto", backend_url=f"{llama}/v1", backend_key=_KEY) as server,
        server.sdk(timeout=120) as client,
    ):
        yield client


def an_assistant(client: OpenAI, **fields: Any) -> Assistant:
    """One that says what is likeliest, not what is drawn: the same each time."""
    return client.beta.assistants.create(model="gpt-4-turbo", temperature=0, **fields)


@covers("backends:real_server", "streams:plain")
def test_a_real_model_answers_and_its_step_is_listed(client: OpenAI) -> None:
    assistant = an_assistant(client, instructions="Be brief.")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Say hello."}])
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=200
    ) as stream:
        names = [event.event for event in stream]
        said = stream.get_final_messages()[0]
        [told] = stream.get_final_run_steps()
    [step] = client.beta.threads.runs.steps.list(said.run_id or "", thread_id=thread.id)
    assert names[:3] == ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert names[-1] in {"thread.run.completed", "thread.run.incomplete"}
    assert step.id == told.id
    assert step.type == "message_creation"
    assert step.usage is not None
    assert step.usage.prompt_tokens > 0
    assert step.usage.completion_tokens > 0
    [listed] = client.beta.threads.messages.list(thread.id, run_id=said.run_id or "")
    assert listed.content == said.content


@covers("backends:real_server")
def test_a_real_model_calls_a_function_when_it_must(client: OpenAI) -> None:
    assistant = an_assistant(client, tools=[_WEATHER])
    thread = client.beta.threads.create(
        messages=[{"role": "user", "content": "What is the weather in Paris?"}]
    )
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id,
        assistant_id=assistant.id,
        tool_choice={"type": "function", "function": {"name": "weather"}},
        # Room to talk at length first, as it may, and then to be held to a call.
        max_completion_tokens=1000,
    )
    assert run.status == "requires_action", run.last_error
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    assert msgspec.json.decode(call.function.arguments)["city"] in {"Paris", "Rome"}
    [step] = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert (step.type, step.status) == ("tool_calls", "in_progress")
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread.id,
        tool_outputs=[{"tool_call_id": call.id, "output": "sunny, 25 degrees"}],
    )
    # So small a model may call once more; what it did until now shows all the same.
    if run.status == "requires_action":
        client.beta.threads.runs.cancel(run.id, thread_id=thread.id)
        run = client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
    assert run.status in {"completed", "incomplete", "cancelled"}
    steps = list(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc"))
    assert (steps[0].type, steps[0].status) == ("tool_calls", "completed")
    assert '"output":"sunny, 25 degrees"' in steps[0].to_json(indent=None)
    assert run.usage is not None
    assert run.usage.total_tokens == sum(s.usage.total_tokens for s in steps if s.usage)
