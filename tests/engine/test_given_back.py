"""A run with a model that wants to see again what it gave with its calls."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.requirements import covers
from tests.kit.fake_model import model_server
from tests.kit.insisting_model import MISSES_SIGNATURE, SIGNED, calls, insists
from tests.kit.server import Server

from locum.settings import BackendSettings

_TOOLS: Any = [{"type": "function", "function": {"name": "get_weather"}}]


@covers("backends:given_back")
@pytest.mark.parametrize("said", [{}, {"content": "I look."}])
def test_what_a_model_gave_goes_back_when_its_calls_are_answered(
    make_server: Callable[..., Server], said: dict[str, str]
) -> None:
    made = calls("Paris", first={"extra_content": SIGNED}, **said)
    with model_server(made, insists("extra_content", MISSES_SIGNATURE)) as gemini:
        backends = {"gemini": BackendSettings(url=gemini.url)}
        client = make_server(model="auto", backends=backends).sdk()
        assistant = client.beta.assistants.create(model="gemini-3", tools=_TOOLS)
        thread = client.beta.threads.create(messages=[{"role": "user", "content": "Weather?"}])
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=10
        )
        assert run.required_action is not None
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=thread.id,
            tool_outputs=[{"tool_call_id": "call_0", "output": "21 °C"}],
            poll_interval_ms=10,
        )
    assert run.status == "completed"
    assert len(gemini.bodies) == 2
