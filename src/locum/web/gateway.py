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


class Gateway:
    def __init__(self, upstreams: Mapping[str, UpstreamSettings]) -> None:
        self._upstreams = {name: Upstream(name, told) for name, told in upstreams.items()}
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        """Pass on one request of a caller who has been let in."""
        upstream, path = self._target(request)
        query = [*request.query_params.multi_items()]
        url = upstream.address(request.method, path, query)
        limit = upstream.settings.max_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        has_body = declared not in {"", "0"} or "transfer-encoding" in request.headers
        try:
            async with asyncio.timeout(upstream.settings.answer_timeout_s):
                response = await self._client().request(
                    request.method,
                    url,
                    headers=upstream.headers(request.headers),
                    data=_limited(request, limit) if has_body else None,
                    timeout=_timeout(upstream.settings),
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise GatewayTimeout(
                f"The upstream '{upstream.name}' gave no answer in time."
            ) from error
        except aiohttp.ClientError as error:
            raise _unreachable(upstream, error) from error
        return _passed_on(upstream, response)

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
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            taken += len(piece)
            if taken > upstream.settings.max_bytes:
                logs.warning("gateway.too_large", upstream=upstream.name)
                raise BadGateway("The answer is too large.")
            if clean := redactor.feed(piece):
                yield clean
        if rest := redactor.end():
            yield rest
    finally:
        # Not `release`: an upstream whose connection closes stops working at once.
        response.close()


async def _limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    taken = 0
    async for piece in request.stream():
        taken += len(piece)
        if taken > limit:
            raise _too_large(limit)
        if piece:
            yield piece


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
