"""Tools as assistants and runs carry them.

A request and its echo share one type: the defaults here are what the original filled in.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import force_setattr

from locum import limits
from locum.wire.fields import Input

RANKER: Final = "default_2024_08_21"
# What is shown in the place of a header's value.
HIDDEN: Final = "…"


class CodeInterpreterTool(Input, frozen=True, tag_field="type", tag="code_interpreter"):
    pass


class RankingOptions(Input, frozen=True, kw_only=True):
    ranker: Literal["auto", "default_2024_08_21"] = RANKER
    score_threshold: Annotated[float, Meta(ge=0, le=1)]
    # Never documented, always echoed, always null.
    hybrid_search: None = None

    def __post_init__(self) -> None:
        force_setattr(self, "ranker", RANKER)


def _default_ranking() -> RankingOptions:
    return RankingOptions(score_threshold=0.0)


class FileSearchOptions(Input, frozen=True, kw_only=True):
    max_num_results: Annotated[int, Meta(ge=1, le=limits.SEARCH_RESULTS_MAX)] | None | UnsetType = (
        UNSET
    )
    ranking_options: RankingOptions | None = field(default_factory=_default_ranking)

    def __post_init__(self) -> None:
        if self.max_num_results is None:
            force_setattr(self, "max_num_results", UNSET)
        if self.ranking_options is None:
            force_setattr(self, "ranking_options", _default_ranking())

    @property
    def ranking(self) -> RankingOptions:
        return self.ranking_options or _default_ranking()


class FileSearchTool(Input, frozen=True, tag_field="type", tag="file_search"):
    file_search: FileSearchOptions | None = field(default_factory=FileSearchOptions)

    def __post_init__(self) -> None:
        if self.file_search is None:
            force_setattr(self, "file_search", FileSearchOptions())

    @property
    def options(self) -> FileSearchOptions:
        return self.file_search or FileSearchOptions()


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


FunctionName = Annotated[
    str, Meta(pattern=limits.FUNCTION_NAME, max_length=limits.FUNCTION_NAME_CHARS)
]


class FunctionDefinition(Input, frozen=True, kw_only=True):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = field(default_factory=_no_parameters)
    strict: bool | None = False

    def __post_init__(self) -> None:
        if self.parameters is None:
            force_setattr(self, "parameters", _no_parameters())
        if self.strict is None:
            force_setattr(self, "strict", False)


class FunctionTool(Input, frozen=True, tag_field="type", tag="function"):
    function: FunctionDefinition


class McpToolFilter(Input, frozen=True, kw_only=True):
    tool_names: Annotated[tuple[str, ...], Meta(max_length=limits.MCP_ALLOWED_TOOLS)]


# Values come back as `HIDDEN`, which is all that is ever shown of them.
McpHeaders = Annotated[
    dict[
        Annotated[str, Meta(pattern=limits.HEADER_NAME, max_length=limits.HEADER_NAME_CHARS)],
        Annotated[str, Meta(pattern=limits.HEADER_VALUE, max_length=limits.HEADER_VALUE_CHARS)],
    ],
    Meta(max_length=limits.MCP_HEADERS),
]


class McpTool(Input, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """Ours, beyond the original: the tools of an MCP server, in the shape of the Responses API."""

    server_label: FunctionName
    server_url: Annotated[str, Meta(max_length=limits.MCP_URL_CHARS)]
    headers: McpHeaders | None = None
    allowed_tools: (
        Annotated[tuple[str, ...], Meta(max_length=limits.MCP_ALLOWED_TOOLS)] | McpToolFilter | None
    ) = None
    # Nobody is there to approve a call while a run goes on, so none can be asked.
    require_approval: Literal["never"] | None = "never"

    def __post_init__(self) -> None:
        if self.require_approval is None:
            force_setattr(self, "require_approval", "never")


Tool = CodeInterpreterTool | FunctionTool | FileSearchTool | McpTool
Tools = Annotated[tuple[Tool, ...], Meta(max_length=limits.TOOLS)]


class CodeResources(Input, frozen=True, kw_only=True):
    """The files of a thread that messages of the first version brought may be more than asked."""

    file_ids: tuple[str, ...] = ()


class AskedCodeResources(Input, frozen=True, kw_only=True):
    """A list that is not named is the one there is, or an empty one."""

    file_ids: Annotated[tuple[str, ...], Meta(max_length=limits.CODE_FILES)] | UnsetType = UNSET


class SearchResources(Input, frozen=True, kw_only=True):
    vector_store_ids: Annotated[tuple[str, ...], Meta(max_length=limits.STORES_PER_OWNER)] = ()


class ToolResources(Struct, frozen=True, kw_only=True):
    """A tool without resources of its own is absent, never null."""

    code_interpreter: CodeResources | UnsetType = UNSET
    file_search: SearchResources | UnsetType = UNSET


class AskedToolResources(Struct, frozen=True, kw_only=True):
    """Null is absent, too: typed clients write it where there is nothing."""

    code_interpreter: AskedCodeResources | None | UnsetType = UNSET
    file_search: SearchResources | None | UnsetType = UNSET


class ChooseFunction(Input, frozen=True, kw_only=True):
    name: FunctionName


class ToolChoice(Input, frozen=True, kw_only=True):
    type: Literal["function", "code_interpreter", "file_search", "mcp"]
    function: ChooseFunction | UnsetType = UNSET


Choice = Literal["none", "auto", "required"] | ToolChoice


class TextFormat(Input, frozen=True, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Input, frozen=True, tag_field="type", tag="json_object"):
    pass


class JsonSchema(Input, frozen=True, kw_only=True):
    name: FunctionName
    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | None | UnsetType = UNSET


class JsonSchemaFormat(Input, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


ResponseFormat = Literal["auto"] | TextFormat | JsonObjectFormat | JsonSchemaFormat
