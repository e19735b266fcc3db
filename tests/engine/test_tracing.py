"""The traces of runs, as an OpenTelemetry collector receives them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.collector import Collector, Received, collecting
from tests.kit.server import Server, running
from tests.kit.talk import Talk, function

from locum.app import Parts
from locum.clock import SystemClock
from locum.llm.protocol import Event, Request, TextDelta
from locum.llm.scripted import Scripted

pytestmark = pytest.mark.slow

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_CALLER = "b7ad6b7169203331"
_TRACEPARENT = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}
_SERVER = 2
_CODE = {"type": "code_interpreter"}
_DIALOGUE = """\
!say Let me see.
!python print(6 * 7)
!then
!call get_weather {"city":"Paris"}
!then
!say It is {result} there.
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        # Nothing is sent before the server closes: the tests then find all of it.
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        yield collector


def _traced(**settings: Any) -> Any:
    return running(Parts(clock=SystemClock()), traces=True, sandbox_warm=0, **settings)


def _converse(server: Server) -> tuple[Any, list[Any]]:
    """A run with a message, a hosted call, a function of the client's, and another message."""
    talk = Talk(server.http())
    thread_id = talk.thread(_DIALOGUE)
    asked = {"assistant_id": talk.assistant(tools=[_CODE, function("get_weather")])}
    path = f"/v1/threads/{thread_id}/runs"
    run = talk.http.post(path, asked, headers=_TRACEPARENT).json
    run = talk.until(run, "requires_action", "failed")
    assert talk.submit(run, ["mild"]).status == 200
    run = talk.until(run, "completed", "failed")
    assert run["status"] == "completed", run
    return run, talk.steps(run)


def test_the_spans_of_a_run_form_one_tree_with_the_times_of_its_rows(collector: Collector) -> None:
    with _traced() as server:
        run, steps = _converse(server)
    root = collector.only("invoke_agent")
    assert (root.trace_id, root.parent_id) == (_TRACE, _CALLER)
    assert root.seconds == (run["created_at"], run["completed_at"])
    below = collector.children(root)
    told = [span.name for span in below if span.name.startswith("step")]
    message, calls = "step message_creation", "step tool_calls"
    assert told == [message, calls, calls, message]
    assert [span.name for span in below if span.name.startswith("chat")] == ["chat scripted"] * 3
    assert len(below) == 7
    by_id = {span.attributes.get("locum.step.id"): span for span in below}
    for step in steps:
        assert by_id[step["id"]].seconds == (step["created_at"], step["completed_at"])
    works = [work for step in steps for work in collector.children(by_id[step["id"]])]
    assert [work.name for work in works] == [
        "execute_tool code_interpreter",
        "execute_tool get_weather",
    ]
    _assert_nested(collector, root)
    everything = {root.span_id, *(span.span_id for span in [*below, *works])}
    of_run = [span for span in collector.spans if span.kind != _SERVER]
    assert {span.span_id for span in of_run} == everything
    assert len(of_run) == len(everything)


def _assert_nested(collector: Collector, span: Received) -> None:
    """Every span lies within its parent."""
    assert span.start_ns <= span.end_ns
    for child in collector.children(span):
        assert child.trace_id == span.trace_id
        assert span.start_ns <= child.start_ns <= child.end_ns <= span.end_ns, (span, child)
        _assert_nested(collector, child)


def test_spans_bear_the_names_of_the_conventions_and_nothing_anybody_wrote(
    collector: Collector,
) -> None:
    with _traced() as server:
        run, steps = _converse(server)
    root = collector.only("invoke_agent")
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "locum",
        "gen_ai.agent.id": run["assistant_id"],
        "gen_ai.conversation.id": run["thread_id"],
        "gen_ai.request.model": "scripted",
        "gen_ai.usage.input_tokens": run["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": run["usage"]["completion_tokens"],
        "locum.run.id": run["id"],
        "locum.run.status": "completed",
    }
    chats = collector.named("chat scripted")
    assert {chat.attributes["gen_ai.operation.name"] for chat in chats} == {"chat"}
    assert [chat.attributes["gen_ai.response.finish_reasons"] for chat in chats] == [
        ("tool_call",),
        ("tool_call",),
        ("stop",),
    ]
    for kind, name in (("input", "prompt"), ("output", "completion")):
        total = sum(chat.attributes[f"gen_ai.usage.{kind}_tokens"] for chat in chats)
        assert total == run["usage"][f"{name}_tokens"]
    assert all(chat.attributes["gen_ai.response.time_to_first_chunk"] >= 0 for chat in chats)
    code, weather = (steps[1]["step_details"], steps[2]["step_details"])
    assert collector.only("execute_tool code_interpreter").attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "code_interpreter",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": code["tool_calls"][0]["id"],
    }
    assert collector.only("execute_tool get_weather").attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": weather["tool_calls"][0]["id"],
    }
    assert root.resource["service.name"] == "locum"
    sent = b"".join(collector.bodies)
    for written in (b"Let me see", b"6 * 7", b"Paris", b"mild", b"sk-any"):
        assert written not in sent


