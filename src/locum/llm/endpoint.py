"""One OpenAI-compatible server: where it is, how it knows us, how long and how often we try."""

import asyncio
import math
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from locum.llm.faults import Fault, read_fault
from locum.llm.protocol import ModelError
from locum.unreadable import UNREADABLE

_Document = TypeVar("_Document")

_LONGEST_WAIT_S = 20.0
_FIRST_WAIT_S = 0.5
_MOST_ERROR_BYTES = 64 << 10
_MOST_DOCUMENT_BYTES = 64 << 20


class Timeouts(Struct, frozen=True, kw_only=True):
    connect_s: float = 10.0
    # A large prompt on a small machine is read for minutes before its first token.
    first_token_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 900.0


class Endpoint:
    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 — frozen, so it can be shared
        retries: int = 2,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._base = URL(base_url)
        if self._base.scheme not in ("http", "https") or not self._base.host:
            message = (
                f"A model server's base URL looks like 'http://host:8000/v1', not '{base_url}'."
            )
            raise ModelError(message)
        self.timeouts = timeouts
        self._headers = {"Accept-Encoding": "identity", **self._authorization(key)}
        self._headers |= headers or {}
        self.secrets = [key] if key else []
        self.secrets += [value for name, value in (headers or {}).items() if _is_secret(name)]
        self._retries = retries
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> str:
        """Where it is, without what the URL may hold of passwords and parameters."""
        return str(self._base.with_user(None).with_query(None))

    @asynccontextmanager
    async def opened(
        self, method: str, path: str, *, document: bytes | None = None, within_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once, and hold the answer open. Anything but an answer is raised as `Fault`."""
        try:
            async with asyncio.timeout(within_s):
                response = await self._send(method, path, document)
                if response.status != HTTPStatus.OK:
                    raise await self._refusal(response)
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unreachable("it did not accept a connection in time") from error
        except TimeoutError as error:
            message = f"The model's server gave no answer within {within_s:g} s."
            raise Fault(message) from error
        except aiohttp.ClientError as error:
            fault = self._unreachable(_reason(error))
            if not isinstance(error, aiohttp.ClientConnectorError):
                # Most often a kept connection that the server had just given up; a new one will do.
                fault.retry_after_s = 0.0
            raise fault from error
        try:
            yield response
        finally:
            # Not `release`: a server whose connection closes stops the model at once.
            response.close()

    async def call(
        self,
        method: str,
        path: str,
        answer: type[_Document],
        *,
        within_s: float,
        document: bytes | None = None,
    ) -> _Document:
        """Ask for one JSON document, as often as it is worth it."""
        attempt = 0
        while True:
            try:
                return await self._call(method, path, answer, document, within_s)
            except Fault as fault:
                if not await self.waits_to_retry(fault, attempt=attempt):
                    raise fault.error() from fault
                attempt += 1

    async def waits_to_retry(self, fault: Fault, *, attempt: int) -> bool:
        """Say whether another attempt is worth it, having waited until its time has come."""
        if not fault.is_transient or attempt >= self._retries:
            return False
        # Runs that failed together must not come back together.
        spread = random.uniform(0.75, 1.25)  # noqa: S311 — nothing secret
        wait_s = _FIRST_WAIT_S * 2**attempt * spread
        if fault.retry_after_s is not None:
            wait_s = fault.retry_after_s
        if wait_s > _LONGEST_WAIT_S:
            return False
        await self._sleep(wait_s)
        return True

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[_Document],
        document: bytes | None,
        within_s: float,
    ) -> _Document:
        async with self.opened(method, path, document=document, within_s=within_s) as response:
            try:
                async with asyncio.timeout(within_s):
                    body = await read_most(response, _MOST_DOCUMENT_BYTES)
                return msgspec.json.decode(body, type=answer)
            except TimeoutError as error:
                raise Fault("The model's server stopped in the middle of its answer.") from error
            except aiohttp.ClientError as error:
                raise self._unreachable(_reason(error)) from error
            except UNREADABLE as error:
                message = f"What {self.address} answered is not what it should be: {error}"
                raise Fault(message) from error

    async def _send(self, method: str, path: str, document: bytes | None) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # As many connections as there are runs; the engine bounds those.
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=self.timeouts.connect_s,
                    sock_connect=self.timeouts.connect_s,
                ),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return await self._session.request(
            method,
            (self._base / path).with_query(self._base.query),
            data=document,
            headers={"Content-Type": "application/json"} if document is not None else None,
            # A key must not follow wherever a server points.
            allow_redirects=False,
        )

    async def _refusal(self, response: aiohttp.ClientResponse) -> Fault:
        otherwise = f"The model's server answered {response.status} {response.reason or ''}".strip()
        if "location" in response.headers:
            otherwise += "; its base URL has moved"
        document: Any = None
        try:
            body = await read_most(response, _MOST_ERROR_BYTES)
            document = _words(body) if response.content_type == "text/plain" else None
            document = msgspec.json.decode(body)
        except (Fault, *UNREADABLE):
            pass  # What is neither JSON nor plain text is for browsers.
        finally:
            response.close()
        fault = read_fault(
            document, status=response.status, otherwise=f"{otherwise}.", secrets=self.secrets
        )
        fault.retry_after_s = _retry_after(response.headers)
        return fault

    def _unreachable(self, reason: str) -> Fault:
        return Fault(f"No answer from the model's server: {reason}.", is_transient=True)

    def _authorization(self, key: str | None) -> dict[str, str]:
        if not key:
            return {}
        if "api-version" in self._base.query or (self._base.host or "").endswith(".azure.com"):
            return {"api-key": key}
        return {"Authorization": f"Bearer {key}"}


async def read_most(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Read a whole body, if it is not larger than it may be."""
    body = bytearray()
    async for received in response.content.iter_any():
        body += received
        if len(body) > most_bytes:
            raise Fault(f"The model's server sent more than {most_bytes} bytes.")
    return bytes(body)


def _words(body: bytes) -> str | None:
    """Plain text, unless it is a page by another name."""
    text = body.decode(errors="replace").strip()
    return None if text.startswith("<") else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how long to wait, in whichever of three spellings: milliseconds, seconds or a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if not math.isnan(wait_s):  # Whoever waits so long waits for ever.
            return max(wait_s, 0.0)
    try:
        # Measured by the server's own clock, which may not be ours.
        then, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return max((then - now).total_seconds(), 0.0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _reason(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate cannot be trusted"
        case aiohttp.ClientConnectorDNSError():
            return "its host name is not known"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return os.strerror(number) if number else "it does not accept connections"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it closed the connection"
    return "the connection broke"


def _is_secret(header: str) -> bool:
    return any(word in header.lower() for word in ("authorization", "key", "token", "secret"))
