"""Messages: what was said in a thread, and what hangs on it."""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import NoReturn
from urllib.parse import urlsplit

from msgspec import UNSET
from msgspec.structs import replace

from locum import limits
from locum.errors import InvalidParameter, InvalidRequest, no_such, string_too_long
from locum.service import resources
from locum.service.deadlines import ThreadLocked, when_free
from locum.service.scope import Scope
from locum.store.database import Transaction
from locum.store.documents import Document, Page
from locum.wire.fields import Deleted, ModifyMetadata
from locum.wire.messages import (
    CreateMessage,
    ImageFilePart,
    ImageURLPart,
    ListMessages,
    Message,
    NewText,
    Part,
    Text,
    TextValue,
)
from locum.wire.threads import Thread

# How many of a request's messages are added before others get their turn.
_AT_ONCE = 50
_IMAGES = (".jpeg", ".jpg", ".png", ".gif", ".webp")
_DATA_URL = re.compile(r"data:image/(jpeg|jpg|png|gif|webp);base64,", re.IGNORECASE)


async def create_message(scope: Scope, *, thread_id: str, body: CreateMessage) -> Document[Message]:
    _check(body)
    return await when_free(scope, thread_id, partial(_create_message, scope, thread_id, body))


async def _create_message(scope: Scope, thread_id: str, body: CreateMessage) -> Document[Message]:
    async with scope.store.transaction() as tx:
        await tx.lock(thread_id)
        thread = (await scope.store.threads.get(scope.project_id, thread_id, reader=tx)).read()
        await require_files(scope, tx, [body])
        run_id = await scope.store.runs.active(scope.project_id, thread_id, reader=tx)
        if run_id is not None:
            raise ThreadLocked(
                f"Can't add messages to {thread_id} while a run {run_id} is active.", run_id=run_id
            )
        return (await append(scope, tx, thread, [body]))[0]


def check(bodies: Sequence[CreateMessage] | None, *, param: str) -> None:
    """Refuse messages that no thread takes. `param` is where they stand in the request."""
    for index, body in enumerate(bodies or ()):
        _check(body, where=f"{param}[{index}].")


async def require_files(scope: Scope, tx: Transaction, bodies: Sequence[CreateMessage]) -> None:
    """Refuse messages whose files are not there, or are no pictures where they are to be seen.

    That is told before what the thread is in the middle of.
    """
    shown = [
        part.image_file.file_id
        for body in bodies
        if not isinstance(body.content, str)
        for part in body.content
        if isinstance(part, ImageFilePart)
    ]
    attached = [one.file_id for body in bodies for one in body.attachments or ()]
    wanted = list(dict.fromkeys([*shown, *attached]))
    names = await resources.require_files(scope, wanted, tx)
    for file_id in shown:
        suffix = PurePath(names[file_id]).suffix.lower()
        if suffix not in _IMAGES:
            raise InvalidRequest(
                "Invalid message content: Expected file type to be a supported format:"
                f" {', '.join(_IMAGES)} but got {suffix or 'none'}."
            )


async def append(
    scope: Scope, tx: Transaction, thread: Thread, bodies: Sequence[CreateMessage]
) -> list[Document[Message]]:
    """Add messages that were checked, and their files, in order.

    Their attachments become the thread's resources.
    """
    added = []
    now = scope.now()
    found = thread.tool_resources
    for number, body in enumerate(bodies, start=1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        message = Message(
            id=scope.new_id("msg"),
            created_at=now,
            assistant_id=None,
            thread_id=thread.id,
            run_id=None,
            status="completed",
            incomplete_details=None,
            incomplete_at=None,
            completed_at=now,
            role=body.role,
            content=_content(body),
            attachments=body.attachments or (),
            metadata=body.metadata or {},
        )
        found = await resources.attach(scope, tx, found, message.attachments)
        added.append(
            await scope.store.messages.insert(
                tx, scope.project_id, message.id, message, owner_id=thread.id, role=body.role
            )
        )
    if found != thread.tool_resources:
        changed = replace(thread, tool_resources=found)
        await scope.store.threads.change(tx, scope.project_id, changed)
        await resources.note_uses(scope, tx, owner="threads", owner_id=thread.id, resources=found)
    return added


async def list_messages(scope: Scope, *, thread_id: str, query: ListMessages) -> Page[Message]:
    await scope.store.threads.get(scope.project_id, thread_id)
    where = {"run_id": query.run_id} if query.run_id else {}
    return await scope.store.messages.page(scope.project_id, query, owner_id=thread_id, **where)


async def get_message(scope: Scope, *, thread_id: str, message_id: str) -> Document[Message]:
    found = await scope.store.messages.find(scope.project_id, message_id, owner_id=thread_id)
    return found or await _missing(scope, thread_id, message_id)


async def modify_message(
    scope: Scope, *, thread_id: str, message_id: str, body: ModifyMetadata
) -> Document[Message]:
    async with scope.store.transaction() as tx:
        # The run that speaks it may be about to complete it.
        held = await scope.store.messages.hold(tx, scope.project_id, message_id, owner_id=thread_id)
        message = (held or await _missing(scope, thread_id, message_id, tx)).read()
        if body.metadata is not UNSET:
            message = replace(message, metadata=body.metadata or {})
        changed = await scope.store.messages.replace(
            tx, scope.project_id, message.id, message, owner_id=thread_id
        )
    # Here alone the original kept a key of its first version, always empty.
    return changed.with_text(f'{changed.text[:-1]},"file_ids":[]}}')


async def delete_message(scope: Scope, *, thread_id: str, message_id: str) -> Deleted:
    await get_message(scope, thread_id=thread_id, message_id=message_id)
    async with scope.store.transaction() as tx:
        await scope.store.messages.delete(tx, scope.project_id, message_id, owner_id=thread_id)
    return Deleted(id=message_id, object="thread.message.deleted")


async def _missing(
    scope: Scope, thread_id: str, message_id: str, tx: Transaction | None = None
) -> NoReturn:
    """Only a thread that exists can lack a message."""
    await scope.store.threads.get(scope.project_id, thread_id, reader=tx)
    raise no_such("message", message_id)


def _check(body: CreateMessage, *, where: str = "") -> None:
    if isinstance(body.content, str):
        _refuse_empty(body.content, param=f"{where}content")
        return
    chars = 0
    for index, part in enumerate(body.content):
        param = f"{where}content[{index}]"
        if isinstance(part, NewText):
            _refuse_empty(part.text, param=f"{param}.text")
            chars += len(part.text)
        elif isinstance(part, ImageURLPart):
            _require_image_address(part, param=f"{param}.image_url.url")
    if chars > limits.MESSAGE_CHARS:
        raise string_too_long(f"{where}content", chars, limit=limits.MESSAGE_CHARS)


def _content(body: CreateMessage) -> tuple[Part, ...]:
    if isinstance(body.content, str):
        return (Text(TextValue(value=body.content, annotations=())),)
    return tuple(
        Text(TextValue(value=part.text, annotations=())) if isinstance(part, NewText) else part
        for part in body.content
    )


def _require_image_address(part: ImageURLPart, *, param: str) -> None:
    """Addresses are checked for their form alone: many that serve images have no suffix."""
    address = part.image_url.url
    if _DATA_URL.match(address):
        return
    if len(address) > limits.IMAGE_URL_CHARS:
        raise string_too_long(param, len(address), limit=limits.IMAGE_URL_CHARS)
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidParameter(
            f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format.",
            param=param,
        )


def _refuse_empty(text: str, *, param: str) -> None:
    if not text:
        raise InvalidParameter("Message content must be non-empty.", param=param)
