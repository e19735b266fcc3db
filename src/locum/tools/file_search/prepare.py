"""The text of a file becomes what an index keeps: passages with their words, windows, vectors."""

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from locum.tools.file_search.chunks import Chunk, Encode, TokenBytes, Window, chunk, windows
from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.index import NewPassage, NewWindow
from locum.tools.file_search.terms import joined


class Tokenizer(Struct, frozen=True):
    """How text is counted; handed in, because models and tools do not know each other."""

    encode: Encode
    token_bytes: TokenBytes


class Chunking(Struct, frozen=True):
    max_tokens: int = 800
    overlap: int = 400


class Prepared(Struct, frozen=True):
    passages: tuple[NewPassage, ...]
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
    chunks, passages, parts = await (cutters.cut if cutters else asyncio.to_thread)(
        _cut, text, title, chunking=chunking, tokenizer=tokenizer, window_tokens=window_tokens
    )
    heading = f"{title}\n" if title else ""
    vectors = await embedder.embed([heading + part.text for part in parts], kind="passage")
    return Prepared(
        passages=passages,
        windows=tuple(
            NewWindow(vector.tobytes(), part.chunks[0], part.chunks[-1])
            for part, vector in zip(parts, vectors, strict=True)
        ),
        usage_bytes=sum(one.usage_bytes for one in chunks),
    )


def _cut(
    text: str, title: str, *, chunking: Chunking, tokenizer: Tokenizer, window_tokens: int | None
) -> tuple[list[Chunk], tuple[NewPassage, ...], list[Window]]:
    chunks = list(
        chunk(
            text,
            max_tokens=chunking.max_tokens,
            overlap=chunking.overlap,
            encode=tokenizer.encode,
            token_bytes=tokenizer.token_bytes,
        )
    )
    heading = joined(title)
    passages = tuple(NewPassage(one.text, f"{heading} {joined(one.text)}") for one in chunks)
    if window_tokens is None or window_tokens >= chunking.max_tokens:
        return chunks, passages, [Window(one.text, (n,)) for n, one in enumerate(chunks)]
    parts = windows(
        text,
        chunks,
        max_tokens=window_tokens,
        encode=tokenizer.encode,
        token_bytes=tokenizer.token_bytes,
    )
    return chunks, passages, parts
