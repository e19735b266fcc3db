"""The text of a file becomes what an index keeps: passages with their words, windows, vectors."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Literal, Protocol

from msgspec import Struct

from locum import limits
from locum.tools.file_search.chunks import Chunk, Encode, TokenBytes, Window, chunk, windows
from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.extract import ExtractionFailed
from locum.tools.file_search.index import NewPassage, NewWindow
from locum.tools.file_search.terms import joined
from locum.tools.file_search.words import pack

WORDS_TOGETHER = 256
# What a name says of its file, it says at its beginning.
_TITLE_CHARS = 200


class Tokenizer(Struct, frozen=True):
    """How text is counted; handed in, because models and tools do not know each other."""

    encode: Encode
    token_bytes: TokenBytes


class Chunking(Struct, frozen=True):
    max_tokens: int = 800
    overlap: int = 400
    # Chunks of one file.
    most: int = limits.FILE_PASSAGES


class Prepared(Struct, frozen=True):
    passages: tuple[NewPassage, ...]
    # The packed words of every so many passages (`WORDS_TOGETHER`).
    words: tuple[bytes, ...]
    windows: tuple[NewWindow, ...]
    usage_bytes: int


class Bytes(Protocol):
    def tobytes(self) -> bytes: ...


class PassageEmbedder(Protocol):
    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> Sequence[Bytes]: ...


async def prepare(
    text: str,
    *,
    chunking: Chunking,
    tokenizer: Tokenizer,
    embedder: PassageEmbedder,
    window_tokens: int | None,
    title: str = "",
    cutters: Cutters | None = None,
) -> Prepared:
    """Chunk and embed; `window_tokens` is how much the model reads well, if less than a chunk.

    A passage from the middle of a file seldom says what the file is about: its `title` is
    indexed and embedded with each, but is no part of the text.
    """
    title = title[:_TITLE_CHARS]
    cut = await (cutters.cut if cutters else asyncio.to_thread)(
        _cut, text, title, chunking=chunking, tokenizer=tokenizer, window_tokens=window_tokens
    )
    heading = f"{title}\n" if title else ""
    texts = [heading + part.text for part in cut.windows]
    vectors = await embedder.embed(texts, kind="passage")
    return Prepared(
        passages=cut.passages,
        words=cut.words,
        windows=tuple(
            NewWindow(vector.tobytes(), part.chunks[0], part.chunks[-1])
            for part, vector in zip(cut.windows, vectors, strict=True)
        ),
        usage_bytes=cut.usage_bytes,
    )


class _Cut(Struct, frozen=True):
    passages: tuple[NewPassage, ...]
    words: tuple[bytes, ...]
    windows: list[Window]
    usage_bytes: int


def _cut(
    text: str, title: str, *, chunking: Chunking, tokenizer: Tokenizer, window_tokens: int | None
) -> _Cut:
    cut = chunk(
        text,
        max_tokens=chunking.max_tokens,
        overlap=chunking.overlap,
        encode=tokenizer.encode,
        token_bytes=tokenizer.token_bytes,
    )
    chunks = list(islice(cut, chunking.most + 1))
    if len(chunks) > chunking.most:
        raise ExtractionFailed(
            "invalid_file", f"The file holds more than {chunking.most} chunks of this size."
        )
    heading = joined(title)
    passages = tuple(NewPassage(one.text, f"{heading} {joined(one.text)}") for one in chunks)
    return _Cut(
        passages=passages,
        words=tuple(
            pack([one.terms for one in passages[first : first + WORDS_TOGETHER]])
            for first in range(0, len(passages), WORDS_TOGETHER)
        ),
        windows=_windows(text, chunks, tokenizer, window_tokens)
        if window_tokens is not None and window_tokens < chunking.max_tokens
        else [Window(one.text, (number,)) for number, one in enumerate(chunks)],
        usage_bytes=sum(one.usage_bytes for one in chunks),
    )


def _windows(
    text: str, chunks: Sequence[Chunk], tokenizer: Tokenizer, window_tokens: int
) -> list[Window]:
    return windows(
        text,
        chunks,
        max_tokens=window_tokens,
        encode=tokenizer.encode,
        token_bytes=tokenizer.token_bytes,
    )
