"""Tells apart what the page and operators are answered from the API, which is everything else."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from locum.errors import LocumError, MethodNotAllowed, RateLimited
from locum.web.gateway import BrokenOff, Gateway
from locum.web.page import Page
from locum.web.sessions import Admission

_PAGE: Final = "/page/"
_GATEWAY: Final = "/gateway/"
_CONFIG: Final = "/page/config.json"
_SESSION: Final = "/page/session"


class Front:
    """The page and the gateway beside the API. Whatever is not theirs is the door's."""

    def __init__(
        self,
        door: ASGIApp,
        *,
        operators: ASGIApp,
        is_for_operators: Callable[[str], bool],
        page: Page,
        gateway: Gateway,
        admission: Admission,
        count: Callable[[str], None],
        config: Mapping[str, Any],
    ) -> None:
        self.door = door
        self._operators = operators
        self._is_for_operators = is_for_operators
        self._page = page
        self._gateway = gateway
        self._admission = admission
        self._count = count
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._who_answers(scope["path"])
        if answer is None:
            answers = self._operators if self._is_for_operators(scope["path"]) else self.door
            await answers(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await answer(request)
        except LocumError as error:
            response = _refusal(error)
        except ClientDisconnect:
            return
        # The connection is closed with the answer not whole, and the log has been told why.
        with suppress(BrokenOff):
            await response(scope, receive, send)

    def _who_answers(self, path: str) -> Callable[[Request], Awaitable[Response]] | None:
        if path.startswith(_GATEWAY):
            return self._through_gateway
        if path == _CONFIG:
            return self._tell_config
        if path == _SESSION:
            return self._keep_session
        if path == "/" or path.startswith(_PAGE):
            return self._page.answer
        return None

    async def _through_gateway(self, request: Request) -> Response:
        self._count(await self._admission.admit(request))
        return await self._gateway.answer(request)

    async def _tell_config(self, request: Request) -> Response:
        """What the page has to know of this server; no secret is part of it."""
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(f"Not allowed to {request.method} on {_CONFIG}.")
        await self._admission.admit(request)
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return JSONResponse(dict(self._config), headers=headers)

    async def _keep_session(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._admission.sign_in(request)
        if request.method == "DELETE":
            return await self._admission.sign_out(request)
        raise MethodNotAllowed(f"Not allowed to {request.method} on {_SESSION}.")


def _refusal(error: LocumError) -> Response:
    """The envelope of the API, so that one reader understands both."""
    body = {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if isinstance(error, RateLimited):
        headers |= error.headers
    return JSONResponse(body, status_code=error.status, headers=headers)
