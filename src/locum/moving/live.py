"""A server that still answers, as the original, Azure or another Locum: asked politely.

Waits and tries again when it is told to, or when the server is unwell; follows no redirects, so
that a key goes nowhere but where it was meant to; names no key in what it says.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp
import msgspec
from yarl import URL

_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 60.0
_ATTEMPTS: Final = 6
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 60.0
_PAGE: Final = "100"
_DOCUMENT_BYTES: Final = 256 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
_AZURE_VERSION: Final = "2024-05-01-preview"
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class LiveError(Exception):
    """The server refuses, or does not answer; the message says which and where."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class BrokenOff(LiveError):
    """The answer has begun, and does not come to its end."""


class Live:
    """`async with Live(…)`: lists, objects and bytes of one server."""

    def __init__(self, url: str, *, key: str | None, api_version: str | None = None) -> None:
        base = URL(url.rstrip("/"))
        if base.scheme not in {"http", "https"} or not base.host:
            raise LiveError(f"A server's address looks like https://host/v1, not '{url}'.")
        is_azure = base.host.endswith(".azure.com") or api_version is not None
        self._base = base
        self._query = {"api-version": api_version or _AZURE_VERSION} if is_azure else {}
        self._headers = {"OpenAI-Beta": "assistants=v2"}
        if key is not None:
            self._headers |= {"api-key": key} if is_azure else {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_ANSWER_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                text = await self._whole(path, query or {})
                break
            except BrokenOff:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise LiveError(f"{path}: the answer is not JSON. Is the address right?") from error
        if not isinstance(value, dict):
            raise LiveError(f"{path}: the answer is no object. Is the address right?")
        return value

    async def listed(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list, oldest first."""
        seen: set[str] = set()
        asked = {"limit": _PAGE, "order": "asc"} | dict(query or {})
        while True:
            page = await self.get(path, asked)
            data = page.get("data")
            found = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
            for one in found:
                yield one
            last = str(found[-1].get("id")) if found else ""
            # A server whose pages go round would keep us for ever.
            if page.get("has_more") is not True or last in seen or not last:
                return
            seen.add(last)
            asked["after"] = last

    async def pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self._answer(path, {}) as answer:
            while piece := await _piece(answer):
                yield piece

    async def _whole(self, path: str, query: Mapping[str, str]) -> bytes:
        text = bytearray()
        async with self._answer(path, query) as answer:
            while piece := await _piece(answer):
                text += piece
                if len(text) > _DOCUMENT_BYTES:
                    raise LiveError(f"{path}: the answer is too large.")
        return bytes(text)

    @asynccontextmanager
    async def _answer(
        self, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        url = self._base.with_path(f"{self._base.path.rstrip('/')}{path}", encoded=False)
        asked = url.with_query({**self._query, **query})
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = await self._session.get(asked, allow_redirects=False)
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == _ATTEMPTS:
                    raise LiveError(f"{self._base.host} does not answer: {error}.") from error
                await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
                continue
            if answer.status in _AGAIN and attempt < _ATTEMPTS:
                wait_s = _wait_s(answer.headers.get("retry-after"), attempt)
                answer.release()
                await asyncio.sleep(wait_s)
                continue
            try:
                if answer.status != HTTPStatus.OK:
                    raise await _refused(path, answer)
                yield answer
            except (aiohttp.ClientError, TimeoutError) as error:
                raise BrokenOff(f"{path}: the answer broke off.") from error
            finally:
                answer.release()
            return


async def _piece(answer: aiohttp.ClientResponse) -> bytes:
    """What comes next, or nothing at the end.

    A time-out of our own: of a body that is no HTTP any more the client tells nothing, ever.
    """
    async with asyncio.timeout(_ANSWER_S):
        return await answer.content.read(_PIECE_BYTES)


async def _refused(path: str, answer: aiohttp.ClientResponse) -> LiveError:
    text = await answer.content.read(_PIECE_BYTES)
    try:
        error = msgspec.json.decode(text)["error"]
        said = str(error["message"] if isinstance(error, dict) else error)
    except (msgspec.DecodeError, KeyError, TypeError):
        said = answer.reason or "no reason given"
    return LiveError(f"{path}: {answer.status}, {said[:300]}", status=answer.status)


def _wait_s(told: str | None, attempt: int) -> float:
    if told is not None and told.isdecimal() and len(told) < 6:  # noqa: PLR2004  # a day of seconds
        return min(float(told), _LONGEST_WAIT_S)
    return min(_FIRST_WAIT_S * float(2**attempt), _LONGEST_WAIT_S)
