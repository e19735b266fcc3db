"""What servers of models have in common, whichever dialect they speak: asking, streams, retries.

`endpoint.py` reaches a server, `sse.py` cuts its stream; a dialect writes the request and reads
the answer. `quirks.py` learns what a server refuses.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from typing import ClassVar, Protocol

import aiohttp
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from locum import logs
from locum.ids import Ids, RandomIds
from locum.llm.endpoint import Endpoint, Timeouts
from locum.llm.faults import LIMIT_TOO_HIGH, Fault
from locum.llm.protocol import Event, ModelError, Request
from locum.llm.sse import EventData, TooLong
from locum.patience import Patience
from locum.unreadable import UNREADABLE

_MOST_EVENT_BYTES = 8 << 20
_MOST_ANSWER_BYTES = 64 << 20
_MOST_MODELS_REMEMBERED = 1000
# Clients wait for it, so all attempts together have so long.
_LISTED_WITHIN_S = 5.0
# What is read before others have their turn.
_MOST_AT_ONCE = 64 << 10
_DONE = b"[DONE]"
_A_PAGE = "The model's server answered with a page for browsers; check its base URL."


class _Model(Struct):
    id: str


class _Models(Struct):
    # Ollama without models has none.
    data: list[_Model] | None


# Together has no more than the list.
_Listed: type[_Models | list[_Model]] = _Models | list[_Model]  # type: ignore[assignment]


class Reader(Protocol):
    """Makes events of one answer."""

    @property
    def is_over(self) -> bool:
        """Whether the model has said why it stopped."""
        ...

    def read(self, document: bytes) -> Iterator[Event]:
        """The events of the next document of the stream. What is none is raised as `Fault`."""
        ...

    def finish(self, *, is_whole: bool) -> Iterator[Event]:
        """The last events, when no document follows; `is_whole` when the server said so."""
        ...


class ModelServer(ABC):
    """A server of models, whose dialect the class that inherits this knows."""

    name: ClassVar[str]
    path: ClassVar[str]

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 — frozen, so it can be shared
        retries: int = 2,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        ids: Ids | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            base_url, key=key, headers=headers, timeouts=timeouts, retries=retries, sleep=sleep
        )
        self._ids = ids or RandomIds()
        # By model: what this server has refused to be told about it, or not to be told.
        self._without: dict[str, frozenset[str]] = {}

    @abstractmethod
    def _body(self, request: Request, without: frozenset[str]) -> bytes:
        """The request as it is sent, as a server wants it that has refused what `without` names."""

    @abstractmethod
    def _refused(self, fault: Fault, without: frozenset[str], sent: bytes) -> str | None:
        """What this fault is about, if it is a parameter that we can do without, or missed."""

    @abstractmethod
    def _reader(self, request: Request) -> Reader: ...

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        deadline = _now() + self._endpoint.timeouts.total_s
        attempt = 0
        while True:
            has_begun = False
            without = self._without.get(request.model, frozenset())
            sent = self._body(request, without)
            try:
                async with aclosing(self._attempt(request, sent, deadline)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
            except Fault as fault:
                if has_begun:
                    raise fault.error() from fault
                if request.max_tokens is not None and LIMIT_TOO_HIGH.search(fault.message):
                    # No answer of this model is as long: without a limit none will be longer.
                    request = replace(request, max_tokens=None)
                    continue
                if parameter := self._refused(fault, without, sent):
                    self._remember(request.model, without | {parameter})
                    continue
                if not await self._endpoint.waits_to_retry(fault, attempt=attempt):
                    raise fault.error() from fault
                attempt += 1
            else:
                return

    async def models(self) -> list[str]:
        try:
            async with asyncio.timeout(_LISTED_WITHIN_S):
                listed = await self._endpoint.call(
                    "GET", "models", _Listed, within_s=_LISTED_WITHIN_S
                )
        except TimeoutError as error:
            raise ModelError(
                f"{self._endpoint.address} did not list its models in time."
            ) from error
        models = listed if isinstance(listed, list) else listed.data or []
        return [model.id for model in models]

    async def check(self) -> str:
        try:
            names = await self.models()
        except ModelError as error:
            message = (
                f"The models of {self._endpoint.address} cannot be listed: {error.message} "
                "Check that it runs, its base URL and its key."
            )
            raise ModelError(message, code=error.code) from error
        return f"{self._endpoint.address} answers, with {len(names)} models."

    async def close(self) -> None:
        await self._endpoint.close()

    async def _attempt(
        self, request: Request, sent: bytes, deadline: float
    ) -> AsyncGenerator[Event, None]:
        answer = self._reader(request)
        timeouts = self._endpoint.timeouts
        within_s = min(timeouts.first_token_s, max(deadline - _now(), 0))
        async with self._endpoint.opened(
            "POST", self.path, document=sent, within_s=within_s
        ) as response:
            with closing(_Stream(response, timeouts=timeouts, deadline=deadline)) as stream:
                try:
                    async with aclosing(stream.documents()) as documents:
                        async for document in documents:
                            for event in answer.read(document):
                                stream.has_begun = True
                                yield event
                except _Cut:
                    if not answer.is_over:
                        raise  # Else nothing is lacking but a farewell.
            for event in answer.finish(is_whole=stream.is_whole):
                yield event

    def _remember(self, model: str, without: frozenset[str]) -> None:
        if len(self._without) >= _MOST_MODELS_REMEMBERED:
            self._without.clear()
        self._without[model] = without
        logs.warning(
            "model.parameters_refused",
            address=self._endpoint.address,
            without=",".join(sorted(without)),
        )


class _TooSlow(Exception):
    """The server has sent nothing for too long."""


class _Cut(Fault):
    """Nothing more comes, and nobody has said that this is all."""


class _Stream:
    """The body of one answer, cut into the JSON documents it is made of."""

    def __init__(
        self, response: aiohttp.ClientResponse, *, timeouts: Timeouts, deadline: float
    ) -> None:
        self._content = response.content
        self._timeouts = timeouts
        self._deadline = deadline
        self._patience = Patience(lambda: response.content.set_exception(_TooSlow()))
        self.has_begun = False
        # Whether the end was told: a connection that closes may as well have been cut.
        self.is_whole = False

    async def documents(self) -> AsyncGenerator[bytes, None]:
        data = EventData(most_bytes=_MOST_EVENT_BYTES)
        whole: bytearray | None = None
        size = 0
        is_blank = True
        while received := await self._receive():
            if len(received) == _MOST_AT_ONCE:
                # There may be much more, as where it was packed: others come in between.
                await asyncio.sleep(0)
            size += len(received)
            if size > _MOST_ANSWER_BYTES:
                raise Fault("The model's server sent more than an answer may hold.")
            if is_blank and (begun := received.lstrip()[:1]):
                is_blank = False
                if begun == b"<":
                    raise Fault(_A_PAGE)
                if begun in (b"{", b"["):
                    # A stream was asked for, and a document came, whatever its media type says.
                    whole = bytearray()
            if whole is not None:
                whole += received
                continue
            try:
                for document in data.feed(received):
                    for one in _apart(document):
                        if one == _DONE:
                            self.is_whole = True
                            return
                        yield one
            except TooLong:
                raise Fault("The model's server sent an event that does not end.") from None
        self.is_whole = whole is not None
        for document in [bytes(whole)] if whole is not None else data.rest():
            for one in _apart(document):
                if one == _DONE:
                    self.is_whole = True
                else:
                    yield one

    async def _receive(self) -> bytes:
        left = self._deadline - _now()
        silence_s = self._timeouts.idle_s if self.has_begun else self._timeouts.first_token_s
        self._patience.begin(min(left, silence_s))
        try:
            return await self._content.read(_MOST_AT_ONCE)
        except _TooSlow:
            if left <= silence_s:
                message = f"The model took more than {self._timeouts.total_s:g} s for one answer."
            elif self.has_begun:
                message = f"The model said nothing for {silence_s:g} s in mid-answer."
            else:
                message = f"The model said nothing within {silence_s:g} s."
            raise _Cut(message) from None
        except aiohttp.ClientError:
            message = "The model's server closed the connection in mid-answer."
            raise _Cut(message, is_transient=True) from None
        finally:
            self._patience.end()

    def close(self) -> None:
        self._patience.close()


def _apart(document: bytes) -> Iterator[bytes]:
    """Take apart what a server without blank lines has run together."""
    if b"\n" in document:
        try:
            msgspec.json.decode(document)
        except UNREADABLE:
            yield from (line for line in document.split(b"\n") if line.strip())
            return
    if document.strip():
        yield document


def _now() -> float:
    return asyncio.get_running_loop().time()
