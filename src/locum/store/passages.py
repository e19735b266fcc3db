"""What vector stores are searched by: the text of each file, its passages, their vectors.

A file is indexed in slices, so that no transaction is long: its row is `filling` until the last
one, which makes it `live` and what was indexed of it before `dropped`. Dropped rows are out of
every search at once, and are cleared away in slices too.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from locum.store.database import Database, Reader, Row, Transaction
from locum.wire.files import File
from locum.wire.vector_stores import VectorStoreFile

# A passage is known by its file's number and its place in it, in one integer: the passages of a
# file follow each other, and those of a newer file come after.
PLACE_BITS = 20
_PLACES = 1 << PLACE_BITS
_ASKED_TOGETHER = 500
_files = msgspec.json.Decoder(File)
_store_files = msgspec.json.Decoder(VectorStoreFile)
_LIVE = "project_id = $1 AND vector_store_id = $2 AND state = 'live'"


class StoreKey(Struct, frozen=True):
    project_id: str
    vector_store_id: str


class TextRow(Struct, frozen=True):
    """A passage as it is written: its text, and the words it is found by."""

    text: str
    terms: str


class VectorBlock(Struct, frozen=True):
    """Some vectors of a file, one after the other, and for each the places it speaks for.

    `spans` are pairs of 32-bit integers, `vectors` 32-bit floats, both little-endian.
    """

    spans: bytes
    vectors: bytes


class WordBlock(Struct, frozen=True):
    """The packed words of some passages of a file, of which the first has this place."""

    first: int
    words: bytes


class LiveFile(Struct, frozen=True):
    number: int
    file_id: str
    passages: int
    # Whose its vectors are.
    model: str


class Outdated(Struct, frozen=True):
    """A file whose vectors are another model's."""

    number: int
    key: StoreKey
    file_id: str


class PassageRow(Struct, frozen=True):
    id: int
    file_id: str
    text: str
    terms: str


