"""Vector stores, the files in them, batches of files, and search."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from locum import limits
from locum.wire.fields import Description, Input, Metadata, Name, Unfit
from locum.wire.paging import PageQuery

FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]


# ---------------------------------------------------------------- what is asked


class ExpiresAfter(Input, frozen=True, kw_only=True):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Meta(ge=1, le=limits.STORE_LIFE_DAYS_MAX)]


class AutoChunking(Input, frozen=True, tag_field="type", tag="auto"):
    pass


class ChunkSizes(Input, frozen=True, kw_only=True):
    max_chunk_size_tokens: Annotated[
        int, Meta(ge=limits.CHUNK_TOKENS_MIN, le=limits.CHUNK_TOKENS_MAX)
    ]
    chunk_overlap_tokens: Annotated[int, Meta(ge=0)]


class StaticChunking(Input, frozen=True, tag_field="type", tag="static"):
    static: ChunkSizes


class AskedChunking(StaticChunking, frozen=True, tag_field="type", tag="static"):
    """Sizes as a client asks for them; those that are stored have been checked."""

    def __post_init__(self) -> None:
        size, overlap = self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens
        if overlap * 2 > size:
            raise Unfit(
                f"must not exceed half of 'max_chunk_size_tokens' ({size}), but got {overlap}",
                field="static.chunk_overlap_tokens",
            )


Chunking = AutoChunking | AskedChunking

# Whole numbers stay whole: what is echoed is what was sent.
AttributeValue = Annotated[str, Meta(max_length=limits.METADATA_VALUE_CHARS)] | int | float | bool
Attributes = Annotated[
    dict[Annotated[str, Meta(max_length=limits.METADATA_KEY_CHARS)], AttributeValue],
    Meta(max_length=limits.METADATA_PAIRS),
]


class StoreHelper(Input, frozen=True, kw_only=True):
    """A store made in passing, inside `tool_resources` of an assistant or a thread."""

    file_ids: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    chunking_strategy: Chunking | UnsetType = UNSET
    metadata: Metadata | None = None


class CreateVectorStore(Input, frozen=True, kw_only=True):
    file_ids: Annotated[tuple[str, ...], Meta(max_length=limits.STORE_CREATE_FILES)] | None = None
    name: Name | None = None
    description: Description | None = None
    expires_after: ExpiresAfter | None = None
    chunking_strategy: Chunking | None = None
    metadata: Metadata | None = None


class ModifyVectorStore(Input, frozen=True, kw_only=True):
    name: Name | None | UnsetType = UNSET
    expires_after: ExpiresAfter | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET


class AttachFile(Input, frozen=True, kw_only=True):
    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class ModifyAttributes(Input, frozen=True, kw_only=True):
    attributes: Attributes | None


class CreateFileBatch(Input, frozen=True, kw_only=True):
    file_ids: (
        Annotated[tuple[str, ...], Meta(min_length=1, max_length=limits.BATCH_FILES)] | None
    ) = None
    files: (
        Annotated[tuple[AttachFile, ...], Meta(min_length=1, max_length=limits.BATCH_FILES)] | None
    ) = None
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class ListStoreFiles(PageQuery, frozen=True, kw_only=True):
    filter: FileStatus | None = None


class SearchRanking(Input, frozen=True, kw_only=True):
    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Search(Input, frozen=True, kw_only=True):
    query: str | Annotated[tuple[str, ...], Meta(min_length=1)]
    rewrite_query: bool = False
    max_num_results: Annotated[int, Meta(ge=1, le=limits.SEARCH_RESULTS_MAX)] = (
        limits.SEARCH_RESULTS_DEFAULT
    )
    # Comparisons and their combinations; the search tool reads and checks them.
    filters: dict[str, Any] | None = None
    ranking_options: SearchRanking | None = None


# -------------------------------------------------------------- what is answered


class FileCounts(Struct, frozen=True, kw_only=True):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class VectorStore(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["in_progress", "completed", "expired"]
    expires_after: ExpiresAfter | None
    expires_at: int | None
    last_active_at: int | None
    metadata: dict[str, str]


class OtherChunking(Struct, frozen=True, tag_field="type", tag="other"):
    pass


class IngestionError(Struct, frozen=True):
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: FileStatus
    last_error: IngestionError | None
    chunking_strategy: StaticChunking | OtherChunking
    attributes: dict[str, str | int | float | bool]


class FileBatch(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["vector_store.file_batch"] = "vector_store.file_batch"
    created_at: int
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    vector_store_id: str
    file_counts: FileCounts


class TextContent(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class FileContentPage(Struct, frozen=True, kw_only=True):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: tuple[TextContent, ...]
    has_more: bool = False
    next_page: None = None


class SearchResult(Struct, frozen=True, kw_only=True):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | int | float | bool]
    content: tuple[TextContent, ...]


class SearchResultsPage(Struct, frozen=True, kw_only=True):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: tuple[str, ...]
    data: tuple[SearchResult, ...]
    has_more: bool = False
    next_page: None = None
