"""Lists: what is asked, and what one page answers."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from locum import limits


class PageQuery(Struct, frozen=True, kw_only=True):
    """Unknown query parameters are ignored, as the original does."""

    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)] = limits.PAGE_DEFAULT
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None
