"""Files."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from locum import limits
from locum.wire.fields import Input
from locum.wire.paging import PageQuery

# In the order in which the original's refusal names them.
PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")


class FileExpiry(Input, frozen=True, kw_only=True):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=limits.FILE_LIFE_MIN_S, le=limits.FILE_LIFE_MAX_S)]


class CreateFile(Input, frozen=True, kw_only=True):
    """The fields of the form, and the name that its file came with."""

    filename: str
    purpose: str
    expires_after: FileExpiry | None = None


class ListFiles(PageQuery, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=limits.FILES_PAGE_MAX)] = limits.FILES_PAGE_DEFAULT
    purpose: str | None = None


class File(Struct, frozen=True, kw_only=True):
    object: Literal["file"] = "file"
    id: str
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None


class FileDeleted(Struct, frozen=True, kw_only=True):
    object: Literal["file"] = "file"
    deleted: bool = True
    id: str
