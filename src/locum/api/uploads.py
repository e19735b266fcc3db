"""Requests that bring a file: its bytes go to the blob store as they come."""

from typing import Any, Final

import msgspec

from locum import limits
from locum.api import validation
from locum.api.http import AnyReply, Incoming, Reply
from locum.api.multipart import Form, Part
from locum.errors import InvalidParameter, missing, unknown
from locum.service import blobs, files, uploads
from locum.service.blobs import Arriving
from locum.service.scope import Scope
from locum.store.documents import Document
from locum.wire.files import CreateFile

_ANCHOR: Final = "expires_after[anchor]"
_SECONDS: Final = "expires_after[seconds]"
_FILE_FIELDS: Final = ("purpose", _ANCHOR, _SECONDS)
# A longer one is no number of seconds that anybody means.
_MOST_DIGITS: Final = 18


async def receive_file(incoming: Incoming, scope: Scope, _: dict[str, str]) -> AnyReply:
    limit = scope.house.settings.max_file_bytes
    form = Form(incoming, limit=limit)
    fields: dict[str, str] = {}
    filename: str | None = None
    async with blobs.arriving(scope, limit=limit) as blob:
        async for part in form.parts():
            if part.name == "file":
                filename = await _take_file(part, blob, earlier=filename)
            else:
                await _take_field(part, fields, scope, known=_FILE_FIELDS)
                # Before the file is read, when it comes first.
                if part.name == "purpose":
                    files.check_purpose(fields["purpose"])
        return _written(await files.create_file(scope, body=_new_file(fields, filename), blob=blob))


async def receive_part(incoming: Incoming, scope: Scope, path: dict[str, str]) -> AnyReply:
    upload_id = path["upload_id"]
    await uploads.require_pending(scope, upload_id)
    form = Form(incoming, limit=limits.PART_BYTES)
    seen = False
    async with blobs.arriving(scope, limit=limits.PART_BYTES) as blob:
        async for part in form.parts():
            if part.name != "data":
                await _take_field(part, {}, scope, known=())
                continue
            _refuse_second(part, seen=seen)
            seen = True
            async for piece in part.pieces():
                await blob.write(piece)
        if not seen:
            raise missing("data")
        return _written(await uploads.create_part(scope, upload_id=upload_id, blob=blob))


async def _take_file(part: Part, blob: Arriving, *, earlier: str | None) -> str:
    _refuse_second(part, seen=earlier is not None)
    if not part.filename:
        raise InvalidParameter(
            "Invalid type for 'file': expected a file with a name, but got a string instead.",
            param="file",
            code="invalid_type",
        )
    async for piece in part.pieces():
        await blob.write(piece)
    return part.filename


async def _take_field(
    part: Part, fields: dict[str, str], scope: Scope, *, known: tuple[str, ...]
) -> None:
    _refuse_second(part, seen=part.name in fields)
    text = await part.text()
    if part.name in known:
        fields[part.name] = text
    elif not scope.house.settings.lenient:
        raise unknown(part.name)


def _new_file(fields: dict[str, str], filename: str | None) -> CreateFile:
    if filename is None:
        raise missing("file")
    value: dict[str, Any] = {"filename": filename}
    if "purpose" in fields:
        value["purpose"] = fields["purpose"]
    if _ANCHOR in fields or _SECONDS in fields:
        expiry: dict[str, Any] = {}
        if _ANCHOR in fields:
            expiry["anchor"] = fields[_ANCHOR]
        if _SECONDS in fields:
            seconds = fields[_SECONDS]
            expiry["seconds"] = int(seconds) if _is_number(seconds) else seconds
        value["expires_after"] = expiry
    return validation.decode_body(CreateFile, msgspec.json.encode(value))


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= _MOST_DIGITS


def _refuse_second(part: Part, *, seen: bool) -> None:
    if seen:
        raise InvalidParameter(
            f"Invalid '{part.name}': it was given more than once.", param=part.name
        )


def _written(document: Document[Any]) -> Reply:
    return Reply(document.text.encode())
