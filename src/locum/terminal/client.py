"""The API over HTTP, as the terminal needs it: objects, and the events of a run without a gap."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec
from yarl import URL

_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 30.0
# Streams are never silent for longer than a few keep-alives.
_SILENCE_S: Final = 60.0
_MOST_LINE_BYTES: Final = 16 << 20
_PAGE: Final = 100


class Unanswered(Exception):
    """The server cannot be reached, or refuses; the message says which."""


class Broken(Exception):
    """The connection broke in the middle: ask again."""


class Told(NamedTuple):
    """One event of a stream."""

    id: str
    name: str
    data: Any


class Client:
    def __init__(self, url: str, *, key: str) -> None:
        base = URL(url)
        if base.scheme not in ("http", "https") or not base.host:
            raise Unanswered(f"A server's address looks like 'http://host:8000', not '{url}'.")
        self._base = base if base.path.rstrip("/").endswith("/v1") else base / "v1"
        self._headers = {"Authorization": f"Bearer {key}", "OpenAI-Beta": "assistants=v2"}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=timeout, read_bufsize=_MOST_LINE_BYTES
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Any:
        """One object, or one page. A server that is away is `Broken`, a refusal `Unanswered`."""
        try:
            async with asyncio.timeout(_ANSWER_S), self._asked(path, query) as response:
                body = await response.read()
                self._check(response, body)
                return msgspec.json.decode(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(error) from error
        except msgspec.DecodeError as error:
            raise Unanswered(f"{self._base} answers, but not as this API does.") from error

    async def every(self, path: str, **query: str) -> list[Any]:
        """All objects of a list, oldest first."""
        found: list[Any] = []
        asked = {"order": "asc", "limit": str(_PAGE), **query}
        while True:
            page = await self.get(path, **asked)
            found += page["data"]
            if not page["has_more"]:
                return found
            asked["after"] = page["last_id"]

    async def events(self, path: str, *, after: str) -> AsyncIterator[Told]:
        """The events after a place, until the stream says that it is done."""
        query = {"after": after} if after else {}
        try:
            async with self._asked(path, query) as response:
                if response.status != HTTPStatus.OK:
                    self._check(response, await response.read())
                told = {"id": "", "event": "", "data": ""}
                async for raw in response.content:
                    name, _, value = raw.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
                    if name in told:
                        told[name] = value
                    elif not name and told["event"]:
                        if told["event"] == "done":
                            return
                        yield Told(told["id"], told["event"], msgspec.json.decode(told["data"]))
                        told = dict.fromkeys(told, "")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._broken(error) from error
        raise Broken("The stream ended before its end.")

    def _asked(self, path: str, query: dict[str, str]) -> Any:
        return self._session.get(self._base.joinpath(*path.split("/")), params=query)

    def _check(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        if response.status == HTTPStatus.OK:
            return
        try:
            message = msgspec.json.decode(body)["error"]["message"]
        except (msgspec.DecodeError, KeyError, TypeError):
            message = f"{self._base} answered {response.status}."
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Broken(message)
        raise Unanswered(message)

    def _broken(self, error: Exception) -> Broken:
        return Broken(f"No answer from {self._base}: {error or type(error).__name__}.")
