"""What servers offer, remembered for a short while, so that a turn need not ask again."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeAlias

from locum.clock import Clock
from locum.tools.mcp.answers import McpFailed
from locum.tools.mcp.connections import RemoteTool

Tools: TypeAlias = tuple[RemoteTool, ...]

_FRESH_S = 60.0
# How long a server that has failed is left in peace.
_REST_S = 15.0
# A server that is down for a moment does not change what a conversation is about: its tools are
# offered on, and a call shows that it is down.
_STALE_S = 3_600.0
_MOST = 512


class _Listing:
    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.tools: Tools = ()
        self.ask_again_at = float("-inf")
        self.stale_at = float("-inf")


class Listings:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listings: OrderedDict[Hashable, _Listing] = OrderedDict()

    async def tools(
        self,
        key: Hashable,
        ask: Callable[[], Awaitable[Tools]],
        on_failure: Callable[[McpFailed], None],
    ) -> Tools:
        """The tools of a server; none when it is down and has not been heard of lately."""
        listing = self._listing(key)
        async with listing.asking:
            if self._clock.monotonic() < listing.ask_again_at:
                return listing.tools
            try:
                listing.tools = await ask()
            except McpFailed as failure:
                on_failure(failure)
                now = self._clock.monotonic()
                listing.ask_again_at = now + _REST_S
                if now >= listing.stale_at:
                    listing.tools = ()
            else:
                now = self._clock.monotonic()
                listing.ask_again_at = now + _FRESH_S
                listing.stale_at = now + _STALE_S
            return listing.tools

    def _listing(self, key: Hashable) -> _Listing:
        listing = self._listings.setdefault(key, _Listing())
        self._listings.move_to_end(key)
        if len(self._listings) > _MOST:
            self._listings.popitem(last=False)
        return listing
