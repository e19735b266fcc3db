"""What operators and their machines ask of a process: whether it lives, what it does, who may come.

On the API's own address this is open to whoever has the admin key, but for whether the process
lives and is ready. On an address of its own, which no proxy leads to, only `/admin` asks for it.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from locum import logs
from locum.api import admin
from locum.api.auth import presented
from locum.api.errors import broken_reply, error_reply
from locum.api.http import Disconnected, Incoming, Message, Receive, Reply, Send
from locum.errors import Forbidden, LocumError, MethodNotAllowed, NotFound
from locum.ids import RequestIds
from locum.service.counts import count_alive
from locum.service.scope import House

HEALTH: Final = "/health"
READY: Final = "/ready"
METRICS: Final = "/metrics"
ADMIN: Final = "/admin/"

_READ_ONLY: Final = {"GET", "HEAD"}


def is_for_operators(path: str) -> bool:
    return path in {HEALTH, READY, METRICS} or path.startswith(ADMIN)


class Operators:
    """An ASGI application. `apart`: it has an address of its own."""

    def __init__(self, house: House, *, apart: bool) -> None:
        self._house = house
        self._apart = apart

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("Operators are spoken to in HTTP alone.")
        incoming = Incoming(scope, receive)
        try:
            reply = await self._answer(incoming)
        except LocumError as error:
            reply = error_reply(error)
        except Disconnected:
            return
        except Exception as failure:  # noqa: BLE001  # the edge: nothing leaves but the envelope
            request = RequestIds().new()
            logs.error("operators.broke", failure=failure, request_id=request)
            reply = broken_reply(request)
        reply.headers += ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
        await reply.send(send, incoming)

    async def _answer(self, incoming: Incoming) -> Reply:
        path = incoming.raw_path
        if path.startswith(ADMIN):
            self._require_admin(incoming)
            return await admin.answer(self._house, incoming, path.removeprefix(ADMIN))
        looks: dict[str, Callable[[Incoming], Awaitable[Reply]]] = {
            HEALTH: self._health,
            READY: self._ready,
            METRICS: self._metrics,
        }
        if path not in looks:
            raise NotFound(f"Invalid URL ({incoming.method} {path})")
        if incoming.method not in _READ_ONLY:
            raise MethodNotAllowed(
                f"Not allowed to {incoming.method} on {path}.", allowed=_READ_ONLY
            )
        return await looks[path](incoming)

    async def _health(self, _: Incoming) -> Reply:
        """The event loop turns, or nobody would answer."""
        return _json({"status": "ok"})

    async def _ready(self, incoming: Incoming) -> Reply:
        reasons = await self._house.health.reasons()
        told: dict[str, Any] = {"ready": not reasons}
        if self._apart or self._is_admin(incoming):
            told["reasons"] = reasons
        return _json(told, status=503 if reasons else 200)

    async def _metrics(self, incoming: Incoming) -> Reply:
        if not self._apart:
            self._require_admin(incoming)
        await count_alive(self._house)
        page, media = self._house.metrics.page(incoming.headers.get("accept"))
        return Reply(page, media=media.encode())

    # ---------------------------------------------------------------------- private

    def _require_admin(self, incoming: Incoming) -> None:
        if self._house.settings.admin_key is None:
            raise NotFound(
                f"Invalid URL ({incoming.method} {incoming.raw_path}):"
                " this server has no admin key (LOCUM_ADMIN_KEY)."
            )
        if not self._is_admin(incoming):
            raise Forbidden("This needs the admin key of the server.")

    def _is_admin(self, incoming: Incoming) -> bool:
        expected = self._house.settings.admin_key
        if expected is None:
            return False
        given = presented(incoming) or ""
        return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _json(told: Any, *, status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(told), status=status)
