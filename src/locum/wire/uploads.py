"""Uploads: a large file in parts."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from locum import limits
from locum.wire.fields import Input
from locum.wire.files import File, FileExpiry


class CreateUpload(Input, frozen=True, kw_only=True):
    filename: Annotated[str, Meta(min_length=1, max_length=limits.FILENAME_CHARS)]
    purpose: Literal["assistants", "batch", "fine-tune", "vision"]
    bytes: Annotated[int, Meta(ge=1, le=limits.UPLOAD_BYTES)]
    mime_type: str
    expires_after: FileExpiry | None = None


class CompleteUpload(Input, frozen=True, kw_only=True):
    part_ids: Annotated[tuple[str, ...], Meta(max_length=limits.UPLOAD_PARTS)]
    md5: str | None = None


class Upload(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    expires_at: int
    file: File | None | UnsetType = UNSET


class UploadPart(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
