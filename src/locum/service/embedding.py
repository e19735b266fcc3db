"""Which model gives passages and queries their meaning."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from locum.llm.embeddings import OpenAIEmbeddings
from locum.llm.protocol import ModelError
from locum.settings import Settings, SettingsError
from locum.tools.file_search import minilm
from locum.tools.file_search.embedding import EmbeddingFailed, SearchEmbedder, WordsOnly


def choose_embedder(settings: Settings, *, weights: Path) -> SearchEmbedder:
    """The server of the settings, else the model whose weights are here, else none at all."""
    if settings.embeddings_url is not None:
        return _server(settings)
    if minilm.is_fetched(weights):
        return minilm.MiniLm(weights)
    return WordsOnly()


def _server(settings: Settings) -> SearchEmbedder:
    assert settings.embeddings_url is not None
    model, dimensions = settings.embeddings_model, settings.embeddings_dimensions
    if model is None or dimensions is None:
        raise SettingsError(
            "The setting 'embeddings_url' needs 'embeddings_model' and 'embeddings_dimensions'"
            " beside it."
        )
    try:
        return ServerEmbedder(
            OpenAIEmbeddings(
                settings.embeddings_url,
                model=model,
                dimensions=dimensions,
                key=settings.embeddings_key,
            )
        )
    except ModelError as error:
        raise SettingsError(f"The setting 'embeddings_url': {error.message}") from error


class ServerEmbedder:
    """A server's model, for file search; it reads a whole chunk at a time."""

    window_tokens: int | None = None

    def __init__(self, embeddings: OpenAIEmbeddings) -> None:
        self._embeddings = embeddings

    @property
    def name(self) -> str:
        return self._embeddings.name

    @property
    def dimensions(self) -> int:
        return self._embeddings.dimensions

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence["array[float]"]:
        try:
            return await self._embeddings.embed(texts, kind=kind)
        except ModelError as error:
            raise EmbeddingFailed(error.message) from error

    async def close(self) -> None:
        await self._embeddings.close()
