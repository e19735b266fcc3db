"""The beta header: which version of the API a client speaks, and the door for the first one.

The first version is translated here on its way in and out; nothing behind this knows of it.
"""

import re
from enum import Enum
from typing import Any, Final

import msgspec

from locum import limits
from locum.api import operation, sse, validation
from locum.api.http import AnyReply, Incoming, PiecewiseReply, Reply
from locum.api.operation import Route
from locum.errors import InvalidRequest
from locum.service import assistant_files
from locum.service.runs import RunStream
from locum.service.scope import Scope
from locum.wire import v1

_MISSING = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by"
    " setting the header 'OpenAI-Beta: assistants=v2'."
)
# Azure told the versions apart by dates: with this one came the second.
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SECOND_SINCE: Final = "2024-05-01"


class Version(Enum):
    V1 = "assistants=v1"
    V2 = "assistants=v2"


def read_version(incoming: Incoming, route: Route, *, azure: bool, strict: bool) -> Version:
    """A missing header means the second version, unless the operator wants it refused."""
    if not route.needs_beta:
        return Version.V2
    if incoming.headers.get("openai-beta") == Version.V2.value:
        return Version.V2
    values = {*incoming.headers.listed("openai-beta")} - {""}
    for version in (Version.V2, Version.V1):
        if version.value in values:
            return version
    if azure:
        return _version_of_azure(incoming)
    if values or strict:
        raise InvalidRequest(_MISSING, code="invalid_beta")
    return Version.V2


def _version_of_azure(incoming: Incoming) -> Version:
    """Its clients give no beta header, or an empty one."""
    for name, value in incoming.query:
        if name == "api-version" and _DATED.match(value) and value < _SECOND_SINCE:
            return Version.V1
    return Version.V2


# Operations that take the files of an assistant beside their body.
_WITH_FILES: Final[dict[str, operation.Operation]] = {
    "create_assistant": assistant_files.create_assistant,
    "modify_assistant": assistant_files.modify_assistant,
}


async def answer_v1(
    route: Route, incoming: Incoming, scope: Scope, path: dict[str, str]
) -> AnyReply:
    """Run an operation for a client of the first version."""
    result = await _call(route, incoming, scope, path)
    if isinstance(result, RunStream):
        files = {result.assistant_id: await assistant_files.names(scope, result.assistant_id)}
        pieces = sse.frames(result, translate=_translator(files))
        return PiecewiseReply(pieces, media=sse.MEDIA, headers=sse.HEADERS)
    reply = operation.write(route, result)
    if isinstance(reply, Reply):
        told = msgspec.json.decode(reply.body)
        files = {
            assistant_id: await assistant_files.names(scope, assistant_id)
            for assistant_id in v1.assistants_in(told)
        }
        reply.body = msgspec.json.encode(v1.answer(told, lambda name: files[name]))
    return reply


async def _call(route: Route, incoming: Incoming, scope: Scope, path: dict[str, str]) -> Any:
    if route.body is None:
        return await operation.call(route, incoming, scope, path)
    incoming.require_json()
    settings = scope.house.settings
    body = validation.parse_json(await incoming.body(limit=settings.max_body_bytes))
    arguments: dict[str, Any] = dict(path)
    run: operation.Operation = route.run
    if isinstance(body, dict):
        if route.name in _WITH_FILES:
            run = _WITH_FILES[route.name]
            named = "file_ids" in body or route.name == "create_assistant"
            file_ids = v1.take_file_ids(body, limit=limits.ASSISTANT_FILES)
            arguments["file_ids"] = file_ids if named else None
        body = await _in_second_shape(scope, body)
    if route.query is not None:
        arguments["query"] = validation.convert_query(route.query, incoming.query)
    arguments["body"] = validation.decode_body(
        route.body, msgspec.json.encode(body), lenient=settings.lenient
    )
    return await run(scope, **arguments)


async def _in_second_shape(scope: Scope, body: dict[str, Any]) -> dict[str, Any]:
    """Translate a body; files of messages become attachments for the tools that can use them."""
    made = {
        attachment.file_id: msgspec.to_builtins(attachment)
        for attachment in await assistant_files.attachments(scope, v1.named_files(body))
    }
    return v1.request(body, lambda file_ids: [made[file_id] for file_id in file_ids])


def _translator(files: dict[str, list[str]]) -> sse.Translate:
    def translate(_: str, data: str) -> str:
        told = v1.answer(msgspec.json.decode(data), lambda name: files.get(name, []))
        return msgspec.json.encode(told).decode()

    return translate
