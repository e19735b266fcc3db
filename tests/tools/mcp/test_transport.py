"""How failures on the way are named, and what is forgotten when there is too much of it."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from tests.kit.clocks import SteppedClock
from tests.kit.fake_mcp import FakeMcp, hangs
from tests.tools.mcp.rig import HERE, run_with, server_tool, setting

from locum.tools.mcp import listings, tool, transport
from locum.tools.mcp.answers import McpFailed, Server
from locum.tools.mcp.hosts import Hosts, PrivateAddress
from locum.tools.mcp.listings import Listings
from locum.tools.mcp.mirrors import mirrored, mirrors
from locum.tools.mcp.results import written
from locum.tools.mcp.transport import Transport

KEY = ConnectionKey("host.example", 443, True, True, None, None, None)
NAMES = aiohttp.ClientConnectorDNSError


async def _failure(url: str, hosts: list[str]) -> str:
    way = Transport(Hosts(hosts), answer_s=5.0)
    try:
        with pytest.raises(McpFailed) as raised:
            await way.ask(Server("srv", url, {}), {"id": 1}, {})
        return raised.value.message
    finally:
        await way.close()


def test_a_number_that_is_a_private_address_is_named_as_such(fake: FakeMcp) -> None:
    failure = asyncio.run(_failure(f"http://0x7f000001:{fake.port}/mcp", ["http://*"]))
    assert failure == (
        "The MCP server 'srv' is in a private network that its operator has not named in"
        " 'mcp_hosts'."
    )
    assert fake.received == []


def test_a_server_without_encryption_is_not_spoken_with_over_https(fake: FakeMcp) -> None:
    failure = asyncio.run(_failure(f"https://127.0.0.1:{fake.port}/mcp", list(HERE)))
    assert failure == "The MCP server 'srv' does not speak TLS."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda: aiohttp.InvalidURL("http://127.1"), "has an address that cannot be called"),
        (lambda: NAMES(KEY, OSError("?")), "cannot be reached: its host name is not known"),
        (
            lambda: NAMES(KEY, PrivateAddress("?")),
            "is in a private network that its operator has not named in 'mcp_hosts'",
        ),
        (
            lambda: aiohttp.ClientConnectorCertificateError(KEY, Exception("?")),
            "cannot be trusted: its certificate does not hold",
        ),
        (
            lambda: aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "?")),
            "cannot be reached: Connection refused",
        ),
        (
            lambda: aiohttp.ClientConnectorError(KEY, OSError("?")),
            "cannot be reached: no connection",
        ),
        (lambda: aiohttp.ClientPayloadError("?"), "closed the connection"),
        (lambda: aiohttp.ClientError("?"), "broke the connection"),
    ],
)
def test_a_failure_on_the_way_is_named_without_details(
    error: Callable[[], aiohttp.ClientError], words: str
) -> None:
    assert transport._why(error()) == words


def test_a_server_is_printed_without_its_headers() -> None:
    assert repr(Server("srv", "https://host.example", {"Key": "secret"})) == "Server('srv')"


def test_what_is_sent_aside_is_bounded_and_given_up_at_the_end(
    fake: FakeMcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MOST_ASIDES", 3)
    monkeypatch.setattr(transport, "_ASIDE_S", 0.2)
    fake.replies["late"] = hangs

    async def work() -> int:
        way = Transport(Hosts(HERE), answer_s=5.0)
        for _ in range(10):
            way.aside(Server("srv", fake.url, {}), {}, {"method": "late"})
        waiting = len(way._asides)
        await way.close()
        assert not way._asides
        return waiting

    assert asyncio.run(work()) == 3


def test_what_is_sent_aside_may_be_lost() -> None:
    async def work() -> None:
        way = Transport(Hosts(HERE), answer_s=5.0)
        await way.notify(Server("srv", "http://127.0.0.1:9/mcp", {}), {}, {"method": "late"})
        await way.close()

    asyncio.run(work())


def test_the_listings_of_many_servers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "_MOST", 2)
    asked: list[str] = []

    async def work() -> None:
        kept = Listings(SteppedClock())
        for key in ("a", "b", "c", "c", "a"):

            async def ask(key: str = key) -> Any:
                asked.append(key)
                return ()

            await kept.tools(key, ask, lambda _: None)

    asyncio.run(work())
    assert asked == ["a", "b", "c", "a"]


def test_what_was_offered_to_many_runs_is_bounded(
    fake: FakeMcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "_MOST_RUNS", 2)
    monkeypatch.setattr(tool, "_MOST_CONNECTIONS", 2)

    async def work(rig: Any) -> None:
        for number in range(4):
            await rig.names(setting(server_tool(fake), thread_id=f"thread_{number}"))
        assert len(rig.tools._offered) == 2
        assert len(rig.tools._connections) == 2

    run_with(work)


def test_no_name_of_a_header_is_compared_with_all_others() -> None:
    """Were it, this would take a minute."""
    named = {f"p{at}": {"type": "string", "x-mcp-header": f"H{at}"} for at in range(30_000)}
    assert len(mirrors({"properties": named}) or ()) == 30_000
    twice = {"type": "string", "x-mcp-header": "h7"}
    assert mirrors({"properties": {**named, "again": twice}}) is None


def test_arguments_that_are_not_there_are_not_mirrored() -> None:
    found = mirrors({"properties": {"a": {"type": "string", "x-mcp-header": "A"}, "b": True}})
    assert found == {("a",): "A"}
    assert mirrored(found, {}) == {}
    assert mirrored(found, {"a": None}) == {}
    assert mirrored({("a", "b"): "A"}, {"a": 3}) == {}
    assert mirrored(found, {"a": 3}) == {"Mcp-Param-A": "3"}


def test_a_resource_that_is_none_is_still_named() -> None:
    assert written({"content": [{"type": "resource", "resource": 3}]}) == "[resource]"