class PassageTable:
    def __init__(self, db: Database) -> None:
        self._db = db

    # --------------------------------------------------------------------- writing

    async def begin(
        self, tx: Transaction, key: StoreKey, file_id: str, *, pages: Sequence[str]
    ) -> int:
        """A row to be filled; its number."""
        rows = await tx.fetch(
            "INSERT INTO passage_files (project_id, vector_store_id, file_id, state, pages)"
            " VALUES ($1, $2, $3, 'filling', $4) RETURNING number",
            key.project_id,
            key.vector_store_id,
            file_id,
            msgspec.json.encode(pages).decode(),
        )
        number: int = rows[0][0]
        return number

    async def write(
        self, tx: Transaction, number: int, first: int, rows: Sequence[TextRow]
    ) -> None:
        """Add passages, the first of them at the place `first` of its file."""
        assert first + len(rows) <= _PLACES, "the next file's places"
        # Earlier versions wrote what was too much for one number into the next.
        await tx.execute_many(
            "INSERT INTO passages (id, text, terms) VALUES ($1, $2, $3)"
            " ON CONFLICT (id) DO UPDATE SET text = excluded.text, terms = excluded.terms",
            [
                (number << PLACE_BITS | place, row.text, row.terms)
                for place, row in enumerate(rows, start=first)
            ],
        )

    async def write_words(self, tx: Transaction, number: int, block: WordBlock) -> None:
        assert block.first < _PLACES, "the next file's places"
        await tx.execute(
            "INSERT INTO passage_words (file, first, words) VALUES ($1, $2, $3)",
            number,
            block.first,
            block.words,
        )

    async def write_block(
        self, tx: Transaction, number: int, part: int, block: VectorBlock
    ) -> None:
        await tx.execute(
            "INSERT INTO passage_vectors (file, part, spans, vectors) VALUES ($1, $2, $3, $4)",
            number,
            part,
            block.spans,
            block.vectors,
        )

    async def go_live(
        self,
        tx: Transaction,
        key: StoreKey,
        file_id: str,
        number: int,
        *,
        passages: int,
        model: str,
    ) -> None:
        """Show a filled row in place of whatever was there of the file."""
        await self.drop(tx, key, file_id=file_id)
        await tx.execute(
            "UPDATE passage_files SET state = 'live', passages = $1, model = $2 WHERE number = $3",
            passages,
            model,
            number,
        )

    async def drop(self, tx: Transaction, key: StoreKey, *, file_id: str | None = None) -> None:
        """Take a file, or all of a store, out of every search."""
        where = "project_id = $1 AND vector_store_id = $2 AND state <> 'dropped'"
        values = [key.project_id, key.vector_store_id]
        if file_id is not None:
            where += " AND file_id = $3"
            values.append(file_id)
        await tx.execute(f"UPDATE passage_files SET state = 'dropped' WHERE {where}", *values)

    async def clear_some(self, *, most: int) -> bool:
        """Remove some of what was dropped; False when there was nothing."""
        rows = await self._db.fetch(
            "SELECT number FROM passage_files WHERE state = 'dropped' ORDER BY number LIMIT 1"
        )
        if not rows:
            return False
        number: int = rows[0][0]
        async with self._db.transaction() as tx:
            await tx.lock("passages/dropped")
            cleared = await tx.execute(
                "DELETE FROM passages WHERE id IN"
                " (SELECT id FROM passages WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3)",
                number << PLACE_BITS,
                (number + 1) << PLACE_BITS,
                most,
            )
            if cleared < most:
                await tx.execute("DELETE FROM passage_words WHERE file = $1", number)
                await tx.execute("DELETE FROM passage_vectors WHERE file = $1", number)
                await tx.execute("DELETE FROM passage_files WHERE number = $1", number)
        return True

    # ------------------------------------------------------------------- searching

    async def version(self, key: StoreKey, *, model: str) -> int:
        """Another number whenever there are other passages to be found, or other vectors."""
        rows = await self._db.fetch(
            "SELECT COALESCE(MAX(number), 0), COUNT(*),"
            " COALESCE(SUM(CASE WHEN model = $3 THEN 1 ELSE 0 END), 0)"
            f" FROM passage_files WHERE {_LIVE}",
            key.project_id,
            key.vector_store_id,
            model,
        )
        highest, count, ours = (int(value) for value in rows[0])
        return highest << 64 | count << 32 | ours

    async def live_files(self, key: StoreKey) -> list[LiveFile]:
        rows = await self._db.fetch(
            f"SELECT number, file_id, passages, model FROM passage_files WHERE {_LIVE}"
            " ORDER BY number",
            key.project_id,
            key.vector_store_id,
        )
        return [LiveFile(*row) for row in rows]

    async def vectors(self, numbers: Sequence[int]) -> dict[int, list[VectorBlock]]:
        """The vectors of files, by the files' numbers."""
        rows = await self._blocks("passage_vectors", "part, spans, vectors", numbers)
        found: dict[int, list[VectorBlock]] = {}
        for number, _, spans, vectors in rows:
            found.setdefault(number, []).append(VectorBlock(spans, vectors))
        return found

    async def words(self, numbers: Sequence[int]) -> dict[int, list[WordBlock]]:
        """The packed words of files, by the files' numbers."""
        found: dict[int, list[WordBlock]] = {}
        for number, first, words in await self._blocks("passage_words", "first, words", numbers):
            found.setdefault(number, []).append(WordBlock(first, words))
        return found

    async def terms(self, number: int) -> list[str]:
        """The terms of each passage of a file, in order."""
        rows = await self._db.fetch_aside(
            "SELECT terms FROM passages WHERE id >= $1 AND id < $2 ORDER BY id",
            number << PLACE_BITS,
            (number + 1) << PLACE_BITS,
        )
        return [row[0] for row in rows]

    async def _blocks(self, table: str, columns: str, numbers: Sequence[int]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(numbers), _ASKED_TOGETHER):
            some = numbers[start : start + _ASKED_TOGETHER]
            rows += await self._db.fetch_aside(
                f"SELECT file, {columns} FROM {table}"
                f" WHERE file IN ({_places(1, len(some))}) ORDER BY 1, 2",
                *some,
            )
        return rows

    async def passages(self, key: StoreKey, passage_ids: Sequence[int]) -> list[PassageRow]:
        """The passages of these ids, in the order of asking; those gone are left out."""
        if not passage_ids:
            return []
        rows = await self._db.fetch(
            "SELECT passages.id, file_id, text, terms FROM passages"
            f" JOIN passage_files ON number = passages.id >> {PLACE_BITS}"
            f" WHERE {_LIVE} AND passages.id IN ({_places(3, len(passage_ids))})",
            key.project_id,
            key.vector_store_id,
            *passage_ids,
        )
        by_id = {row[0]: PassageRow(*row) for row in rows}
        return [by_id[one] for one in passage_ids if one in by_id]

    async def entries(
        self, key: StoreKey, *, only: Sequence[str] | None
    ) -> list[tuple[VectorStoreFile, File]]:
        """The files of a store that have been read, each with the file it is; or some of them."""
        found: list[tuple[VectorStoreFile, File]] = []
        parts = (
            [None]
            if only is None
            else [only[at : at + _ASKED_TOGETHER] for at in range(0, len(only), _ASKED_TOGETHER)]
        )
        for some in parts:
            narrowed = "" if some is None else f" AND held.id IN ({_places(3, len(some))})"
            rows = await self._db.fetch(
                "SELECT held.document, files.document FROM vector_store_files held"
                " JOIN files ON files.project_id = held.project_id AND files.id = held.id"
                " WHERE held.project_id = $1 AND held.vector_store_id = $2"
                f" AND held.status = 'completed'{narrowed}",
                key.project_id,
                key.vector_store_id,
                *(some or ()),
            )
            found += [(_store_files.decode(row[0]), _files.decode(row[1])) for row in rows]
        return found

    async def pages(self, key: StoreKey, file_id: str) -> tuple[str, ...]:
        """The text that was read from a file, page by page."""
        rows = await self._db.fetch(
            f"SELECT pages FROM passage_files WHERE {_LIVE} AND file_id = $3",
            key.project_id,
            key.vector_store_id,
            file_id,
        )
        return msgspec.json.decode(rows[0][0], type=tuple[str, ...]) if rows else ()

    # ------------------------------------------------------------ another model's

    async def is_live(self, tx: Transaction, number: int) -> bool:
        rows = await tx.fetch(
            "SELECT 1 FROM passage_files WHERE number = $1 AND state = 'live'", number
        )
        return bool(rows)

    async def outdated(self, model: str, *, beyond: int, most: int) -> list[Outdated]:
        rows = await self._db.fetch(
            "SELECT number, project_id, vector_store_id, file_id FROM passage_files"
            " WHERE state = 'live' AND model <> $1 AND number > $2 ORDER BY number LIMIT $3",
            model,
            beyond,
            most,
        )
        return [Outdated(row[0], StoreKey(row[1], row[2]), row[3]) for row in rows]

    async def expired_stores(self, now: int, *, most: int = 100) -> list[StoreKey]:
        """Stores whose life is over, of which something can still be searched."""
        rows = await self._db.fetch(
            "SELECT project_id, id FROM vector_stores stores WHERE expires_at <= $1 AND EXISTS"
            " (SELECT 1 FROM passage_files WHERE project_id = stores.project_id"
            " AND vector_store_id = stores.id AND state <> 'dropped') LIMIT $2",
            now,
            most,
        )
        return [StoreKey(*row) for row in rows]

    async def count(self, key: StoreKey, *, reader: Reader | None = None) -> int:
        """How many passages of a store lie in the database, shown or not."""
        rows = await (reader or self._db).fetch(
            f"SELECT COUNT(*) FROM passages JOIN passage_files ON number = passages.id"
            f" >> {PLACE_BITS} WHERE project_id = $1 AND vector_store_id = $2",
            key.project_id,
            key.vector_store_id,
        )
        total: int = rows[0][0]
        return total


def _places(first: int, count: int) -> str:
    return ", ".join(f"${number}" for number in range(first, first + count))
