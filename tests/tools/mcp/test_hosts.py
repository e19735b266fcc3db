"""Which addresses may be called, by name and by where a name leads."""

import asyncio
import socket
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.contract.requirements import covers
from tests.kit.fake_mcp import FakeMcp
from tests.tools.mcp.rig import run_with, server_tool, setting

from locum.settings import SettingsError
from locum.tools.mcp.hosts import GuardedResolver, HostRefused, Hosts, PrivateAddress, is_public


class Names(AbstractResolver):
    """A resolver that knows one name."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("mcp.example.com", "https://mcp.example.com/mcp"),
        ("MCP.example.com.", "https://mcp.EXAMPLE.com:8443/mcp?x=1"),
        ("*.example.com", "https://a.b.example.com"),
        ("*", "https://anything.example"),
        ("localhost", "http://localhost:3000/mcp"),
        ("127.0.0.1", "http://127.0.0.1/mcp"),
        ("[::1]", "http://[::1]/mcp"),
        ("::1", "https://[::1]/mcp"),
        ("10.1.2.3", "https://10.1.2.3/mcp"),
        ("http://tools", "http://tools:8000/mcp"),
        ("http://tools", "https://tools/mcp"),
        ("http://*.lan", "http://a.lan/mcp"),
        ("http://10.1.2.3", "http://10.1.2.3/mcp"),
        ("https://mcp.example.com/", "https://mcp.example.com/mcp"),
        ("mcp.example.com:8443", "https://mcp.example.com:8443/mcp"),
        ("mcp.example.com:443", "https://mcp.example.com/mcp"),
        ("*.example.com:8443", "https://a.example.com:8443/mcp"),
        ("[::1]:3000", "http://[::1]:3000/mcp"),
        ("http://tools:8000", "http://tools:8000/mcp"),
    ],
)
def test_an_address_that_is_covered_may_be_called(allowed: str, address: str) -> None:
    assert Hosts([allowed]).check(address).host


@covers("mcp:hosts")
@pytest.mark.parametrize(
    ("allowed", "address", "why"),
    [
        ([], "https://mcp.example.com", "not among those"),
        (["mcp.example.com"], "https://mcp.example.com.evil.test", "not among those"),
        (["mcp.example.com"], "https://evil.test/mcp.example.com", "not among those"),
        (["mcp.example.com"], "https://mcp.example.com@evil.test/", "must not hold a password"),
        (["mcp.example.com"], "https://:key@mcp.example.com/", "must not hold a password"),
        (["mcp.example.com"], "https://evil.test#mcp.example.com", "not among those"),
        (["mcp.example.com"], "https://evil.test\\@mcp.example.com", "Expected the address"),
        (["mcp.example.com:8443"], "https://mcp.example.com", "not among those"),
        (["mcp.example.com:8443"], "https://mcp.example.com:8444", "not among those"),
        (["*.example.com"], "https://example.com", "not among those"),
        (["*.example.com"], "https://.example.com", "not among those"),
        (["*.example.com"], "https://evilexample.com", "not among those"),
        (["mcp.example.com"], "http://mcp.example.com", "only be called with https"),
        (["*"], "http://public.example", "only be called with https"),
        (["*"], "https://localhost/mcp", "must name it exactly"),
        (["*"], "https://a.localhost/mcp", "must name it exactly"),
        (["*"], "https://127.0.0.1/mcp", "must name it exactly"),
        (["*"], "https://[::1]/mcp", "must name it exactly"),
        (["*"], "https://[::ffff:127.0.0.1]/mcp", "must name it exactly"),
        (["*"], "https://[64:ff9b::7f00:1]/mcp", "must name it exactly"),
        (["*"], "https://[64:ff9b:1::808:808]/mcp", "must name it exactly"),
        (["*"], "https://[fec0::1]/mcp", "must name it exactly"),
        (["*"], "https://10.0.0.1/mcp", "must name it exactly"),
        (["*"], "https://172.16.0.1/mcp", "must name it exactly"),
        (["*"], "https://192.168.0.1/mcp", "must name it exactly"),
        (["*"], "https://169.254.169.254/latest", "must name it exactly"),
        (["*"], "https://[fe80::1]/", "must name it exactly"),
        (["*"], "https://[fd00::1]/", "must name it exactly"),
        (["*"], "https://0.0.0.0/", "must name it exactly"),
        (["*.0.0.1"], "https://127.0.0.1/", "must name it exactly"),
        (["*"], "file:///etc/passwd", "Expected the address"),
        (["*"], "ftp://host.example/", "Expected the address"),
        (["*"], "/mcp", "Expected the address"),
        (["*"], "https://", "Expected the address"),
        (["*"], "", "Expected the address"),
        (["*"], "https://[::1", "Expected the address"),
        (["*"], "https://host.example:99999/", "Expected the address"),
    ],
)
def test_every_other_address_is_refused(allowed: list[str], address: str, why: str) -> None:
    with pytest.raises(HostRefused, match=why):
        Hosts(allowed).check(address)


@pytest.mark.parametrize(
    "entry",
    ["", "a b", "*example.com", "a.*.com", "**", "host/path", "ftp://host", "host:port", "u@host"],
)
def test_an_entry_that_cannot_be_stops_the_server_from_starting(entry: str) -> None:
    with pytest.raises(SettingsError, match="The setting 'mcp_hosts' holds hosts"):
        Hosts([entry])


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"]
)
def test_a_name_that_leads_into_a_private_network_is_not_followed(address: str) -> None:
    resolver = GuardedResolver(Hosts(["*"]), Names(address))
    with pytest.raises(PrivateAddress):
        asyncio.run(resolver.resolve("rebound.example"))


def test_of_mixed_addresses_only_the_public_ones_are_connected_to() -> None:
    resolver = GuardedResolver(Hosts(["*"]), Names("10.0.0.1", "93.184.215.14"))
    found = asyncio.run(resolver.resolve("mixed.example"))
    assert [one["host"] for one in found] == ["93.184.215.14"]


def test_a_name_that_was_named_exactly_may_lead_anywhere() -> None:
    async def work() -> None:
        resolver = GuardedResolver(Hosts(["tools.lan"]), Names("10.0.0.1"))
        assert await resolver.resolve("tools.lan.")
        await resolver.close()

    asyncio.run(work())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_numbers_that_are_addresses_in_disguise_do_not_get_through(
    fake: FakeMcp, host: str
) -> None:
    url = f"http://{host}:{fake.port}/mcp"
    asked = setting(server_tool(url))
    assert run_with(lambda rig: rig.names(asked), hosts=["http://*"]) == []
    assert fake.received == []


def test_a_host_that_is_forbidden_later_is_not_called_any_more(fake: FakeMcp) -> None:
    asked = setting(server_tool(fake))
    assert run_with(lambda rig: rig.names(asked), hosts=["other.example"]) == []
    assert fake.received == []


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "64:ff9b::808:808"])
def test_public_addresses_are_public_however_they_are_written(address: str) -> None:
    assert is_public(ip_address(address))
