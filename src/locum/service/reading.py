"""One file of a vector store: its bytes become text, passages and vectors, written in slices.

What a failure means is not decided here, but in `ingestion`.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from locum.service import store_contents
from locum.service.scope import House, Scope
from locum.service.store_contents import Outcome
from locum.store.blobs import BlobMissing
from locum.store.database import Transaction
from locum.store.passages import (
    Outdated,
    PassageTable,
    StoreKey,
    TextRow,
    VectorBlock,
    WordBlock,
)
from locum.store.waiting_files import Claim
from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.embedding import SearchEmbedder, WordsOnly
from locum.tools.file_search.extract import ExtractionFailed, Extractor
from locum.tools.file_search.index import NewPassage, NewWindow
from locum.tools.file_search.prepare import (
    WORDS_TOGETHER,
    Chunking,
    Prepared,
    Tokenizer,
    prepare,
)
from locum.tools.file_search.stored_index import spans_of
from locum.wire.vector_stores import StaticChunking, VectorStoreFile

T = TypeVar("T")
# What one transaction writes: a few milliseconds, in which nobody else is served.
_PASSAGES_TOGETHER = 32
_VECTORS_TOGETHER = 256


class ClaimLost(Exception):
    """The file is no longer ours to read: cancelled, deleted, or somebody else's by now."""


class FileReader:
    def __init__(
        self,
        house: House,
        *,
        extractor: Extractor,
        cutters: Cutters,
        embedder: SearchEmbedder,
        tokenizer: Tokenizer,
    ) -> None:
        self._house = house
        self._extractor = extractor
        self._cutters = cutters
        self._embedder = embedder
        self._tokenizer = tokenizer

    @property
    def model(self) -> str | None:
        """Whose vectors are made here; None when none are."""
        return None if isinstance(self._embedder, WordsOnly) else self._embedder.name

    async def read(self, claim: Claim) -> None:
        """Read a file and settle it as completed, in the transaction that shows its passages."""
        scope = Scope(self._house, claim.project_id)
        held = claim.file
        key = StoreKey(claim.project_id, held.vector_store_id)

        async def is_ours(tx: Transaction) -> bool:
            return await scope.store.waiting_files.is_held(tx, claim)

        async def settle(tx: Transaction) -> None:
            outcome = Outcome(status="completed", usage_bytes=prepared.usage_bytes)
            await store_contents.settle(scope, tx, held.vector_store_id, {held.id: outcome})

        filename, pages = await self._text(scope, held.id)
        prepared = await self._prepare(held, pages, title=filename)
        await self._write(key, held.id, pages, prepared, is_ours=is_ours, settle=settle)

    async def read_again(self, outdated: Outdated) -> None:
        """Give a file vectors of this house's model, in place of another's."""
        scope = Scope(self._house, outdated.key.project_id)
        key, file_id = outdated.key, outdated.file_id
        table = scope.store.vector_store_files
        found = await table.find(key.project_id, file_id, owner_id=key.vector_store_id)
        file = await scope.store.files.find(key.project_id, file_id)
        pages = await scope.store.passages.pages(key, file_id)
        if found is None or file is None or not pages:
            return

        async def is_there(tx: Transaction) -> bool:
            return await scope.store.passages.is_live(tx, outdated.number)

        async def settle(_: Transaction) -> None:
            """It is completed, and stays so."""

        prepared = await self._prepare(found.read(), pages, title=file.read().filename)
        await self._write(key, file_id, pages, prepared, is_ours=is_there, settle=settle)

    async def close(self) -> None:
        await self._extractor.close()
        await self._cutters.close()

    # ---------------------------------------------------------------------- private

    async def _text(self, scope: Scope, file_id: str) -> tuple[str, tuple[str, ...]]:
        """The name of a file, and its pages."""
        found = await scope.store.files.with_blob(scope.project_id, file_id)
        if found is None:
            raise ClaimLost
        file, blob = found
        try:
            async with self._house.blobs.local(blob) as path:
                extracted = await self._extractor.extract(path, file.filename)
        except BlobMissing:
            raise ExtractionFailed(
                "server_error", "The bytes of the file are missing from the file store."
            ) from None
        return file.filename, extracted.pages

    async def _prepare(
        self, held: VectorStoreFile, pages: Sequence[str], *, title: str
    ) -> Prepared:
        strategy = held.chunking_strategy
        sizes = strategy.static if isinstance(strategy, StaticChunking) else None
        return await prepare(
            "\n\n".join(pages),
            chunking=Chunking()
            if sizes is None
            else Chunking(sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens),
            tokenizer=self._tokenizer,
            embedder=self._embedder,
            window_tokens=self._embedder.window_tokens,
            title=title,
            cutters=self._cutters,
        )

    async def _write(
        self,
        key: StoreKey,
        file_id: str,
        pages: Sequence[str],
        prepared: Prepared,
        *,
        is_ours: Callable[[Transaction], Awaitable[bool]],
        settle: Callable[[Transaction], Awaitable[None]],
    ) -> None:
        """Write everything in slices; the last one shows it all, and settles the file."""
        table = self._house.store.passages
        vectors = prepared.windows if self.model is not None else ()
        slices: list[_Slice] = [
            *_words(prepared.words),
            *_passages(prepared.passages),
            *_vectors(vectors),
        ]
        number: int | None = None
        # A small file, which most are, is one transaction.
        for last, some in _with_end(_grouped(slices)):
            async with self._house.store.transaction() as tx:
                await tx.lock(key.vector_store_id)
                if not await is_ours(tx):
                    raise ClaimLost
                if number is None:
                    number = await table.begin(tx, key, file_id, pages=pages)
                for one in some:
                    await one.write(table, tx, number)
                if last:
                    await settle(tx)
                    await table.go_live(
                        tx,
                        key,
                        file_id,
                        number,
                        passages=len(prepared.passages),
                        model=self._embedder.name,
                    )


