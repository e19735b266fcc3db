"""Listing and calling tools, with servers of both eras."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.kit.fake_mcp import ECHO, FakeMcp, answers, error, fails, says, streams
from tests.tools.mcp.rig import HERE, Rig, run_with, server_tool, setting

from locum import limits
from locum.tools.mcp import protocol
from locum.tools.mcp.answers import Server
from locum.tools.mcp.hosts import Hosts
from locum.tools.mcp.transport import Transport
from locum.tools.tool import Function
from locum.wire.tools import McpToolFilter

_DEEP = '{"a":' + "[" * limits.NESTING + "]" * limits.NESTING + "}"
ECHO_HI = '{"text":"hi"}'


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}} | more


def test_the_tools_of_an_official_server_are_functions_and_can_be_called(official: str) -> None:
    asked = setting(server_tool(official, "sums"))

    async def work(rig: Rig) -> tuple[list[str], str | None, str | None]:
        names = await rig.names(asked)
        total = await rig.call(asked, "sums__add", '{"a": 2, "b": 40}')
        return names, total, await rig.call(asked, "sums__fail")

    names, total, failure = run_with(work)
    assert names == ["sums__add", "sums__fail", "sums__wait"]
    assert total == "42"
    assert failure == "Error executing tool fail"


def test_an_official_server_answers_the_handshake_of_older_revisions(official: str) -> None:
    """It speaks the newest too, so the older way is taken by reaching inside."""

    async def run() -> tuple[protocol.Protocol, Any]:
        transport = Transport(Hosts(HERE), answer_s=5.0)
        server = Server("sums", official, {})
        try:
            agreed = await protocol._shake_hands(transport, server, 5.0)
            request = agreed.request(
                1, "tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}
            )
            answer = await transport.ask(server, request, agreed.headers("tools/call", "add"))
            return agreed, answer.result
        finally:
            await transport.close()

    agreed, result = asyncio.run(run())
    assert agreed.version == "2025-11-25"
    assert agreed.session_id
    assert result["content"][0]["text"] == "3"


def test_a_function_passes_on_what_the_server_says_of_its_tool(fake: FakeMcp) -> None:
    functions = run_with(lambda rig: rig.tools.functions(setting(server_tool(fake))))
    assert functions == [
        Function(
            "srv__echo",
            "Says it again.",
            {"type": "object", "properties": {"text": {"type": "string"}}},
        )
    ]


def test_a_tool_without_a_schema_takes_an_object(fake: FakeMcp) -> None:
    fake.tools = [{"name": "bare"}]
    (function,) = run_with(lambda rig: rig.tools.functions(setting(server_tool(fake))))
    assert function.parameters == {"type": "object", "properties": {}}


def test_a_run_without_servers_is_offered_nothing() -> None:
    assert run_with(lambda rig: rig.tools.functions(setting())) == ()


@pytest.mark.parametrize("allowed", [("b",), McpToolFilter(tool_names=("b",))])
def test_only_allowed_tools_are_offered(fake: FakeMcp, allowed: Any) -> None:
    fake.tools = [named("a"), named("b")]
    asked = setting(server_tool(fake, allowed_tools=allowed))
    assert run_with(lambda rig: rig.names(asked)) == ["srv__b"]


def test_names_that_models_do_not_take_are_made_to_fit(fake: FakeMcp) -> None:
    fake.tools = [named("a.b"), named("a/b"), named("x" * 100)]
    first, second, third = run_with(lambda rig: rig.names(setting(server_tool(fake))))
    assert first == "srv__a_b"
    assert second.startswith("srv__a_b_")
    assert len(third) == 64
    assert len({first, second, third}) == 3


def test_a_tool_under_a_name_that_was_made_to_fit_is_called_by_its_own(fake: FakeMcp) -> None:
    fake.tools = [named("a.b"), named("a/b")]
    asked = setting(server_tool(fake))

    async def work(rig: Rig) -> None:
        for name in await rig.names(asked):
            await rig.call_again(asked, name)

    run_with(work)
    assert [call["name"] for call in fake.calls()] == ["a.b", "a/b"]
    assert fake.headers("tools/call")["mcp-name"] == "a/b"


def test_two_servers_keep_their_tools_apart(fake: FakeMcp, old: FakeMcp) -> None:
    asked = setting(server_tool(fake, "one"), server_tool(old, "two"))

    async def work(rig: Rig) -> list[str]:
        names = await rig.names(asked)
        await rig.call_again(asked, "two__echo", ECHO_HI)
        return names

    assert run_with(work) == ["one__echo", "two__echo"]
    assert (len(fake.calls()), len(old.calls())) == (0, 1)


def test_a_long_list_is_read_page_by_page(fake: FakeMcp) -> None:
    async def page(_: FakeMcp, __: web.Request, body: Any) -> web.StreamResponse:
        number = int(body["params"].get("cursor", "0"))
        result: dict[str, Any] = {"tools": [named(f"t{number}")]}
        if number < 4:
            result["nextCursor"] = str(number + 1)
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    fake.replies["tools/list"] = page
    names = run_with(lambda rig: rig.names(setting(server_tool(fake))))
    assert names == [f"srv__t{number}" for number in range(5)]


def test_pages_without_end_are_left_after_a_while(fake: FakeMcp) -> None:
    fake.replies["tools/list"] = answers({"tools": [named("t")], "nextCursor": "again"})
    names = run_with(lambda rig: rig.names(setting(server_tool(fake))))
    assert fake.methods().count("tools/list") == 32
    assert "srv__t" in names


def test_all_servers_together_are_taken_no_more_of(fake: FakeMcp) -> None:
    fake.tools = [named(f"t{number}") for number in range(100)]
    asked = setting(server_tool(fake, "one"), server_tool(fake, "two"))
    names = run_with(lambda rig: rig.names(asked))
    assert (len(names), names[-1]) == (128, "two__t27")


def test_a_tool_with_a_schema_beyond_all_measure_is_left_out(fake: FakeMcp) -> None:
    fake.tools = [named("huge", inputSchema={"description": "x" * 70_000}), ECHO]
    assert run_with(lambda rig: rig.names(setting(server_tool(fake)))) == ["srv__echo"]


def test_no_more_tools_are_taken_than_a_model_can_be_told_of(fake: FakeMcp) -> None:
    fake.tools = [named(f"t{number}") for number in range(500)]
    assert len(run_with(lambda rig: rig.names(setting(server_tool(fake))))) == 128


def test_tools_that_are_no_tools_are_left_out(fake: FakeMcp) -> None:
    fake.tools = [3, {"description": "no name"}, {"name": 5}, named("good")]
    assert run_with(lambda rig: rig.names(setting(server_tool(fake)))) == ["srv__good"]


# ------------------------------------------------------------------------- the eras


def test_a_stateless_server_is_told_all_in_every_request(fake: FakeMcp) -> None:
    run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo", ECHO_HI))
    assert fake.methods() == ["server/discover", "tools/list", "tools/call"]
    headers, meta = fake.headers("tools/call"), fake.calls()[0]["_meta"]
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "echo"
    assert "mcp-session-id" not in headers
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}


def test_an_older_server_gets_its_handshake_and_its_session(old: FakeMcp) -> None:
    run_with(lambda rig: rig.call(setting(server_tool(old)), "srv__echo", ECHO_HI))
    assert old.methods() == [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/call",
    ]
    headers = old.headers("tools/call")
    assert headers["mcp-protocol-version"] == "2025-11-25"
    assert headers["mcp-session-id"] == "session-0"
    assert "mcp-method" not in headers
    assert "_meta" not in old.calls()[0]
    assert old.ended == ["session-0"]


def test_an_older_revision_that_the_server_prefers_is_spoken(old: FakeMcp) -> None:
    old.replies["initialize"] = answers({"protocolVersion": "2025-03-26", "capabilities": {}})
    old.replies["tools/list"] = answers({"tools": [ECHO]})
    run_with(lambda rig: rig.names(setting(server_tool(old))))
    assert old.headers("tools/list")["mcp-protocol-version"] == "2025-03-26"


def test_a_server_that_answers_discovery_with_older_revisions_gets_its_handshake(
    old: FakeMcp,
) -> None:
    old.replies["server/discover"] = answers({"supportedVersions": ["2025-11-25"]})
    assert run_with(lambda rig: rig.names(setting(server_tool(old)))) == ["srv__echo"]


@pytest.mark.parametrize("supported", [["2031-01-01"], ["2025-11-25"], None])
def test_a_server_that_refuses_our_revision_is_asked_for_an_older_one_if_it_has_one(
    old: FakeMcp, supported: list[str] | None
) -> None:
    async def refuse(_: FakeMcp, __: web.Request, body: Any) -> web.StreamResponse:
        failure = {"code": -32022, "message": "no", "data": {"supported": supported}}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "error": failure}, status=400)

    old.replies["server/discover"] = refuse
    names = run_with(lambda rig: rig.names(setting(server_tool(old))))
    assert names == ([] if supported == ["2031-01-01"] else ["srv__echo"])


def test_a_session_that_has_expired_is_begun_again_once(old: FakeMcp) -> None:
    asked = setting(server_tool(old))

    async def work(rig: Rig) -> str | None:
        await rig.names(asked)
        old.sessions.clear()
        return await rig.call_again(asked, "srv__echo", ECHO_HI)

    assert run_with(work) == "hi"
    assert len(old.calls()) == 2
    assert old.methods().count("initialize") == 2


def test_a_server_that_was_replaced_by_an_older_one_is_spoken_with_again(fake: FakeMcp) -> None:
    asked = setting(server_tool(fake))

    async def work(rig: Rig) -> str | None:
        await rig.names(asked)
        fake.era = "handshake"

        async def refuse(fake: FakeMcp, _: web.Request, body: Any) -> web.StreamResponse:
            del fake.replies["tools/call"]
            return error(body, -32022, "unsupported", status=400)

        fake.replies["tools/call"] = refuse
        return await rig.call_again(asked, "srv__echo", ECHO_HI)

    assert run_with(work) == "hi"


def test_each_thread_has_a_session_of_its_own(old: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        for thread_id in ("thread_1", "thread_2", "thread_1"):
            await rig.call(setting(server_tool(old), thread_id=thread_id), "srv__echo", ECHO_HI)

    run_with(work)
    sessions = [
        headers["mcp-session-id"]
        for body, headers in old.received
        if "params" in body and body["method"] == "tools/call"
    ]
    assert sessions[0] == sessions[2] != sessions[1]


def test_a_deleted_thread_ends_its_sessions(old: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        for thread_id in ("thread_1", "thread_2"):
            await rig.call(setting(server_tool(old), thread_id=thread_id), "srv__echo", ECHO_HI)
        await rig.tools.forget("proj_1", "thread_2")
        assert list(rig.tools._connections) == [
            key for key in rig.tools._connections if key[1] == "thread_1"
        ]

    run_with(work)
    assert sorted(old.ended) == sorted(old.sessions)


def test_idle_sessions_are_ended(old: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        await rig.call(setting(server_tool(old)), "srv__echo", ECHO_HI)
        rig.clock.advance(700)
        await rig.names(setting(server_tool(old), thread_id="thread_2"))
        assert [key[1] for key in rig.tools._connections] == ["thread_2"]

    run_with(work)


# ------------------------------------------------------------------------- listings


def test_tools_are_listed_once_a_minute(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        for _ in range(3):
            await rig.names(setting(server_tool(fake)))
        assert fake.methods().count("tools/list") == 1
        rig.clock.advance(61)
        await rig.names(setting(server_tool(fake)))
        assert fake.methods().count("tools/list") == 2

    run_with(work)


def test_listings_are_not_shared_by_projects_or_by_headers(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        await rig.names(setting(server_tool(fake)))
        await rig.names(setting(server_tool(fake), project_id="proj_2"))
        await rig.names(setting(server_tool(fake), headers={"srv": {"X": "1"}}))

    run_with(work)
    assert fake.methods().count("tools/list") == 3


def test_a_server_that_is_down_offers_nothing_and_is_left_in_peace_for_a_while() -> None:
    asked = setting(server_tool("http://127.0.0.1:9/mcp"))

    async def work(rig: Rig) -> list[str]:
        return await rig.names(asked)

    assert run_with(work) == []


def test_a_server_that_goes_down_is_offered_on_for_an_hour(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        asked = setting(server_tool(fake))
        assert await rig.names(asked) == ["srv__echo"]
        fake.replies["tools/list"] = fails(-32603, "out of order")
        rig.clock.advance(61)
        assert await rig.names(asked) == ["srv__echo"]
        asks = fake.methods().count("tools/list")
        assert await rig.names(asked) == ["srv__echo"]
        assert fake.methods().count("tools/list") == asks
        rig.clock.advance(3_700)
        assert await rig.names(asked) == []
        del fake.replies["tools/list"]
        rig.clock.advance(16)
        assert await rig.names(asked) == ["srv__echo"]

    run_with(work)


# ---------------------------------------------------------------------------- calls


def test_deltas_of_a_call_add_up_to_what_its_step_shows(fake: FakeMcp) -> None:
    async def work(rig: Rig) -> None:
        asked = setting(server_tool(fake))
        await rig.names(asked)
        call = await rig.open(asked, "srv__echo")
        told = [call.begin(), call.write('{"text":'), call.write('"hi"}')]
        assert msgspec.to_builtins(call.done())["function"]["output"] is None
        told += [delta async for delta in call.run()]
        assert told == [
            {"name": "srv__echo", "arguments": "", "output": None},
            {"arguments": '{"text":'},
            {"arguments": '"hi"}'},
            {"output": "hi"},
        ]
        assert msgspec.to_builtins(call.done()) == {
            "id": "call_1",
            "type": "function",
            "function": {"name": "srv__echo", "arguments": ECHO_HI, "output": "hi"},
        }
        memory = call.memory()
        assert (memory.name, memory.arguments, memory.result) == ("srv__echo", ECHO_HI, "hi")

    run_with(work)


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', "[" * 5_000, _DEEP])
def test_arguments_that_are_no_object_are_not_sent(fake: FakeMcp, arguments: str) -> None:
    output = run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo", arguments))
    assert output == "Error: the arguments are not a JSON object."
    assert fake.calls() == []


def test_no_arguments_are_an_empty_object(fake: FakeMcp) -> None:
    assert run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo", "")) == "nothing"
    assert fake.calls()[0]["arguments"] == {}


def test_an_error_of_the_server_is_what_the_model_is_told(fake: FakeMcp) -> None:
    fake.replies["tools/call"] = fails(-32602, "no such tool")
    output = run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo"))
    assert output == "Error: no such tool"


def test_an_answer_may_come_as_a_stream_with_other_messages_before_it(old: FakeMcp) -> None:
    old.replies["tools/call"] = streams(
        ": awake\n\n",
        "id: 1\ndata:\n\n",
        'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\r\n\r\n',
        'data: {"jsonrpc":"2.0","id":7,"method":"ping"}\n\n',
        'data: {"jsonrpc":"2.0","id":8,"method":"sampling/createMessage","params":{}}\n\n',
        'event: message\ndata: {"jsonrpc":"2.0","id":{id},\n',
        'data: "result":{"content":[{"type":"text","text":"streamed"}]}}\n\n',
    )
    assert run_with(lambda rig: rig.call(setting(server_tool(old)), "srv__echo")) == "streamed"
    replies = {body["id"]: body for body, _ in old.received if "method" not in body}
    assert replies[7]["result"] == {}
    assert replies[8]["error"]["code"] == -32601


def test_arguments_are_mirrored_in_headers_where_a_tool_wants_it(fake: FakeMcp) -> None:
    marked = {"type": "string", "x-mcp-header": "Region"}
    deep = {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}}
    schema = {"type": "object", "properties": {"region": marked, "how": deep}}
    fake.tools = [{"name": "route", "inputSchema": schema}]
    arguments = '{"region": "Zürich", "how": {"dry": true}}'
    run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__route", arguments))
    headers = fake.headers("tools/call")
    assert headers["mcp-param-region"] == "=?base64?WsO8cmljaA==?="
    assert headers["mcp-param-dry"] == "true"


@pytest.mark.parametrize(
    "mark",
    [
        {"x-mcp-header": "a b", "type": "string"},
        {"x-mcp-header": "A", "type": "number"},
        {"x-mcp-header": 1, "type": "string"},
    ],
)
def test_a_tool_whose_marks_are_amiss_is_left_out(fake: FakeMcp, mark: Any) -> None:
    fake.tools = [{"name": "odd", "inputSchema": {"properties": {"x": mark}}}, ECHO]
    assert run_with(lambda rig: rig.names(setting(server_tool(fake)))) == ["srv__echo"]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (says("a"), "a"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": []}, ""),
        ({}, ""),
        ({"content": [], "structuredContent": {"x": 1}}, '{"x":1}'),
        (says("bad", isError=True), "Error: bad"),
        (says("Error: bad", isError=True), "Error: bad"),
        ({"isError": True}, "Error: the tool failed and did not say why."),
        (
            {"content": [{"type": "image", "mimeType": "image/png", "data": "AAAA"}]},
            "[image: image/png, 3 bytes]",
        ),
        (
            {"content": [{"type": "resource", "resource": {"uri": "file:a", "text": "words"}}]},
            "[resource: file:a]\nwords",
        ),
        (
            {"content": [{"type": "resource", "resource": {"uri": "file:a", "blob": "AAAA"}}]},
            "[resource: file:a, unknown type, 3 bytes]",
        ),
        (
            {"content": [{"type": "resource_link", "name": "doc", "uri": "file:a"}]},
            "[resource: doc file:a]",
        ),
        (
            {"content": [{"type": "hologram"}, 3]},
            "[content of type 'hologram']\n[content without a type]",
        ),
        (
            {"resultType": "input_required"},
            "Error: the tool asks for more than an assistant can tell it.",
        ),
    ],
)
def test_a_result_becomes_text(fake: FakeMcp, result: Any, text: str) -> None:
    fake.replies["tools/call"] = answers(result)
    assert run_with(lambda rig: rig.call(setting(server_tool(fake)), "srv__echo")) == text
