"""Which MCP servers may be called: only those whose host the operator has named.

A name alone is no wall: it may resolve to a machine of the operator's own network. So every
address is looked at once more when it is connected to.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from yarl import URL

from locum.settings import SettingsError

IP: TypeAlias = IPv4Address | IPv6Address

_PLAIN = "http://"
_NO_ADDRESS = "Expected the address of an MCP server, as in 'https://host.example/mcp'."
_ENTRY = re.compile(
    r"(https?://)?"
    r"(?:\[([0-9a-f:.]+)\]|([0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*)|(\*|(?:\*\.)?[^\s*:/@\[\]]+))"
    r"(?::(\d{1,5}))?/?\Z"
)
# Addresses of the old internet, written within the new one.
_NAT64 = IPv6Network("64:ff9b::/96")
# Nobody's on the internet, though not every Python knows.
_OF_A_HOUSE = (IPv6Network("64:ff9b:1::/48"), IPv6Network("fec0::/10"))


class HostRefused(Exception):
    """An address that is not to be called, and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PrivateAddress(OSError):
    """A host that resolves into a private network, and was not named exactly."""


class _Entry(Struct, frozen=True):
    """`host`, `*.domain` or `*`; with `http://` before it, without encryption too."""

    pattern: str
    port: int | None
    plain: bool

    def covers(self, host: str, port: int | None) -> bool:
        if self.port not in (None, port):
            return False
        if self.pattern.startswith("*."):
            return host.endswith(self.pattern[1:]) and len(host) > len(self.pattern) - 1
        return self.pattern in ("*", host)


class Hosts:
    """The hosts of the setting `mcp_hosts`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._entries = [_entry(text) for text in allowed]

    def check(self, address: str) -> URL:
        """The address of a server that may be called; `HostRefused` for every other."""
        url = _read(address)
        host = _host(url)
        covering = [entry for entry in self._entries if entry.covers(host, url.port)]
        if not covering:
            raise HostRefused(
                f"The host '{host}' is not among those that this server may call."
                " Its operator can allow it with the setting 'mcp_hosts'."
            )
        if _is_private_name(host) and not self.names(host):
            raise HostRefused(
                f"The host '{host}' is in a private network."
                " The setting 'mcp_hosts' must name it exactly."
            )
        plain = any(entry.plain for entry in covering)
        if url.scheme == "http" and not (plain or _is_loopback(host)):
            raise HostRefused(
                f"The host '{host}' may only be called with https; the setting 'mcp_hosts' can"
                f" allow '{_PLAIN}{host}'."
            )
        return url

    def names(self, host: str) -> bool:
        """Whether the operator has named just this host, and so means wherever it is."""
        return any(entry.pattern == host.rstrip(".") for entry in self._entries)


class GuardedResolver(AbstractResolver):
    """Resolves names, but not into private networks that nobody has named."""

    def __init__(self, hosts: Hosts, inner: AbstractResolver | None = None) -> None:
        self._hosts = hosts
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if self._hosts.names(host):
            return found
        public = [one for one in found if is_public(ip_address(one["host"]))]
        if not public:
            raise PrivateAddress(f"{host} resolves into a private network")
        return public

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: IP) -> bool:
    """Whether an address is anybody's, whatever way it is written."""
    if isinstance(address, IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            embedded = IPv4Address(int(address) & 0xFFFF_FFFF)
        if embedded is not None:
            return is_public(embedded)
        if any(address in network for network in _OF_A_HOUSE):
            return False
    return address.is_global and not address.is_multicast


def _entry(text: str) -> _Entry:
    parts = _ENTRY.match(text.strip().lower())
    if parts is None:
        raise SettingsError(
            "The setting 'mcp_hosts' holds hosts as in 'host.example', '*.example', '*',"
            f" 'host.example:8443' or 'http://host.example', not '{text}'."
        )
    scheme, address, bare_address, name, port = parts.groups()
    return _Entry(
        pattern=(address or bare_address or name).rstrip("."),
        port=None if port is None else int(port),
        plain=scheme == _PLAIN,
    )


def _read(address: str) -> URL:
    try:
        url = URL(address)
    except ValueError as error:
        raise HostRefused(_NO_ADDRESS) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise HostRefused(_NO_ADDRESS)
    if url.user is not None or url.password is not None:
        raise HostRefused(
            "The address of an MCP server must not hold a password. Use 'headers' for it: their"
            " values are never shown."
        )
    return url.with_fragment(None)


def _host(url: URL) -> str:
    assert url.host is not None
    return url.host.lower().rstrip(".")


def _is_private_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and not is_public(address)


def _is_loopback(host: str) -> bool:
    address = _literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _literal(host: str) -> IP | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
