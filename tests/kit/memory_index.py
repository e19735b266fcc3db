"""A passage index in memory, for tests, and BM25 said plainly: what the packed words agree with."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import count

import numpy as np
from msgspec import Struct

from locum.store.passages import PLACE_BITS
from locum.tools.file_search.filters import Attributes
from locum.tools.file_search.index import (
    Contents,
    FileEntry,
    NewPassage,
    NewWindow,
    Passage,
    arranged,
)
from locum.tools.file_search.words import Words, pack, unpacked

_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


class MemoryIndex:
    def __init__(self, *, dimensions: int) -> None:
        self._dimensions = dimensions
        self._stores: dict[str, _Store] = defaultdict(_Store)
        self._numbers = count(1)

    def enter(self, store_id: str, file_id: str, filename: str, attributes: Attributes) -> None:
        """Attach a file to a store, as the vector store's own table does elsewhere."""
        self._stores[store_id].entries[file_id] = FileEntry(filename, attributes)

    async def add(
        self,
        store_id: str,
        file_id: str,
        *,
        passages: Sequence[NewPassage],
        windows: Sequence[NewWindow],
    ) -> None:
        store = self._stores[store_id]
        store.drop(file_id)
        first = next(self._numbers) << PLACE_BITS
        ids = [first + place for place in range(len(passages))]
        for passage_id, passage in zip(ids, passages, strict=True):
            store.passages[passage_id] = Passage(passage_id, file_id, passage.text, passage.terms)
            store.counts[passage_id] = Counter(passage.terms.split())
        store.windows[file_id] = [
            (one.vector, ids[one.first_passage], ids[one.last_passage]) for one in windows
        ]
        store.version += 1

    async def remove(self, store_id: str, file_id: str) -> None:
        store = self._stores[store_id]
        store.drop(file_id)
        store.entries.pop(file_id, None)
        store.version += 1

    async def files(
        self, store_id: str, *, only: Collection[str] | None = None
    ) -> Mapping[str, FileEntry]:
        entries = self._stores[store_id].entries
        return entries if only is None else {one: entries[one] for one in only if one in entries}

    async def version(self, store_id: str) -> int:
        return self._stores[store_id].version

    async def contents(self, store_id: str, *, known: Contents | None = None) -> Contents:
        store = self._stores[store_id]
        windows = [window for windows in store.windows.values() for window in windows]
        vectors = np.frombuffer(b"".join(vector for vector, _, _ in windows), dtype="<f4")
        words = Words()
        for passage_id, passage in store.passages.items():
            words = words.with_part(unpacked(pack([passage.terms]), passage_id))
        return Contents(
            version=store.version,
            file_ids={n >> PLACE_BITS: one.file_id for n, one in store.passages.items()},
            matrix=arranged(
                vectors=vectors.reshape(len(windows), self._dimensions),
                first=np.array([first for _, first, _ in windows], dtype=np.int64),
                last=np.array([last for _, _, last in windows], dtype=np.int64),
                passage_ids=np.array(sorted(store.passages), dtype=np.int64),
            ),
            words=words,
        )

    def ranked(
        self, store_id: str, terms: Sequence[str], *, within: Collection[str] | None, most: int
    ) -> list[int]:
        """BM25, one term and one passage after the other."""
        store = self._stores[store_id]
        scores: dict[int, float] = defaultdict(float)
        total = max(1, len(store.counts))
        mean = sum(map(Counter.total, store.counts.values())) / total
        for term in terms:
            holders = [one for one, counts in store.counts.items() if term in counts]
            rarity = math.log(1 + (total - len(holders) + 0.5) / (len(holders) + 0.5))
            for passage_id in holders:
                counts = store.counts[passage_id]
                length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * counts.total() / mean
                times = counts[term]
                gain = times * (_SATURATION + 1) / (times + _SATURATION * length)
                scores[passage_id] += rarity * gain
        allowed = [one for one in scores if within is None or store.passages[one].file_id in within]
        return sorted(allowed, key=lambda one: (-scores[one], one))[:most]

    async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
        kept = self._stores[store_id].passages
        return [kept[one] for one in passage_ids if one in kept]


class _Store(Struct):
    version: int = 0
    entries: dict[str, FileEntry] = {}
    passages: dict[int, Passage] = {}
    counts: dict[int, Counter[str]] = {}
    windows: dict[str, list[tuple[bytes, int, int]]] = {}

    def drop(self, file_id: str) -> None:
        for passage_id in [
            one.passage_id for one in self.passages.values() if one.file_id == file_id
        ]:
            del self.passages[passage_id]
            del self.counts[passage_id]
        self.windows.pop(file_id, None)
