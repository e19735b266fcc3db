"""Assistants with MCP servers, through the official client: runs, steps and streams."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from tests.contract.requirements import covers
from tests.kit.fake_mcp import WAIT_S, FakeMcp, fails, hangs, sends
from tests.kit.http import names
from tests.kit.server import Server, running
from tests.kit.talk import ENDED, Talk, folded, last
from tests.tools.mcp.rig import HERE

from locum.engine.loop import Driver
from locum.engine.turn import Turn

ECHO = '!call srv__echo {"text":"hi"}\n!then\n!say It said {result}.'


def mcp(fake: FakeMcp, label: str = "srv", **more: Any) -> Any:
    return {"type": "mcp", "server_label": label, "server_url": fake.url, **more}


@pytest.fixture(scope="module")
def house() -> Iterator[Server]:
    with running(mcp_hosts=HERE, mcp_timeout_s=60.0) as server:
        yield server


@pytest.fixture
def client(house: Server) -> Iterator[OpenAI]:
    with house.sdk() as client:
        yield client


@pytest.fixture
def talk(house: Server) -> Talk:
    return Talk(house.http())


@covers("mcp:echo")
def test_a_tool_comes_back_as_it_was_sent_with_its_defaults(talk: Talk, fake: FakeMcp) -> None:
    made = talk.http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake)]})
    assert made.json["tools"] == [
        {
            "type": "mcp",
            "server_label": "srv",
            "server_url": fake.url,
            "headers": None,
            "allowed_tools": None,
            "require_approval": "never",
        }
    ]


def test_the_official_client_reads_assistants_and_runs_with_a_tool_it_does_not_know(
    client: OpenAI, fake: FakeMcp
) -> None:
    assistant = client.beta.assistants.create(
        model="scripted", tools=[mcp(fake)], instructions="Say something."
    )
    run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id)
    assert [tool.type for tool in assistant.tools] == ["mcp"]
    assert [tool.type for tool in run.tools] == ["mcp"]
    assert client.beta.assistants.list(limit=1).data[0].id == assistant.id


@covers("mcp:calls")
def test_a_streamed_call_is_a_step_that_says_what_the_stream_said(
    client: OpenAI, fake: FakeMcp
) -> None:
    assistant = client.beta.assistants.create(model="scripted", tools=[mcp(fake)])
    thread = client.beta.threads.create(messages=[{"role": "user", "content": ECHO}])
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        events = [event.event for event in stream]
        run = stream.get_final_run()
        told = stream.get_final_run_steps()
        text = stream.get_final_messages()[0].content[0]
    listed = list(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc"))
    assert run.status == "completed"
    assert text.type == "text"
    assert text.text.value == "It said hi."
    called, message = [step.to_dict() for step in listed]
    call = called["step_details"]["tool_calls"][0]  # type: ignore[index]  # plain JSON
    assert call["type"] == "function"
    assert call["function"] == {
        "name": "srv__echo",
        "arguments": '{"text":"hi"}',
        "output": "hi",
    }
    assert (called["status"], message["type"]) == ("completed", "message_creation")
    assert events.count("thread.run.step.completed") == 2
    snapshots: Any = [step.step_details.to_dict() for step in told]
    for call in snapshots[0]["tool_calls"]:
        del call["index"]  # only deltas count their calls
    assert snapshots == [called["step_details"], message["step_details"]]


@covers("mcp:calls")
def test_deltas_of_a_stream_add_up_to_the_steps_of_the_list(talk: Talk, fake: FakeMcp) -> None:
    frames = talk.frames(ECHO, tools=[mcp(fake)])
    run = last(frames, "thread.run.completed")
    sums = folded(frames, "thread.run.step.delta")
    called = talk.steps(run)[0]
    assert sums == {called["id"]: {"step_details": called["step_details"]}}
    first, *rest = [
        frame.data["delta"]["step_details"]["tool_calls"][0]
        for frame in frames
        if frame.event == "thread.run.step.delta"
    ]
    assert first["function"] == {"name": "srv__echo", "arguments": "", "output": None}
    assert all("id" not in delta for delta in rest)
    assert rest[-1] == {"index": 0, "type": "function", "function": {"output": "hi"}}


def test_a_polled_run_with_an_official_server(client: OpenAI, official: str) -> None:
    tool: Any = {"type": "mcp", "server_label": "sums", "server_url": official}
    text = '!call sums__add {"a": 2, "b": 40}\n!then\n!say {result}'
    run = client.beta.threads.create_and_run_poll(
        assistant_id=client.beta.assistants.create(model="scripted", tools=[tool]).id,
        thread={"messages": [{"role": "user", "content": text}]},
    )
    assert run.status == "completed"
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    call: Any = steps.data[0].step_details
    assert call.tool_calls[0].function.output == "42"


def test_calls_of_one_turn_are_steps_one_after_the_other(talk: Talk, fake: FakeMcp) -> None:
    text = '!call srv__echo {"text":"a"}\n!call srv__echo {"text":"b"}\n!then\n!say {result:2}'
    run = talk.run(text, tools=[mcp(fake)])
    outputs = [
        step["step_details"]["tool_calls"][0]["function"]["output"]
        for step in talk.steps(run)
        if step["type"] == "tool_calls"
    ]
    assert outputs == ["a", "b"]


@covers("mcp:with_functions")
def test_calls_beside_those_of_the_client_are_done_before_it_is_asked(
    talk: Talk, fake: FakeMcp
) -> None:
    function: Any = {"type": "function", "function": {"name": "weather"}}
    text = '!call weather {}\n!call srv__echo {"text":"a"}\n!then\n!say done'
    run = talk.run(text, tools=[mcp(fake), function])
    assert run["status"] == "requires_action"
    (asked,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert asked["function"]["name"] == "weather"
    statuses = {
        step["step_details"]["tool_calls"][0]["function"]["name"]: step["status"]
        for step in talk.steps(run)
    }
    assert statuses == {"weather": "in_progress", "srv__echo": "completed"}
    talk.submit(run, ["sunny"])
    assert talk.until(run, *ENDED)["status"] == "completed"


def test_a_tool_choice_may_ask_for_mcp(talk: Talk, fake: FakeMcp) -> None:
    run = talk.run("hello", tools=[mcp(fake)], tool_choice={"type": "mcp"})
    assert run["status"] == "completed"
    assert len(fake.calls()) == 1


def test_a_later_run_remembers_the_call(talk: Talk, fake: FakeMcp) -> None:
    assistant_id = talk.assistant(tools=[mcp(fake)])
    thread_id = talk.thread(ECHO)
    path = f"/v1/threads/{thread_id}/runs"
    first = talk.http.post(path, {"assistant_id": assistant_id}).json
    talk.until(first, *ENDED)
    talk.message(thread_id, "!say And again.")
    second = talk.http.post(path, {"assistant_id": assistant_id}).json
    assert talk.until(second, *ENDED)["status"] == "completed"


# ------------------------------------------------------------------------- failures


def test_an_error_of_the_tool_is_its_output(talk: Talk, fake: FakeMcp) -> None:
    fake.replies["tools/call"] = fails(-32602, "no such thing")
    run = talk.run(ECHO, tools=[mcp(fake)])
    step = talk.steps(run)[0]
    assert (run["status"], step["status"]) == ("completed", "completed")
    output = step["step_details"]["tool_calls"][0]["function"]["output"]
    assert output == "Error: no such thing"


@covers("mcp:failures")
def test_a_server_that_breaks_fails_the_step_and_not_the_run(talk: Talk, fake: FakeMcp) -> None:
    fake.replies["tools/call"] = sends(b"", status=502)
    frames = talk.frames(ECHO, tools=[mcp(fake)])
    run = last(frames, "thread.run.completed")
    step = talk.steps(run)[0]
    assert step["status"] == "failed"
    assert step["last_error"] == {
        "code": "server_error",
        "message": "The MCP server 'srv' refused with HTTP 502.",
    }
    assert step["step_details"]["tool_calls"][0]["function"]["output"] is None
    (message,) = [m for m in talk.messages(run["thread_id"]) if m["role"] == "assistant"]
    said = message["content"][0]["text"]["value"]
    assert said == "It said Error: The MCP server 'srv' refused with HTTP 502.."
    assert folded(frames, "thread.run.step.delta") == {
        step["id"]: {"step_details": step["step_details"]}
    }


def test_a_server_that_is_down_does_not_fail_the_run(
    talk: Talk, fake: FakeMcp, caplog: pytest.LogCaptureFixture
) -> None:
    fake.replies["server/discover"] = sends(b"", status=503)
    run = talk.run("!say Hello.", tools=[mcp(fake)])
    assert run["status"] == "completed"
    (record,) = [record for record in caplog.records if record.message == "mcp.not_listed"]
    assert record.__dict__["fields"] == {
        "run_id": run["id"],
        "server": "srv",
        "reason": "http 503",
    }


@covers("mcp:cancel")
@pytest.mark.parametrize("method", ["tools/call", "tools/list", "server/discover"])
def test_a_run_is_cancelled_at_once_while_a_server_thinks(
    talk: Talk, fake: FakeMcp, method: str
) -> None:
    """The server would think for ever and is given a minute: only the cancellation ends it."""
    fake.replies[method] = hangs
    run = talk.begin(ECHO, tools=[mcp(fake)])
    assert fake.hung.wait(WAIT_S)
    assert talk.cancel(run).json["status"] == "cancelling"
    assert talk.until(run, *ENDED)["status"] == "cancelled"
    assert fake.released.wait(WAIT_S)
    for step in talk.steps(run):
        assert step["status"] == "cancelled"
        call = step["step_details"]["tool_calls"][0]
        assert call["function"]["output"] is None
        assert call["function"]["arguments"] == '{"text":"hi"}'
    assert len(talk.steps(run)) == (method == "tools/call")


@covers("mcp:once")
def test_a_call_that_was_under_way_when_its_run_was_cancelled_is_told_to_the_next(
    talk: Talk, fake: FakeMcp
) -> None:
    """The server may have done it: a model that knew nothing would have it done again."""
    fake.replies["tools/call"] = hangs
    run = talk.begin(ECHO, tools=[mcp(fake)])
    assert fake.hung.wait(WAIT_S)
    talk.cancel(run)
    assert talk.until(run, *ENDED)["status"] == "cancelled"
    fake.replies.clear()
    asked = {"assistant_id": run["assistant_id"]}
    again = talk.http.post(f"/v1/threads/{run['thread_id']}/runs", asked).json
    assert talk.until(again, *ENDED)["status"] == "completed"
    (message,) = [m for m in talk.messages(run["thread_id"]) if m["role"] == "assistant"]
    assert "not known whether this call was carried out" in message["content"][0]["text"]["value"]
    assert len(fake.calls()) == 1


@covers("mcp:once")
def test_a_call_that_was_not_begun_when_its_run_was_cancelled_is_made_by_the_next(
    talk: Talk, fake: FakeMcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out = Driver._run_hosted

    async def stopped(driver: Driver, turn: Turn) -> None:
        driver.stop("cancelled")
        await carry_out(driver, turn)

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "_run_hosted", stopped)
        run = talk.run(ECHO, tools=[mcp(fake)])
    assert (run["status"], fake.calls()) == ("cancelled", [])
    asked = {"assistant_id": run["assistant_id"]}
    again = talk.http.post(f"/v1/threads/{run['thread_id']}/runs", asked).json
    assert talk.until(again, *ENDED)["status"] == "completed"
    assert len(fake.calls()) == 1


def test_a_cancelled_stream_ends_as_every_cancelled_stream(talk: Talk, fake: FakeMcp) -> None:
    fake.replies["tools/call"] = hangs
    stream = talk.open(ECHO, tools=[mcp(fake)])
    run = stream.until("thread.run.created")[-1].data
    assert fake.hung.wait(WAIT_S)
    talk.cancel(run)
    assert names(list(stream))[-4:] == [
        "thread.run.cancelling",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
        "done",
    ]


@covers("mcp:once")
def test_a_call_that_was_lost_with_its_worker_is_not_made_again(
    house: Server, talk: Talk, fake: FakeMcp, tmp_path: Path
) -> None:
    """The data of a server whose run waits for a call, as they would be found after a kill."""
    fake.replies["tools/call"] = hangs
    run = talk.begin(ECHO, tools=[mcp(fake, headers={"Authorization": "Bearer kept"})])
    assert fake.hung.wait(WAIT_S)
    data = shutil.copytree(house.settings.data, tmp_path / "data", ignore=_no_locks)
    talk.cancel(run)
    fake.replies.clear()
    with running(data=data, mcp_hosts=HERE) as after:
        again = Talk(after.http())
        assert again.until(run, *ENDED)["status"] == "completed"
        lost, said = again.steps(run)
        (message,) = [m for m in again.messages(run["thread_id"]) if m["role"] == "assistant"]
    assert (lost["status"], said["status"]) == ("failed", "completed")
    assert "worker" in lost["last_error"]["message"]
    assert lost["step_details"]["tool_calls"][0]["function"]["arguments"] == '{"text":"hi"}'
    assert "not known whether this call was carried out" in message["content"][0]["text"]["value"]
    assert len(fake.calls()) == 1
    assert fake.headers("tools/list")["authorization"] == "Bearer kept"


def _no_locks(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".lock") or name == "blobs"]


# ------------------------------------------------------------------------ refusals


@covers("mcp:hosts")
def test_no_server_may_be_named_where_the_operator_has_named_none(
    sdk: OpenAI, fake: FakeMcp
) -> None:
    with pytest.raises(BadRequestError) as refused:
        sdk.beta.assistants.create(model="scripted", tools=[mcp(fake)])
    assert refused.value.body == {
        "message": "Invalid 'tools[0].server_url': The host '127.0.0.1' is not among those that"
        " this server may call. Its operator can allow it with the setting 'mcp_hosts'.",
        "type": "invalid_request_error",
        "param": "tools[0].server_url",
        "code": "invalid_value",
    }


def test_a_run_may_not_name_such_a_server_either(sdk: OpenAI, fake: FakeMcp) -> None:
    assistant = sdk.beta.assistants.create(model="scripted")
    with pytest.raises(BadRequestError, match="mcp_hosts"):
        sdk.beta.threads.create_and_run(assistant_id=assistant.id, tools=[mcp(fake)])


def test_a_host_that_is_forbidden_later_stops_new_runs(tmp_path: Path, fake: FakeMcp) -> None:
    with running(data=tmp_path, mcp_hosts=HERE) as before:
        talk = Talk(before.http())
        assistant_id, thread_id = talk.assistant(tools=[mcp(fake)]), talk.thread("hi")
    with running(data=tmp_path) as after:
        answer = after.http().post(f"/v1/threads/{thread_id}/runs", {"assistant_id": assistant_id})
        assert answer.status == 400
        assert "mcp_hosts" in answer.error["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"server_url": "http://127.0.0.1.evil.test/"}, "tools[0].server_url"),
        ({"server_url": "https://user:pass@127.0.0.1/"}, "tools[0].server_url"),
        ({"server_url": "x" * 3_000}, "tools[0].server_url"),
        ({"server_url": 3}, "tools[0].server_url"),
        ({"server_label": "a b"}, "tools[0].server_label"),
        ({"require_approval": "always"}, "tools[0].require_approval"),
        ({"allowed_tools": {"read_only": True}}, "tools[0].allowed_tools.read_only"),
        ({"allowed_tools": 3}, "tools[0].allowed_tools"),
        ({"authorization": "x"}, "tools[0].authorization"),
        ({"headers": {"Host": "x"}}, "tools[0].headers.Host"),
        ({"headers": {"content-length": "3"}}, "tools[0].headers.content-length"),
        ({"headers": {"Mcp-Session-Id": "x"}}, "tools[0].headers.Mcp-Session-Id"),
        ({"headers": {"A": "1", "a": "2"}}, "tools[0].headers.a"),
        ({"headers": {"A": "…"}}, "tools[0].headers.A"),
        ({"headers": {"A": "x\r\nB: y"}}, "tools[0].headers.A"),
        ({"headers": {"A": "x\n"}}, "tools[0].headers.A"),
        ({"headers": {"A": "ü"}}, "tools[0].headers.A"),
        ({"headers": {"A b": "x"}}, "tools[0].headers.A b"),
        ({"headers": {"A": 3}}, "tools[0].headers.A"),
        ({"headers": {f"H{number}": "x" for number in range(17)}}, "tools[0].headers"),
    ],
)
def test_a_server_that_cannot_be_is_refused_and_named(
    talk: Talk, fake: FakeMcp, change: Any, param: str
) -> None:
    answer = talk.http.post("/v1/assistants", {"model": "scripted", "tools": [mcp(fake) | change]})
    assert answer.status == 400
    assert answer.error["param"] == param, answer.error


def test_two_servers_need_two_labels(talk: Talk, fake: FakeMcp) -> None:
    answer = talk.http.post(
        "/v1/assistants", {"model": "scripted", "tools": [mcp(fake), mcp(fake)]}
    )
    assert answer.error["message"] == (
        "Invalid 'tools[1].server_label': 'srv' names another server already."
    )


def test_ten_slow_servers_are_listed_side_by_side(talk: Talk, fake: FakeMcp) -> None:
    """Each waits until all have asked."""
    waiting = 0
    gathered = asyncio.Event()

    async def together(server: FakeMcp, _: Any, body: Any) -> Any:
        nonlocal waiting
        waiting += 1
        if waiting == 10:
            gathered.set()
        await gathered.wait()
        return server._answer("tools/list", body)

    fake.replies["tools/list"] = together
    tools = [mcp(fake, f"s{n}", headers={"X-Number": str(n)}) for n in range(10)]
    run = talk.run('!call s9__echo {"text":"x"}\n!then\n!say {result}', tools=tools)
    assert run["status"] == "completed"
    assert waiting == 10
