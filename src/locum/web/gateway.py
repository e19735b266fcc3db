"""The gateway: requests to upstreams that the settings name, with credentials put in on this side.

It is no open proxy: where a request may go is settled before any request, and an answer that
points elsewhere is not followed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

import aiohttp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from yarl import URL

from locum import logs
from locum.errors import LocumError, NotFound, TooLarge
from locum.settings import UpstreamSettings
from locum.web.redaction import Redactor
from locum.web.upstreams import Upstream, passed_back

_PREFIX: Final = "/gateway/"
_PIECE_BYTES: Final = 64 * 1024
_CONNECTIONS: Final = 100
# Whatever an upstream says is data: not markup of our origin, whoever opens it.
_HARMLESS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


class BadGateway(LocumError):
    """The upstream gave no answer that can be passed on."""

    status = 502
    type = "server_error"


class GatewayTimeout(BadGateway):
    status = 504


class BrokenOff(Exception):
    """An answer whose head has been passed on ends too early: that it ends is all one can tell."""


class Gateway:
    def __init__(self, upstreams: Mapping[str, UpstreamSettings]) -> None:
        self._upstreams = {name: Upstream(name, told) for name, told in upstreams.items()}
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        """Pass on one request of a caller who has been let in."""
        upstream, path = self._target(request)
        query = [*request.query_params.multi_items()]
        url = upstream.address(request.method, path, query)
        caller = _Caller(request, limit=upstream.settings.max_bytes)
        try:
            response = await self._ask(upstream, url, caller)
        except TimeoutError as error:
            if caller.has_left:
                logs.info("gateway.abandoned", upstream=upstream.name, method=request.method)
                raise ClientDisconnect from error
            raise GatewayTimeout(
                f"The upstream '{upstream.name}' gave no answer in time."
            ) from error
        except aiohttp.ClientError as error:
            raise _unreachable(upstream, error) from error
        return _passed_on(upstream, response)

    async def _ask(self, upstream: Upstream, url: URL, caller: "_Caller") -> aiohttp.ClientResponse:
        request = caller.request
        async with asyncio.timeout(upstream.settings.answer_timeout_s) as patience:
            watching = asyncio.ensure_future(caller.end_when_left(patience))
            try:
                return await self._client().request(
                    request.method,
                    url,
                    headers=upstream.headers(request.headers),
                    data=caller.body,
                    timeout=_timeout(upstream.settings),
                    allow_redirects=False,
                )
            finally:
                watching.cancel()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _target(self, request: Request) -> tuple[Upstream, str]:
        # Split before decoding: an encoded slash must not become one.
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        rest = raw.split(b"?", 1)[0].decode("latin-1").removeprefix(_PREFIX)
        name, _, path = rest.partition("/")
        upstream = self._upstreams.get(name)
        if upstream is None:
            raise NotFound("There is no such upstream. The settings name those there are.")
        return upstream, path

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class _Caller:
    """Who asks: what it sends, up to a limit, and whether it is there to be answered."""

    def __init__(self, request: Request, *, limit: int) -> None:
        self.request = request
        self.has_left = False
        self._limit = limit
        self._all_is_sent = asyncio.Event()
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        has_body = declared not in {"", "0"} or "transfer-encoding" in request.headers
        self.body = self._pieces() if has_body else None
        if not has_body:
            self._all_is_sent.set()

    async def _pieces(self) -> AsyncIterator[bytes]:
        taken = 0
        async for piece in self.request.stream():
            taken += len(piece)
            if taken > self._limit:
                raise _too_large(self._limit)
            if piece:
                yield piece
        self._all_is_sent.set()

    async def end_when_left(self, patience: asyncio.Timeout) -> None:
        """Have nothing waited for when nobody is there any more: models cost what they work.

        Who leaves before all is sent is missed by what reads it.
        """
        await self._all_is_sent.wait()
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        patience.reschedule(0)


def _passed_on(upstream: Upstream, response: aiohttp.ClientResponse) -> Response:
    if 300 <= response.status < 400:  # noqa: PLR2004  # the class of redirects
        response.close()
        raise BadGateway(f"The upstream '{upstream.name}' points elsewhere; that is not followed.")
    if not 200 <= response.status < 600:  # noqa: PLR2004  # all there are but the provisional
        response.close()
        raise BadGateway(f"The upstream '{upstream.name}' answers with status {response.status}.")
    if response.headers.get("content-encoding", "identity") != "identity":
        response.close()
        raise BadGateway(f"The upstream '{upstream.name}' compresses though it was asked not to.")
    logs.info("gateway", upstream=upstream.name, method=response.method, status=response.status)
    return StreamingResponse(
        _pieces(upstream, response),
        status_code=response.status,
        headers=passed_back(response.headers, upstream.secrets) | _HARMLESS,
    )


async def _pieces(
    upstream: Upstream, response: aiohttp.ClientResponse
) -> AsyncGenerator[bytes, None]:
    """The body as it comes, without secrets, and cut off where it is too long."""
    redactor = Redactor(upstream.secrets)
    taken = 0
    try:
        while piece := await _piece(upstream, response):
            taken += len(piece)
            if taken > upstream.settings.max_bytes:
                logs.warning("gateway.too_large", upstream=upstream.name)
                raise BrokenOff
            if clean := redactor.feed(piece):
                yield clean
        if rest := redactor.end():
            yield rest
    except (aiohttp.ClientError, TimeoutError) as error:
        logs.warning("gateway.broken_off", upstream=upstream.name, reason=type(error).__name__)
        raise BrokenOff from error
    finally:
        # Not `release`: an upstream whose connection closes stops working at once.
        response.close()


async def _piece(upstream: Upstream, response: aiohttp.ClientResponse) -> bytes:
    """What comes next, or nothing at the end.

    A time-out of our own: of a body that is no HTTP any more the client tells nothing, ever.
    """
    async with asyncio.timeout(upstream.settings.idle_timeout_s):
        return await response.content.read(_PIECE_BYTES)


def _timeout(settings: UpstreamSettings) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        sock_connect=settings.connect_timeout_s,
        sock_read=settings.idle_timeout_s,
    )


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is too large: the body may have at most {limit} bytes.")


def _unreachable(upstream: Upstream, error: aiohttp.ClientError) -> LocumError:
    """The reason stays in the log: it may hold an address that the browser is not to know."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, TooLarge):
        return cause
    if isinstance(cause, ClientDisconnect):
        raise cause
    logs.warning("gateway.unreachable", upstream=upstream.name, reason=type(error).__name__)
    return BadGateway(f"The upstream '{upstream.name}' cannot be reached.")
