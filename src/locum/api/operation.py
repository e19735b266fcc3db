"""From a row of the route table to an answer: input decoded, operation called, result written."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from locum import limits
from locum.api import sse, validation
from locum.api.http import AnyReply, Headers, Incoming, PiecewiseReply, Reply, segment
from locum.errors import InvalidParameter
from locum.ids import PREFIXES
from locum.service.files import Download
from locum.service.runs import FollowQuery, RunStream
from locum.service.scope import Scope
from locum.store.documents import Document, Page

# What clients may do with an operation: read-only keys are told apart by method alone.
Method = Literal["GET", "POST", "DELETE"]
Operation = Callable[..., Awaitable[Any]]
Handler = Callable[[Incoming, Scope, dict[str, str]], Awaitable[AnyReply]]

_POLLING = [(b"openai-poll-after-ms", b"%d" % limits.POLL_AFTER_MS)]
_UNFINISHED = tuple(
    f'"status":"{status}"' for status in ("queued", "in_progress", "cancelling", "requires_action")
)
# Far enough into a run to hold its status, not far enough to hold what a client wrote.
_HEAD = 400
_FILES = "/files"


class Route(Struct, frozen=True, kw_only=True):
    """One row of the table."""

    method: Method
    path: str
    run: Operation
    body: Any = None
    query: Any = None
    # Only uploads read their own body.
    handler: Handler | None = None
    # Under the header of the first version only.
    only_v1: bool = False
    # Its answers change by themselves, so clients poll them.
    polled: bool = False
    name: str = ""

    @property
    def needs_beta(self) -> bool:
        return self.path.startswith(("/assistants", "/threads"))


def operation(
    method: Method,
    path: str,
    run: Operation,
    *,
    body: Any = None,
    query: Any = None,
    handler: Handler | None = None,
    only_v1: bool = False,
    polled: bool = False,
) -> Route:
    return Route(
        method=method,
        path=path,
        run=run,
        body=body,
        query=query,
        handler=handler,
        only_v1=only_v1,
        polled=polled,
        name=getattr(run, "__name__", ""),
    )


def path_parameters(raw: dict[str, str]) -> dict[str, str]:
    """Path parameters, each with the prefix that its kind of id has."""
    parameters = {}
    for name, text in raw.items():
        value = segment(text)
        prefix = PREFIXES.get(name)
        if prefix is not None and not value.startswith(prefix):
            raise InvalidParameter(
                f"Invalid '{name}': '{value}'. Expected an ID that begins with '{prefix}'.",
                param=name,
            )
        parameters[name] = value
    return parameters


async def call(route: Route, incoming: Incoming, scope: Scope, path: dict[str, str]) -> Any:
    """Decode what the route takes and run its operation."""
    arguments: dict[str, Any] = dict(path)
    settings = scope.house.settings
    if route.body is not None:
        incoming.require_json()
        body = await incoming.body(limit=settings.max_body_bytes)
        arguments["body"] = validation.decode_body(route.body, body, lenient=settings.lenient)
    if route.query is not None:
        arguments["query"] = validation.convert_query(route.query, _query(route, incoming))
    return await route.run(scope, **arguments)


def _query(route: Route, incoming: Incoming) -> list[tuple[str, str]]:
    """Browsers resume a stream by a header; there it is the default of `after`."""
    if route.query is not FollowQuery or "last-event-id" not in incoming.headers:
        return incoming.query
    return [("after", incoming.headers.get("last-event-id")), *incoming.query]


def write(route: Route, result: Any) -> AnyReply:
    match result:
        case Document():
            text: str = result.text
            return Reply(text.encode(), headers=_polling(route, text))
        case Page():
            return Reply(_page(result, of_files=route.path == _FILES))
        case RunStream():
            pieces = sse.frames(result)
            return PiecewiseReply(pieces, media=sse.MEDIA, headers=sse.HEADERS)
        case Download():
            return PiecewiseReply(result.pieces, media=result.media, headers=result.headers)
    body = msgspec.json.encode(result)
    return Reply(body, headers=_polling(route, body[:_HEAD].decode(errors="replace")))


def _polling(route: Route, text: str) -> Headers | None:
    if not route.polled:
        return None
    head = text[:_HEAD]
    return _POLLING if any(status in head for status in _UNFINISHED) else None


def _page(page: Page[Any], *, of_files: bool) -> bytes:
    """The list of files alone had its keys in another order."""
    first = f'"{page.first_id}"' if page.text else "null"
    last = f'"{page.last_id}"' if page.text else "null"
    ids = f'"first_id":{first},"last_id":{last}'
    more = '"has_more":true' if page.has_more else '"has_more":false'
    rest = f"{more},{ids}" if of_files else f"{ids},{more}"
    return f'{{"object":"list","data":[{page.text}],{rest}}}'.encode()