class _Passages(Struct, frozen=True):
    first: int
    rows: Sequence[TextRow]

    async def write(self, table: PassageTable, tx: Transaction, number: int) -> None:
        await table.write(tx, number, self.first, self.rows)


class _Words(Struct, frozen=True):
    block: WordBlock

    async def write(self, table: PassageTable, tx: Transaction, number: int) -> None:
        await table.write_words(tx, number, self.block)


class _Vectors(Struct, frozen=True):
    part: int
    block: VectorBlock

    async def write(self, table: PassageTable, tx: Transaction, number: int) -> None:
        await table.write_block(tx, number, self.part, self.block)


_Slice = _Passages | _Words | _Vectors


def _passages(passages: Sequence[NewPassage]) -> Iterator[_Passages]:
    for first in range(0, len(passages), _PASSAGES_TOGETHER):
        some = passages[first : first + _PASSAGES_TOGETHER]
        yield _Passages(first, [TextRow(one.text, one.terms) for one in some])


def _words(packed: Sequence[bytes]) -> Iterator[_Words]:
    for part, words in enumerate(packed):
        yield _Words(WordBlock(part * WORDS_TOGETHER, words))


def _vectors(windows: Sequence[NewWindow]) -> Iterator[_Vectors]:
    for part, first in enumerate(range(0, len(windows), _VECTORS_TOGETHER)):
        some = windows[first : first + _VECTORS_TOGETHER]
        yield _Vectors(part, VectorBlock(spans_of(some), b"".join(one.vector for one in some)))


def _grouped(slices: Sequence[_Slice]) -> list[Sequence[_Slice]]:
    """The first three, which are all of a small file, go together; what is more one by one."""
    return [slices[:3], *([one] for one in slices[3:])]


def _with_end(items: Sequence[T]) -> Iterator[tuple[bool, T]]:
    for place, item in enumerate(items, start=1):
        yield place == len(items), item
