"""Servers that lie, flood, point elsewhere or never answer: a call fails, and says why."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from tests.contract.requirements import covers
from tests.kit.fake_mcp import (
    WAIT_S,
    FakeMcp,
    Reply,
    answers,
    fails,
    floods,
    hangs,
    says,
    sends,
    streams,
)
from tests.tools.mcp.rig import Rig, run_with, server_tool, setting

from locum.tools.mcp import connections
from locum.tools.mcp.hosts import Hosts
from locum.tools.tool import ToolFailed

MIB = 1 << 20
SECRET = "sk-very-secret-value"
AUTH = {"srv": {"Authorization": f"Bearer {SECRET}"}}


def failure_of(fake: FakeMcp, **options: Any) -> str:
    """With what words a call fails."""

    async def work(rig: Rig) -> str:
        with pytest.raises(ToolFailed) as raised:
            await rig.call(setting(server_tool(fake)), "srv__echo")
        return raised.value.message

    return run_with(work, **options)


LIES: list[tuple[Reply, str]] = [
    (sends(b"x" * (5 * MIB)), "sent more than 4 MiB."),
    (floods(b"data: " + b"x" * 65_536), "sent more than 4 MiB."),
    (floods(b"data: {}\n\n" * 1_000), "sent more than 4 MiB."),
    (floods(b": ping\n" * 5_000), "sent more than 4 MiB."),
    (sends(b"{"), "sent what is not JSON-RPC."),
    (sends(b"[]"), "sent what is not JSON-RPC."),
    (sends(b"[" * 100_000), "sent what is not JSON-RPC."),
    (sends(b"\xff\xfe"), "sent what is not JSON-RPC."),
    (sends(b'{"id": 2, "result": 3}'), "sent what is not JSON-RPC."),
    (sends(b"{}"), "answered with neither a result nor an error."),
    (sends(b'{"id": 99, "result": {}}'), "answered what was not asked."),
    (sends(b"<html>", content_type="text/html"), "answered with 200 and no JSON."),
    (sends(b"", status=202), "took the request and did not answer it."),
    (sends(b"", status=500), "refused with HTTP 500."),
    (sends(b"{}", status=403), "refused with HTTP 403."),
    (sends(b"x" * MIB, status=400), "refused with HTTP 400."),
    (
        sends(b"x", headers={"Content-Encoding": "gzip"}),
        "sent a compressed answer, which was not asked for.",
    ),
    (streams("data: {}\n\n"), "ended its answer in the middle."),
    (streams('data: {"id":{id},"resu'), "ended its answer in the middle."),
    (streams('data: {"id":99,"result":{}}\n\n'), "ended its answer in the middle."),
]


@covers("mcp:failures")
@pytest.mark.parametrize(("reply", "words"), LIES)
def test_a_lie_fails_the_call_and_is_named(fake: FakeMcp, reply: Reply, words: str) -> None:
    fake.replies["tools/call"] = reply
    assert failure_of(fake) == f"The MCP server 'srv' {words}"


@pytest.mark.parametrize(("reply", "words"), LIES)
@pytest.mark.parametrize("method", ["server/discover", "tools/list"])
def test_a_lie_before_any_call_only_leaves_the_server_out(
    fake: FakeMcp, method: str, reply: Reply, words: str
) -> None:
    fake.replies[method] = reply
    fake.replies.setdefault("initialize", reply)
    assert run_with(lambda rig: rig.names(setting(server_tool(fake)))) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(fake: FakeMcp, old: FakeMcp, status: int) -> None:
    fake.replies["tools/call"] = sends(b"", status=status, headers={"Location": old.url})
    assert failure_of(fake) == (
        "The MCP server 'srv' points to another address, which is not followed."
    )
    assert old.received == []


def test_a_server_that_closes_the_connection_fails_the_call(fake: FakeMcp) -> None:
    async def drop(_: FakeMcp, request: web.Request, __: Any) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    fake.replies["tools/call"] = drop
    assert failure_of(fake) == "The MCP server 'srv' closed the connection."
    assert len(fake.calls()) == 1, "a call is never sent twice"


def test_a_server_that_is_not_there_fails_the_call(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> str:
        asked = setting(server_tool("http://127.0.0.1:9/mcp"))
        await rig.names(setting(server_tool(fake)))
        # Reaching inside: what was offered while the server could still be heard.
        key = (asked.project_id, asked.run.id)
        target = rig.tools._offered[key]["srv__echo"]
        moved = type(target.server)("srv", "http://127.0.0.1:9/mcp", {})
        rig.tools._offered[key] = {"srv__echo": type(target)(moved, target.tool)}
        with pytest.raises(ToolFailed) as raised:
            await rig.call_again(asked, "srv__echo")
        return raised.value.message

    assert run_with(work) == "The MCP server 'srv' cannot be reached: Connection refused."


def test_a_function_that_is_no_longer_offered_fails_its_call(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> str:
        with pytest.raises(ToolFailed) as raised:
            await rig.call(setting(server_tool(fake)), "srv__gone")
        return raised.value.message

    assert run_with(work) == "The tool 'srv__gone' is no longer offered."


@pytest.mark.parametrize(
    "reply", [hangs, streams("data: {}\n\n", then_hangs=True), streams(then_hangs=True)]
)
def test_a_server_that_never_ends_is_left_after_its_time(fake: FakeMcp, reply: Reply) -> None:
    fake.replies["tools/call"] = reply
    assert failure_of(fake, call_s=0.2) == "The MCP server 'srv' did not answer within 0.2 s."
    assert fake.released.wait(WAIT_S), "the request was closed"


def test_an_older_server_is_told_that_a_call_took_too_long(old: FakeMcp) -> None:
    old.replies["tools/call"] = hangs
    failure_of(old, call_s=0.2)
    assert old.cancelled.wait(WAIT_S)
    sent = next(body for body, _ in old.received if body.get("method") == "notifications/cancelled")
    asked = next(body for body, _ in old.received if body.get("method") == "tools/call")
    assert sent["params"]["requestId"] == asked["id"]


@pytest.mark.parametrize("era", ["fake", "old"])
def test_a_cancelled_call_closes_its_request(era: str, request: pytest.FixtureRequest) -> None:
    server: FakeMcp = request.getfixturevalue(era)
    server.replies["tools/call"] = hangs

    async def work(rig: Rig) -> None:
        asked = setting(server_tool(server))
        await rig.names(asked)
        call = asyncio.ensure_future(rig.call_again(asked, "srv__echo"))
        await asyncio.to_thread(server.hung.wait, WAIT_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.released.wait, WAIT_S)
        if era == "old":
            assert await asyncio.to_thread(server.cancelled.wait, WAIT_S)

    run_with(work)
    assert server.cancelled.is_set() is (era == "old")


@pytest.mark.parametrize("method", ["server/discover", "tools/list"])
def test_a_server_that_never_lists_its_tools_is_left_out(
    fake: FakeMcp, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LISTING_S", 0.2)
    fake.replies[method] = hangs
    assert run_with(lambda rig: rig.names(setting(server_tool(fake)))) == []
    assert fake.released.wait(WAIT_S)


@pytest.mark.parametrize("method", ["server/discover", "initialize", "tools/list"])
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_server_that_refuses_is_left_out_and_the_log_says_how(
    old: FakeMcp, method: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    old.replies[method] = sends(b"no", status=status)
    names = run_with(lambda rig: rig.names(setting(server_tool(old))))
    goes_on = method == "server/discover" and status in (404, 429)
    assert names == (["srv__echo"] if goes_on else [])
    reasons = [record.__dict__["fields"]["reason"] for record in caplog.records]
    assert reasons == ([] if goes_on else [f"http {status}"])


@pytest.mark.parametrize(
    ("method", "reply", "reason"),
    [
        ("initialize", fails(-32600, "stay out"), "handshake"),
        ("initialize", answers({"protocolVersion": "1999-01-01"}), "version"),
        ("initialize", answers({}), "version"),
        ("tools/list", fails(-32603, "broken"), "rpc error"),
        ("tools/list", answers({"tools": 3}), None),
        ("tools/list", answers({}), None),
    ],
)
def test_a_server_that_cannot_list_is_left_out(
    old: FakeMcp, method: str, reply: Reply, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    old.replies[method] = reply
    assert run_with(lambda rig: rig.names(setting(server_tool(old)))) == []
    reasons = [record.__dict__["fields"]["reason"] for record in caplog.records]
    assert reasons == ([] if reason is None else [reason])


def test_a_host_that_is_forbidden_while_a_run_goes_on_is_not_called(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> str:
        asked = setting(server_tool(fake))
        await rig.names(asked)
        rig.tools._transport._hosts = Hosts([])  # as a restart with other settings would
        with pytest.raises(ToolFailed) as raised:
            await rig.call_again(asked, "srv__echo")
        return raised.value.message

    assert run_with(work).startswith("The host '127.0.0.1' is not among those")
    assert fake.calls() == []


def test_text_too_long_for_a_model_is_cut_for_it_and_kept_in_the_step(fake: FakeMcp) -> None:
    fake.replies["tools/call"] = answers(says("x" * 100_000))

    async def work(rig: Rig) -> None:
        asked = setting(server_tool(fake))
        await rig.names(asked)
        call = await rig.open(asked, "srv__echo")
        deltas = [delta async for delta in call.run()]
        assert len(deltas[0]["output"]) == 100_000
        assert call.memory().result == "x" * 20_000 + "\n[cut]"

    run_with(work)


def test_text_beyond_all_measure_is_cut_in_the_step_too(fake: FakeMcp) -> None:
    fake.replies["tools/call"] = answers(says("x" * 3_000_000))
    output = run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo"))
    assert output == "x" * 256_000 + "\n[cut]"


# -------------------------------------------------------------------------- secrets


def test_headers_reach_their_server_and_no_other(fake: FakeMcp, old: FakeMcp) -> None:
    asked = setting(server_tool(fake), server_tool(old, "other"), headers=AUTH)
    run_with(lambda rig: rig.names(asked))
    assert all(h["authorization"] == f"Bearer {SECRET}" for _, h in fake.received)
    assert not any("authorization" in h for _, h in old.received)


@pytest.mark.parametrize("echo", [SECRET, f"Bearer {SECRET}", f"a {SECRET}."])
def test_a_server_that_repeats_a_secret_is_not_quoted(fake: FakeMcp, echo: str) -> None:
    asked = setting(server_tool(fake), headers=AUTH)
    schema = {"type": "object", "description": echo, "properties": {echo: {"type": "string"}}}
    fake.tools = [{"name": "echo", "description": echo, "inputSchema": schema}]
    fake.replies["tools/call"] = answers(says(echo))

    async def work(rig: Rig) -> str:
        functions = await rig.tools.functions(asked)
        output = await rig.call_again(asked, "srv__echo")
        fake.replies["tools/call"] = fails(-32602, echo)
        failure = await rig.call_again(asked, "srv__echo")
        return f"{functions} {output} {failure}"

    said = run_with(work)
    assert SECRET not in said
    assert said.count("…") == 5


def test_what_lies_too_deep_to_look_for_secrets_is_not_quoted(fake: FakeMcp) -> None:
    deep = b"[" * 700 + b'"%s"' % SECRET.encode() + b"]" * 700
    result = b'{"id": 2, "result": {"structuredContent": {"deep": %s, "flat": 1}}}' % deep
    fake.replies["tools/call"] = sends(result)
    asked = setting(server_tool(fake), headers=AUTH)
    output = run_with(lambda rig: rig.call(asked, "srv__echo"))
    assert output == f'{{"deep":{"[" * 198}"…"{"]" * 198},"flat":1}}'
