"""A Chat Completions server for tests: it speaks for any backend, or says what it is told to.

async with FakeModel() as server:                      # the scripted model, over HTTP
ChatCompletions(server.url)
async with FakeModel(refuses(503, {}), speaks()) as server:  # one answer a request, in order
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import msgspec
from aiohttp import web
from msgspec import Struct

from locum.llm.protocol import (
    Backend,
    CallBegun,
    CallDelta,
    Choice,
    Event,
    Finished,
    Function,
    Message,
    ModelError,
    Named,
    Offer,
    RefusalDelta,
    Request,
    TextDelta,
)
from locum.llm.scripted import Scripted

Reply = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]

_STATUS = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "server_error": 500}
_REASON = {"calls": "tool_calls"}
_KINDS = {"code_interpreter": "code_interpreter", "python": "code_interpreter"}
_KINDS["file_search"] = "file_search"


class Received(Struct, frozen=True):
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: dict[str, Any]


class FakeModel:
    """Answers each request with the next reply, and with the last one ever after."""

    def __init__(self, *replies: Reply, models: tuple[str, ...] = ("fake",)) -> None:
        self._replies = list(replies) or [speaks()]
        self._models = models
        self._runner: web.AppRunner | None = None
        self.received: list[Received] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/{path:.*}", self._answer)
        # A handler is cancelled when its client goes, as a model stops when nobody listens.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [received.body for received in self.received]

    async def _list(self, _: web.Request) -> web.Response:
        data = [{"id": name, "object": "model"} for name in self._models]
        return web.json_response({"object": "list", "data": data})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.received.append(
            Received(request.path, dict(request.query), dict(request.headers), body)
        )
        reply = self._replies[0] if len(self._replies) == 1 else self._replies.pop(0)
        return await reply(request, body)


@contextmanager
def model_server(*replies: Reply) -> Iterator[FakeModel]:
    """A model's server in a thread of its own, because the test waits for ours."""
    fake = FakeModel(*replies)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="model", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(10)
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(fake.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def sends(*pieces: bytes | str, content_type: str = "text/event-stream") -> Reply:
    """Send bytes as they are, each piece in a packet of its own."""

    async def reply(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode() if isinstance(piece, str) else piece)
        await response.write_eof()
        return response

    return reply


def streams(*chunks: Mapping[str, Any]) -> Reply:
    """Send chunks as events, and `[DONE]`."""
    return sends(*(_event(chunk) for chunk in chunks), "data: [DONE]\n\n")


def refuses(status: int, document: Any, *, headers: Mapping[str, str] | None = None) -> Reply:
    async def reply(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
        if isinstance(document, str):
            return web.Response(status=status, text=document, headers=headers)
        return web.json_response(document, status=status, headers=headers)

    return reply


def breaks_off(*pieces: str) -> Reply:
    """Send pieces, then close the connection without ending the body."""

    async def reply(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode())
        assert request.transport
        request.transport.close()
        return response

    return reply


class Hanging:
    """A reply that sends pieces and then nothing more; `left` is set when the client goes."""

    def __init__(self, *pieces: str, sends_headers: bool = True) -> None:
        self._pieces = pieces
        self._sends_headers = sends_headers
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.asked.set()
        try:
            if self._sends_headers:
                await response.prepare(request)
                for piece in self._pieces:
                    await response.write(piece.encode())
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return response


def speaks(backend: Backend | None = None) -> Reply:
    """Let a backend answer, the scripted model if none is given."""
    speaker = backend or Scripted()

    async def reply(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response: web.StreamResponse | None = None
        try:
            async for chunk in _chunks(speaker, body):
                if response is None:
                    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                    await response.prepare(request)
                await response.write(_event(chunk).encode())
        except ModelError as error:
            document = {"error": {"message": error.message, "code": error.code}}
            if response is None:
                return web.json_response(document, status=_STATUS[error.code])
            await response.write(_event(document).encode())
        assert response
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    return reply


async def _chunks(backend: Backend, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async for event in backend.stream(read_request(body)):
        delta, reason = _delta(event)
        yield {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        if isinstance(event, Finished) and body.get("stream_options", {}).get("include_usage"):
            usage = event.usage
            yield {
                "choices": [],
                "usage": {
                    "prompt_tokens": usage.prompt_tokens,
                    "completion_tokens": usage.completion_tokens,
                    "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
                    "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                },
            }


def _delta(event: Event) -> tuple[dict[str, Any], str | None]:
    match event:
        case TextDelta(text):
            return {"content": text}, None
        case RefusalDelta(text):
            return {"refusal": text}, None
        case CallBegun(index, id_, name):
            called = {"name": name, "arguments": ""}
            return {"tool_calls": [{"index": index, "id": id_, "function": called}]}, None
        case CallDelta(index, arguments):
            return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}, None
        case Finished(reason):
            return {}, _REASON.get(reason, reason)
    raise AssertionError(f"Chat Completions has no word for {event}")


def read_request(body: dict[str, Any]) -> Request:
    """Read a Chat Completions body back into the request it was written from."""
    return Request(
        model=body["model"],
        messages=msgspec.convert(body["messages"], tuple[Message, ...]),
        offers=tuple(_offer(tool["function"]) for tool in body.get("tools", ())),
        choice=_choice(body.get("tool_choice", "auto")),
        parallel=body.get("parallel_tool_calls", True),
        response_format=body.get("response_format"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        reasoning_effort=body.get("reasoning_effort"),
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens"),
    )


def _offer(function: dict[str, Any]) -> Offer:
    kind: Any = _KINDS.get(function["name"], "function")
    return Offer(msgspec.convert({"description": None, **function}, Function), kind=kind)


def _choice(choice: Any) -> Choice:
    return Named(choice["function"]["name"]) if isinstance(choice, dict) else choice


def _event(document: Mapping[str, Any]) -> str:
    return f"data: {msgspec.json.encode(document).decode()}\n\n"
