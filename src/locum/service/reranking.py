"""Whether found passages are ranked a second time, and by which server."""

from collections.abc import Sequence

from locum.llm.faults import Fault
from locum.llm.protocol import ModelError
from locum.llm.rerank import HttpReranker
from locum.settings import Settings, SettingsError
from locum.tools.file_search.reranking import Reranker, RerankingFailed


def choose_reranker(settings: Settings) -> Reranker | None:
    if settings.rerank_url is None:
        return None
    try:
        return ServerReranker(
            HttpReranker(
                settings.rerank_url,
                model=settings.rerank_model,
                key=settings.rerank_key,
                timeout_s=settings.rerank_timeout_s,
            )
        )
    except ModelError as error:
        raise SettingsError(f"The setting 'rerank_url': {error.message}") from error


class ServerReranker:
    """A server's model, for file search."""

    def __init__(self, server: HttpReranker) -> None:
        self._server = server

    async def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        try:
            return await self._server.scores(query, texts)
        except ModelError as error:
            raise RerankingFailed(_reason(error.__cause__)) from error

    async def close(self) -> None:
        await self._server.close()


def _reason(cause: BaseException | None) -> str:
    """What happened, without the server's own words: those may quote what it was asked to rank."""
    if isinstance(cause, Fault) and cause.status is not None:
        return f"status {cause.status}"
    if isinstance(cause, Fault) and cause.is_transient:
        return "unreachable"
    return "no usable answer"
