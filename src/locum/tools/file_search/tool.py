"""File search as a run sees it: the model asks, passages of the run's stores answer."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET

from locum.clock import Clock
from locum.store.passages import StoreKey
from locum.store.tables import Store
from locum.tools.file_search import citations
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.search import Found, Searcher
from locum.tools.file_search.stored_index import name_of
from locum.tools.tool import Function, Kind, Memory, Setting, ToolFailed
from locum.unreadable import UNREADABLE
from locum.wire.runs import Run
from locum.wire.steps import FileSearchCall, FoundPassage, Ranking, SearchDone, ToolCall
from locum.wire.tools import FileSearchOptions, FileSearchTool
from locum.wire.vector_stores import TextContent, VectorStore

_NAME = "file_search"
_DESCRIPTION = (
    "Search the files of this conversation. Several queries in one call are answered together;"
    " ask for different aspects, in words that the files may use."
)
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "queries": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "What to look for",
        }
    },
    "required": ["queries"],
}
_MOST_QUERIES = 16
_QUERY_CHARS = 4_000
# How much is found, and how much of it a model can read.
_RESULTS, _TOKENS = 20, 16_000
_RESULTS_GPT35, _TOKENS_GPT35 = 5, 4_000
_GPT35 = "gpt-3.5"
# For files of the thread that are still being read.
_READY_S = 60.0
_LOOK_EVERY_S = 0.1
_RUNS_REMEMBERED = 1_024
_NO_DELTAS: tuple[dict[str, Any], ...] = ()

Count = Callable[[str], int]


class FileSearch:
    kind: ClassVar[Kind] = "file_search"

    def __init__(
        self,
        searcher: Searcher,
        *,
        store: Store,
        clock: Clock,
        count_tokens: Count,
        ready_s: float = _READY_S,
    ) -> None:
        self._searcher = searcher
        self._store = store
        self._clock = clock
        self._count_tokens = count_tokens
        self._ready_s = ready_s
        # Runs that have had their wait. One that is forgotten waits again, at worst.
        self._waited: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def functions(self, setting: Setting) -> Sequence[Function]:
        if _options(setting.run) is None:
            return ()
        await self._until_ready(setting)
        return (Function(_NAME, _DESCRIPTION, _PARAMETERS),)

    async def open(
        self, setting: Setting, *, call_id: str, name: str, context_item: int
    ) -> "_SearchCall":
        return _SearchCall(self, setting, call_id=call_id, name=name, context_item=context_item)

    async def forget(self, project_id: str, thread_id: str) -> None:
        """Stores outlive the threads that use them; nothing else is kept here."""

    async def search(self, setting: Setting, queries: Sequence[str]) -> list[Found]:
        """The best passages of all stores of a run, no more than its model can read."""
        options = _options(setting.run) or FileSearchOptions()
        small = setting.run.model.startswith(_GPT35)
        most = options.max_num_results
        if most is UNSET or most is None:
            most = _RESULTS_GPT35 if small else _RESULTS
        names = [await self._usable(setting, store_id) for store_id in setting.vector_store_ids]
        found = await self._searcher.search(
            [name for name in names if name is not None],
            queries,
            most=most,
            threshold=options.ranking.score_threshold,
        )
        return self._readable(found, _TOKENS_GPT35 if small else _TOKENS)

    async def _usable(self, setting: Setting, store_id: str) -> str | None:
        """The store by its name for searches; a deleted one is none, an expired one a failure."""
        store = await self._find(setting, store_id)
        if store is None:
            return None
        if store.expires_at is not None and store.expires_at <= self._clock.now():
            raise ToolFailed(f"Vector store '{store_id}' has expired.")
        return name_of(StoreKey(setting.project_id, store_id))

    async def _find(self, setting: Setting, store_id: str) -> VectorStore | None:
        found = await self._store.vector_stores.find(setting.project_id, store_id)
        return None if found is None else found.read()

    def _readable(self, found: Sequence[Found], tokens: int) -> list[Found]:
        kept: list[Found] = []
        for one in found:
            tokens -= self._count_tokens(one.text)
            if tokens < 0 and kept:
                break
            kept.append(one)
        return kept

    async def _until_ready(self, setting: Setting) -> None:
        """Wait, once a run, while files of its thread are still being read; not for ever."""
        run = (setting.project_id, setting.run.id)
        if run in self._waited:
            return
        try:
            async with asyncio.timeout(self._ready_s):
                while await self._is_reading(setting):  # noqa: ASYNC110  # another process may read
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            pass  # What has been read by now is searched.
        self._waited[run] = None
        while len(self._waited) > _RUNS_REMEMBERED:
            self._waited.popitem(last=False)

    async def _is_reading(self, setting: Setting) -> bool:
        for store_id in setting.thread_store_ids:
            store = await self._find(setting, store_id)
            if store is not None and store.file_counts.in_progress:
                return True
        return False


class _SearchCall:
    def __init__(
        self, tool: FileSearch, setting: Setting, *, call_id: str, name: str, context_item: int
    ) -> None:
        self._tool = tool
        self._setting = setting
        self._call_id = call_id
        self._name = name
        self._context_item = context_item
        self._written: list[str] = []
        self._found: list[Found] = []
        ranking = (_options(setting.run) or FileSearchOptions()).ranking
        self._ranking = Ranking(ranking.ranker, ranking.score_threshold)

    def begin(self) -> dict[str, Any]:
        """All that streams ever tell of a search; results come with the finished step."""
        return {"ranking_options": msgspec.to_builtins(self._ranking), "results": []}

    def write(self, arguments: str) -> None:
        self._written.append(arguments)

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        try:
            self._found = await self._tool.search(self._setting, _queries(self._arguments))
        except EmbeddingFailed as error:
            raise ToolFailed(f"The files could not be searched: {error}") from error
        for delta in _NO_DELTAS:
            yield delta

    def done(self) -> ToolCall:
        results = tuple(
            FoundPassage(
                file_id=one.file_id,
                file_name=one.filename,
                score=one.score,
                attributes=dict(one.attributes),
                content=(TextContent(one.text),),
            )
            for one in self._found
        )
        return FileSearchCall(id=self._call_id, file_search=SearchDone(self._ranking, results))

    def memory(self) -> Memory:
        return Memory(
            call_id=self._call_id,
            name=self._name,
            arguments=self._arguments,
            result=citations.as_tool_output(self._found, search=self._context_item),
            citations={
                citations.marker(self._context_item, place, one.filename): one.file_id
                for place, one in enumerate(self._found)
            },
        )

    @property
    def _arguments(self) -> str:
        return "".join(self._written)


def _options(run: Run) -> FileSearchOptions | None:
    """How this run wants to search; None when it does not."""
    return next((tool.options for tool in run.tools if isinstance(tool, FileSearchTool)), None)


def _queries(arguments: str) -> list[str]:
    """What to look for, however the model wrote it: small ones seldom follow a schema."""
    try:
        asked: Any = msgspec.json.decode(arguments or "{}")
    except UNREADABLE:
        asked = arguments
    if isinstance(asked, dict):
        asked = asked.get("queries", asked.get("query", list(asked.values())))
    several = asked if isinstance(asked, list) else [asked]
    words = [one[:_QUERY_CHARS] for one in several if isinstance(one, str) and one.strip()]
    return list(dict.fromkeys(words))[:_MOST_QUERIES]
