"""Messages: their parts, their annotations, their attachments."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from locum import limits
from locum.wire.fields import Input, Metadata
from locum.wire.paging import PageQuery

MessageStatus = Literal["in_progress", "incomplete", "completed"]
IncompleteReason = Literal[
    "content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"
]


# ---------------------------------------------------------------- what is asked

ContentText = Annotated[str, Meta(max_length=limits.CONTENT_CHARS)]
Detail = Literal["auto", "low", "high"]


class NewText(Input, frozen=True, tag_field="type", tag="text"):
    text: ContentText


class ImageFile(Input, frozen=True, kw_only=True):
    file_id: str
    detail: Detail = "auto"


class ImageURL(Input, frozen=True, kw_only=True):
    url: str
    detail: Detail = "auto"


class ImageFilePart(Input, frozen=True, tag_field="type", tag="image_file"):
    image_file: ImageFile


class ImageURLPart(Input, frozen=True, tag_field="type", tag="image_url"):
    image_url: ImageURL


NewPart = NewText | ImageFilePart | ImageURLPart


class AttachmentTool(Input, frozen=True, kw_only=True):
    type: Literal["code_interpreter", "file_search"]


class Attachment(Input, frozen=True, kw_only=True):
    file_id: str
    tools: tuple[AttachmentTool, ...] = ()


class CreateMessage(Input, frozen=True, kw_only=True):
    role: Literal["user", "assistant"]
    content: (
        ContentText | Annotated[tuple[NewPart, ...], Meta(min_length=1, max_length=limits.PARTS)]
    )
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=limits.ATTACHMENTS)] | None = (
        None
    )
    metadata: Metadata | None = None


NewMessages = Annotated[tuple[CreateMessage, ...], Meta(max_length=limits.MESSAGES)]


class ListMessages(PageQuery, frozen=True, kw_only=True):
    run_id: str | None = None


# -------------------------------------------------------------- what is answered


class CitedFile(Struct, frozen=True):
    file_id: str
    # Only on the delta that brings the citation, and in v1.
    quote: str | UnsetType = UNSET


class FileCitation(Struct, frozen=True, kw_only=True, tag_field="type", tag="file_citation"):
    text: str
    # Code points, counted in the final text, the marker included.
    start_index: int
    end_index: int
    file_citation: CitedFile


class WrittenFile(Struct, frozen=True):
    file_id: str


class FilePath(Struct, frozen=True, kw_only=True, tag_field="type", tag="file_path"):
    text: str
    start_index: int
    end_index: int
    file_path: WrittenFile


Annotation = FileCitation | FilePath


class TextValue(Struct, frozen=True):
    value: str
    annotations: tuple[Annotation, ...]


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    text: TextValue


class Refusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    refusal: str


Part = Text | ImageFilePart | ImageURLPart | Refusal


class IncompleteDetails(Struct, frozen=True):
    reason: IncompleteReason


class Message(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    assistant_id: str | None
    thread_id: str
    run_id: str | None
    # The original left these four out of JSON answers and sent them in streams; every
    # client accepts them in both.
    status: MessageStatus
    incomplete_details: IncompleteDetails | None
    incomplete_at: int | None
    completed_at: int | None
    role: Literal["user", "assistant"]
    content: tuple[Part, ...]
    attachments: tuple[Attachment, ...]
    metadata: dict[str, str]


class MessageFile(Struct, frozen=True, kw_only=True):
    """v1 only: a file attached to a message. Its id is the file's."""

    id: str
    object: Literal["thread.message.file"] = "thread.message.file"
    created_at: int
    message_id: str


# ------------------------------------------------------------------- in a stream


class MessageDelta(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["thread.message.delta"] = "thread.message.delta"
    delta: "ContentDelta"


class ContentDelta(Struct, frozen=True):
    # Parts keyed by `index`; what a part leaves out has not changed.
    content: tuple[dict[str, Any], ...]
