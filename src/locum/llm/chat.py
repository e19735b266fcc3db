"""Any server that speaks OpenAI's Chat Completions: vLLM, llama.cpp, Ollama, OpenAI, Azure …

`endpoint.py` reaches it, `sse.py` cuts its stream, `answers.py` reads its dialect, `quirks.py`
learns what it refuses.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import ClassVar

import aiohttp
import msgspec
from msgspec import Struct

from locum.ids import Ids, RandomIds
from locum.llm import quirks
from locum.llm.answers import Answer, Chunk
from locum.llm.endpoint import Endpoint, Timeouts
from locum.llm.faults import Fault, read_fault
from locum.llm.protocol import Event, ModelError, Request
from locum.llm.sse import EventData, TooLong

_log = logging.getLogger(__name__)

_MOST_EVENT_BYTES = 8 << 20
_MOST_ANSWER_BYTES = 64 << 20
_MOST_MODELS_REMEMBERED = 1000
_LISTED_WITHIN_S = 10.0
_DONE = b"[DONE]"

_chunks = msgspec.json.Decoder(Chunk)


class _Model(Struct):
    id: str


class _Models(Struct):
    data: list[_Model]


class ChatCompletions:
    name: ClassVar[str] = "chat"

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
        # By model: what this server has refused to be told about it.
        self._without: dict[str, frozenset[str]] = {}

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        deadline = _now() + self._endpoint.timeouts.total_s
        attempt = 0
        while True:
            has_begun = False
            without = self._without.get(request.model, frozenset())
            sent = quirks.body(request, without=without)
            try:
                async with aclosing(self._attempt(request, sent, deadline)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
            except Fault as fault:
                if has_begun:
                    raise fault.error() from fault
                if parameter := quirks.refused(fault, without=without, sent=sent):
                    self._remember(request.model, without | {parameter})
                    continue
                if not await self._endpoint.waits_to_retry(fault, attempt=attempt):
                    raise fault.error() from fault
                attempt += 1
            else:
                return

    async def models(self) -> list[str]:
        listed = await self._endpoint.call("GET", "models", _Models, within_s=_LISTED_WITHIN_S)
        return [model.id for model in listed.data]

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
        answer = Answer(request, new_call_id=lambda: self._ids.new("call"))
        timeouts = self._endpoint.timeouts
        within_s = min(timeouts.first_token_s, max(deadline - _now(), 0))
        async with self._endpoint.opened(
            "POST", "chat/completions", document=sent, within_s=within_s
        ) as response:
            stream = _Stream(response, timeouts=timeouts, deadline=deadline)
            async with aclosing(stream.documents()) as documents:
                async for document in documents:
                    for event in answer.read(self._chunk(document)):
                        stream.has_begun = True
                        yield event
            for event in answer.finish():
                yield event

    def _chunk(self, document: bytes) -> Chunk:
        try:
            chunk = _chunks.decode(document)
        except msgspec.MsgspecError as error:
            message = f"The model's server sent what is no part of an answer: {error}"
            raise Fault(message) from error
        if chunk.error or chunk.object == "error":
            raise read_fault(
                msgspec.json.decode(document),
                status=None,
                otherwise="The model's server reported an error.",
                secrets=self._endpoint.secrets,
            )
        return chunk

    def _remember(self, model: str, without: frozenset[str]) -> None:
        if len(self._without) >= _MOST_MODELS_REMEMBERED:
            self._without.clear()
        self._without[model] = without
        _log.warning(
            "model.parameters_refused address=%s without=%s",
            self._endpoint.address,
            ",".join(sorted(without)),
        )


class _Stream:
    """The body of one answer, cut into the JSON documents it is made of."""

    def __init__(
        self, response: aiohttp.ClientResponse, *, timeouts: Timeouts, deadline: float
    ) -> None:
        self._content = response.content
        self._timeouts = timeouts
        self._deadline = deadline
        self.has_begun = False

    async def documents(self) -> AsyncGenerator[bytes, None]:
        data = EventData(most_bytes=_MOST_EVENT_BYTES)
        whole: bytearray | None = None
        size = 0
        while received := await self._receive():
            size += len(received)
            if size > _MOST_ANSWER_BYTES:
                raise Fault("The model's server sent more than an answer may hold.")
            if size == len(received) and received.lstrip()[:1] in (b"{", b"["):
                # A stream was asked for, and a document came, whatever its media type says.
                whole = bytearray()
            if whole is not None:
                whole += received
                continue
            try:
                for document in data.feed(received):
                    for one in _apart(document):
                        if one == _DONE:
                            return
                        yield one
            except TooLong:
                raise Fault("The model's server sent an event that does not end.") from None
        for document in [bytes(whole)] if whole is not None else data.rest():
            for one in _apart(document):
                if one != _DONE:
                    yield one

    async def _receive(self) -> bytes:
        left = self._deadline - _now()
        patience = self._timeouts.idle_s if self.has_begun else self._timeouts.first_token_s
        try:
            async with asyncio.timeout(max(min(left, patience), 0)):
                return await self._content.readany()
        except TimeoutError:
            if left <= patience:
                message = f"The model took more than {self._timeouts.total_s:g} s for one answer."
            elif self.has_begun:
                message = f"The model said nothing for {patience:g} s in mid-answer."
            else:
                message = f"The model said nothing within {patience:g} s."
            raise Fault(message) from None
        except aiohttp.ClientError:
            message = "The model's server closed the connection in mid-answer."
            raise Fault(message, is_transient=True) from None


def _apart(document: bytes) -> Iterator[bytes]:
    """Take apart what a server without blank lines has run together."""
    if b"\n" in document:
        try:
            msgspec.json.decode(document)
        except msgspec.DecodeError:
            yield from (line for line in document.split(b"\n") if line.strip())
            return
    if document.strip():
        yield document


def _now() -> float:
    return asyncio.get_running_loop().time()