def test_content_is_told_where_the_operator_chose_so(collector: Collector) -> None:
    with _traced(trace_content=True) as server:
        _converse(server)
    chats = collector.named("chat scripted")
    assert "Let me see." in chats[0].attributes["gen_ai.output.messages"]
    assert "6 * 7" in chats[0].attributes["gen_ai.input.messages"]
    code = collector.only("execute_tool code_interpreter").attributes
    assert "6 * 7" in code["gen_ai.tool.call.arguments"]
    assert "42" in code["gen_ai.tool.call.result"]
    weather = collector.only("execute_tool get_weather").attributes
    assert weather["gen_ai.tool.call.arguments"] == '{"city":"Paris"}'
    assert weather["gen_ai.tool.call.result"] == "mild"


def test_a_request_has_a_span_to_which_its_run_is_linked(collector: Collector) -> None:
    with _traced() as server:
        _converse(server)
    asked = collector.only("POST /threads/{thread_id}/runs")
    assert (asked.trace_id, asked.parent_id, asked.kind) == (_TRACE, _CALLER, _SERVER)
    assert asked.attributes["http.route"] == "/threads/{thread_id}/runs"
    assert asked.attributes["http.response.status_code"] == 200
    assert collector.only("invoke_agent").links == ((_TRACE, asked.span_id),)
    # Whoever sends no trace of his own gets one that begins here.
    assert collector.only("POST /assistants").parent_id == ""


def test_a_run_that_fails_and_one_that_is_cancelled_say_so(collector: Collector) -> None:
    with _traced() as server:
        talk = Talk(server.http())
        failed = talk.run("!say Well\n!error rate_limit Slow down")
        assert failed["status"] == "failed"
        stream = talk.open("!say Well\n!think 60")
        run = stream.until("thread.message.delta")[0].data
        talk.cancel(run)
        stream.close()
        talk.until(run, "cancelled")
    failure, stopped = collector.named("invoke_agent")
    assert failure.failed
    assert failure.attributes["error.type"] == "rate_limit_exceeded"
    assert not stopped.failed
    assert stopped.attributes["locum.run.status"] == "cancelled"
    chats = collector.named("chat scripted")
    assert [(chat.failed, chat.attributes["error.type"]) for chat in chats] == [
        (True, "rate_limit_exceeded"),
        (False, "Stopped"),
    ]
    assert b"Slow down" not in b"".join(collector.bodies)
    for root in (failure, stopped):
        _assert_nested(collector, root)


class _Stuck(Scripted):
    """Says one word and then nothing, until its process ends."""

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        yield TextDelta("Well")
        await asyncio.get_running_loop().create_future()


def test_the_trace_goes_on_where_another_worker_takes_the_run_over(
    collector: Collector, tmp_path: Path
) -> None:
    clock = SystemClock()
    with running(Parts(clock=clock, backend=_Stuck()), traces=True, data=tmp_path) as server:
        talk = Talk(server.http())
        asked = {"assistant_id": talk.assistant(), "stream": True}
        path = f"/v1/threads/{talk.thread('!say All is well.')}/runs"
        stream = talk.http.stream("POST", path, asked, headers=_TRACEPARENT)
        run = stream.until("thread.message.delta")[0].data
        stream.close()
    assert not collector.named("invoke_agent")
    with running(Parts(clock=clock), traces=True, data=tmp_path) as server:
        run = Talk(server.http()).until(run, "completed", "failed")
        steps = Talk(server.http()).steps(run)
    root = collector.only("invoke_agent")
    assert (root.trace_id, root.parent_id) == (_TRACE, _CALLER)
    below = collector.children(root)
    lost, done = (span for span in below if span.name == "step message_creation")
    assert (lost.failed, done.failed) == (True, False)
    told = [span.attributes["locum.step.id"] for span in (lost, done)]
    assert told == [step["id"] for step in steps]
    assert lost.seconds == (steps[0]["created_at"], steps[0]["failed_at"])
    assert [chat.attributes.get("error.type") for chat in collector.named("chat scripted")] == [
        "CancelledError",
        None,
    ]
    _assert_nested(collector, root)


def test_without_the_setting_nothing_is_sent(collector: Collector) -> None:
    with running() as server:
        Talk(server.http()).run("!say Well")
    assert not collector.spans


def test_a_caller_who_keeps_no_trace_makes_us_keep_none(collector: Collector) -> None:
    dropped = {"traceparent": f"00-{_TRACE}-{_CALLER}-00"}
    with _traced() as server:
        talk = Talk(server.http())
        asked = {"assistant_id": talk.assistant()}
        path = f"/v1/threads/{talk.thread('!say Well')}/runs"
        talk.until(talk.http.post(path, asked, headers=dropped).json, "completed")
    assert not collector.named("invoke_agent")
    assert not collector.named("chat scripted")
    assert not collector.named("POST /threads/{thread_id}/runs")
