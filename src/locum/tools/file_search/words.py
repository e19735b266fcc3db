"""The words of a store's passages, held in memory and ranked by BM25: alike over every database.

A file's words are packed when it is read. Those of a store are merged when it is first searched;
what comes later is a small part beside the large one until enough has come to merge them, so
that a new file costs its own size and not its store's.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from locum.store.passages import PLACE_BITS

Numbers = NDArray[np.int64]

_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
_MOST_TIMES = 255
_HEADER = 4
# A part may be this many times as large as the one behind it before the two are merged.
_LARGER = 2


class Part(Struct, frozen=True):
    """Terms by their hash, ascending; term `n` is held by `holders[starts[n]:starts[n + 1]]`.

    Holders are places among `passage_ids`; `times` says how often each holds the term.
    """

    passage_ids: Numbers
    # How many terms each passage has.
    lengths: NDArray[np.uint32]
    hashes: NDArray[np.uint64]
    starts: Numbers
    holders: NDArray[np.uint32]
    times: NDArray[np.uint8]

    @property
    def size_bytes(self) -> int:
        arrays: Sequence[NDArray[Any]] = (self.passage_ids, self.lengths, self.hashes, self.starts)
        return sum(part.nbytes for part in (*arrays, self.holders, self.times))

    def of(self, term: np.uint64) -> slice:
        place = int(np.searchsorted(self.hashes, term))
        if place == len(self.hashes) or self.hashes[place] != term:
            return slice(0, 0)
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def only(self, kept: NDArray[np.bool_]) -> "Part":
        """Without the passages that are not kept."""
        if kept.all():
            return self
        places = (np.cumsum(kept) - 1).astype(np.uint32)
        held = kept[self.holders]
        before = np.concatenate([[0], np.cumsum(held)])
        return Part(
            passage_ids=self.passage_ids[kept],
            lengths=self.lengths[kept],
            hashes=self.hashes,
            starts=before[self.starts],
            holders=places[self.holders[held]],
            times=self.times[held],
        )


class Words(Struct, frozen=True):
    """Every passage of one store, in parts from large to small."""

    parts: tuple[Part, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    def only(self, files: Numbers) -> "Words":
        """Without the passages of other files than those of these numbers."""
        parts = [part.only(np.isin(part.passage_ids >> PLACE_BITS, files)) for part in self.parts]
        return Words(tuple(part for part in parts if len(part.passage_ids)))

    def with_part(self, part: Part) -> "Words":
        parts = [*self.parts, part]
        while len(parts) > 1 and parts[-2].size_bytes <= _LARGER * parts[-1].size_bytes:
            parts[-2:] = [merged(parts[-2:])]
        return Words(tuple(parts))

    def best(self, terms: Sequence[str], *, most: int, among: Numbers | None = None) -> list[int]:
        """The passages of the highest rank, by id; `among` files of these numbers, if given."""
        total = sum(len(part.passage_ids) for part in self.parts)
        said = sum(int(part.lengths.sum()) for part in self.parts)
        if not said:
            return []
        hashes = [_hash(term) for term in terms]
        held = [[part.of(term) for term in hashes] for part in self.parts]
        weights = [_rarity(sum(map(_size, of)), total) for of in zip(*held, strict=True)]
        ids: list[Numbers] = []
        scores: list[NDArray[np.float64]] = []
        for part, slices in zip(self.parts, held, strict=True):
            found = _scores(part, slices, weights, said / total)
            if among is not None:
                found[~np.isin(part.passage_ids >> PLACE_BITS, among)] = 0
            places = np.flatnonzero(found)
            ids.append(part.passage_ids[places])
            scores.append(found[places])
        return _highest(np.concatenate(ids), np.concatenate(scores), most=most)


def pack(passages: Sequence[str]) -> bytes:
    """The words of passages that follow each other; each comes as its terms, joined by spaces."""
    held: dict[int, dict[int, int]] = {}
    lengths: list[int] = []
    hashes: dict[str, int] = {}
    for place, joined in enumerate(passages):
        terms = joined.split()
        lengths.append(len(terms))
        for term in terms:
            known = hashes.get(term)
            if known is None:
                known = hashes[term] = int(_hash(term))
            times = held.setdefault(known, {})
            times[place] = times.get(place, 0) + 1
    ordered = sorted(held.items())
    counts = [len(times) for _, times in ordered]
    places = [place for _, times in ordered for place in times]
    often = [min(count, _MOST_TIMES) for _, times in ordered for count in times.values()]
    return b"".join(
        [
            np.array([len(lengths), len(ordered), len(places), 0], dtype="<u4").tobytes(),
            np.array([known for known, _ in ordered], dtype="<u8").tobytes(),
            np.array(lengths, dtype="<u4").tobytes(),
            np.array(counts, dtype="<u4").tobytes(),
            np.array(places, dtype="<u4").tobytes(),
            np.array(often, dtype="u1").tobytes(),
        ]
    )


def unpacked(data: bytes, first_id: int) -> Part:
    """What `pack` made of passages of which the first has this id."""
    passages, terms, holders, _ = np.frombuffer(data, dtype="<u4", count=_HEADER).tolist()
    at = 4 * _HEADER
    hashes = np.frombuffer(data, dtype="<u8", count=terms, offset=at)
    lengths, counts, places = (
        np.frombuffer(data, dtype="<u4", count=count, offset=at + 8 * terms + 4 * before)
        for count, before in ((passages, 0), (terms, passages), (holders, passages + terms))
    )
    return Part(
        passage_ids=np.arange(first_id, first_id + passages, dtype=np.int64),
        lengths=lengths,
        hashes=hashes,
        starts=_starts(counts),
        holders=places,
        times=np.frombuffer(data, dtype="u1", count=holders, offset=len(data) - holders),
    )


def merged(parts: Sequence[Part]) -> Part:
    """One part of several that share no passage."""
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    before = np.cumsum([0, *(len(part.passage_ids) for part in parts)])
    holders = np.concatenate(
        [part.holders + np.uint32(first) for part, first in zip(parts, before, strict=False)]
    )
    times = np.concatenate([part.times for part in parts])
    hashes = np.concatenate([part.hashes for part in parts])
    order = np.argsort(hashes, kind="stable")
    begins, lengths = _starts(counts)[:-1][order], counts[order]
    ends = np.cumsum(lengths)
    taken = np.repeat(begins - (ends - lengths), lengths) + np.arange(len(holders))
    hashes = hashes[order]
    new = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
    return Part(
        passage_ids=np.concatenate([part.passage_ids for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        hashes=hashes[new],
        starts=np.append((ends - lengths)[new], len(holders)),
        holders=holders[taken],
        times=times[taken],
    )


def _scores(
    part: Part, slices: Sequence[slice], weights: Sequence[float], mean: float
) -> NDArray[np.float64]:
    scores = np.zeros(len(part.passage_ids))
    lengths = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * part.lengths / mean
    for held, weight in zip(slices, weights, strict=True):
        holders, times = part.holders[held], part.times[held].astype(np.float64)
        gains = times * (_SATURATION + 1) / (times + _SATURATION * lengths[holders])
        scores[holders] += weight * gains
    return scores


def _highest(ids: Numbers, scores: NDArray[np.float64], *, most: int) -> list[int]:
    if len(ids) > most:
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        ids, scores = ids[scores >= least], scores[scores >= least]
    order = np.lexsort((ids, -scores))[:most]
    found: list[int] = ids[order].tolist()
    return found


def _rarity(holders: int, total: int) -> float:
    return math.log(1 + (total - holders + 0.5) / (holders + 0.5))


def _starts(counts: NDArray[Any]) -> Numbers:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _size(held: slice) -> int:
    size: int = held.stop - held.start
    return size


def _hash(term: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little"))
