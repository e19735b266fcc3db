"""The door: every request comes in here, and leaves with an answer or an error in the envelope."""

import re
from collections.abc import Collection
from typing import Final

from locum import logs
from locum.api import operation
from locum.api.auth import Caller, Doorkeeper
from locum.api.errors import broken_reply, error_reply
from locum.api.http import (
    AnyReply,
    Disconnected,
    Headers,
    Incoming,
    Message,
    PiecewiseReply,
    Receive,
    Reply,
    Send,
    encoded,
)
from locum.api.operation import Route
from locum.api.rates import Rates
from locum.api.routes import ROUTES
from locum.api.tree import Tree
from locum.api.versions import Version, answer_v1, read_version
from locum.errors import LocumError, MethodNotAllowed, NotFound, RateLimited, Unauthenticated
from locum.ids import RequestIds
from locum.service.adoption import adopt
from locum.service.scope import House, Scope

# The same API under the paths of the original and of Azure, whose deployments mean nothing here.
_MOUNTS: Final = re.compile(
    r"/+(?:v1|openai/+v1|(?P<azure>openai(?:/+deployments/+[^/]+)?))(?=/|$)"
)
_VERSION: Final = (b"openai-version", b"2020-10-01")


class Door:
    """The API as an ASGI application."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._keeper = Doorkeeper(house.store, house.settings, house.clock)
        self._rates = Rates(house.settings.requests_per_minute, house.clock)
        self._request_ids = RequestIds()
        self._tree: Tree[Route] = Tree()
        for route in ROUTES:
            self._tree.add(route.method, route.path, route)
        self._always = encoded(
            {
                "openai-organization": house.settings.organization,
                "x-content-type-options": "nosniff",
            }
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("The API speaks HTTP alone.")  # No client of it asks for more.
        started = self._house.clock.monotonic()
        request = self._request_ids.new()
        incoming = Incoming(scope, receive)
        caller = None
        allowance: Headers = []
        adopted: Headers = []
        reply: AnyReply
        try:
            caller = await self._keeper.admit(incoming)
            allowance = self._rates.take(caller.project_id)
            reply = await self._answer(incoming, caller, adopted)
        except LocumError as error:
            reply = self._refusal(error)
        except Disconnected:
            logs.info("request.abandoned", request_id=request, method=incoming.method)
            return
        except Exception as failure:  # noqa: BLE001  # the edge: nothing leaves but the envelope
            logs.error("request.broke", failure=failure, request_id=request)
            reply = broken_reply(request)
        elapsed_s = self._house.clock.monotonic() - started
        elapsed_ms = elapsed_s * 1000
        self._house.metrics.http.answered(incoming.operation, reply.status, elapsed_s)
        project_id = self._house.settings.project if caller is None else caller.project_id
        if reply.status != Unauthenticated.status:
            reply.headers.append(_VERSION)
        reply.headers += self._always
        reply.headers += (
            (b"x-request-id", request.encode()),
            (b"openai-processing-ms", b"%d" % elapsed_ms),
            (b"openai-project", project_id.encode("latin-1", "replace")),
            *allowance,
            # Of an error, too: the thread is there all the same.
            *adopted,
        )
        logs.info(
            "request",
            request_id=request,
            method=incoming.method,
            path=incoming.raw_path,
            status=reply.status,
            ms=round(elapsed_ms, 2),
        )
        if isinstance(reply, PiecewiseReply):
            with self._house.metrics.http.streaming():
                await reply.send(send, incoming)
        else:
            await reply.send(send, incoming)

    def count(self, project_id: str) -> None:
        """Count a request of a project that is answered elsewhere with those that are here."""
        try:
            self._rates.take(project_id)
        except RateLimited as error:
            self._refusal(error)
            raise

    def _refusal(self, error: LocumError) -> Reply:
        if isinstance(error, RateLimited):
            self._house.metrics.http.refused.labels(error.limit).inc()
        return error_reply(error)

    async def _answer(self, incoming: Incoming, caller: Caller, adopted: Headers) -> AnyReply:
        mount = _MOUNTS.match(incoming.raw_path)
        path = incoming.raw_path[mount.end() :] if mount else ""
        route, raw, methods = self._tree.find(incoming.method, path) if mount else (None, {}, ())
        if route is None:
            raise _no_route(incoming, methods)
        incoming.found(route.path)
        incoming.operation = route.name
        azure = mount is not None and mount["azure"] is not None
        strict = self._house.settings.strict_beta
        version = read_version(incoming, route, azure=azure, strict=strict)
        if route.only_v1 and version is not Version.V1:
            raise _no_route(incoming)
        parameters = operation.path_parameters(raw)
        if self._may_adopt(route, parameters, caller):
            thread_id = parameters["thread_id"]
            if await adopt(Scope(self._house, caller.project_id), thread_id):
                adopted.append((b"x-locum-adopted", thread_id.encode()))
        if version is Version.V1:
            scope = Scope(
                self._house,
                caller.project_id,
                runs_on_nothing=True,
                counts_code_files=False,
                thread_store_days=None,
            )
            return await answer_v1(route, incoming, scope, parameters)
        scope = Scope(self._house, caller.project_id)
        if route.handler is not None:
            return await route.handler(incoming, scope, parameters)
        result = await operation.call(route, incoming, scope, parameters)
        return operation.write(route, result)

    def _may_adopt(self, route: Route, parameters: dict[str, str], caller: Caller) -> bool:
        """Where a thread is all that is named: what hangs on an unknown one is unknown, too."""
        return (
            self._house.settings.adopt_unknown_threads
            and parameters.keys() == {"thread_id"}
            and route.method != "DELETE"
            and not caller.read_only
        )


def _no_route(incoming: Incoming, methods: Collection[str] = ()) -> LocumError:
    if methods:
        return MethodNotAllowed(
            f"Not allowed to {incoming.method} on {incoming.raw_path}."
            " (HINT: Perhaps you meant to use a different HTTP method?)",
            allowed=methods,
            code="method_not_supported",
        )
    return NotFound(f"Invalid URL ({incoming.method} {incoming.raw_path})")
