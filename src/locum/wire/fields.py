"""Fields that many objects share, and the two kinds of struct."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from locum import limits

Metadata = Annotated[
    dict[
        Annotated[str, Meta(max_length=limits.METADATA_KEY_CHARS)],
        Annotated[str, Meta(max_length=limits.METADATA_VALUE_CHARS)],
    ],
    Meta(max_length=limits.METADATA_PAIRS),
]
Name = Annotated[str, Meta(max_length=limits.NAME_CHARS)]
Description = Annotated[str, Meta(max_length=limits.DESCRIPTION_CHARS)]
Instructions = Annotated[str, Meta(max_length=limits.INSTRUCTIONS_CHARS)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(ge=0, le=1)]
ModelName = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends. Absent is `UNSET` where it means something else than null."""


class Unfit(ValueError):
    """Raised by a struct whose fields are right, each by itself, but do not fit together.

    `field` is the path from the struct to what is to blame; without one it is the struct itself.
    """

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class Deleted(Struct, frozen=True):
    """What is left of an object."""

    id: str
    object: str
    deleted: bool = True


class ModifyMetadata(Input, frozen=True, kw_only=True):
    """All that may be changed of a message or a run."""

    metadata: Metadata | None | UnsetType = UNSET
