"""How often the right passage is found: words alone, meaning alone, both.

    python -m benchmarks.retrieval FOLDER_OF_WEIGHTS

Writes RESULTS.md beside this file. Every second question tunes; only the others are reported.
"""

import asyncio
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import quicktok
from benchmarks.retrieval import speed
from benchmarks.retrieval.corpus import Corpus, Question, build
from msgspec import Struct
from tests.kit.memory_index import MemoryIndex

from locum.tools.file_search import minilm, search
from locum.tools.file_search.fuse import TRUST, candidates, fuse, word_evidence
from locum.tools.file_search.index import Contents
from locum.tools.file_search.prepare import Chunking, Tokenizer, prepare
from locum.tools.file_search.terms import query_terms

_CL100K = quicktok.get_encoding("cl100k_base")
_TOKENIZER = Tokenizer(_CL100K.encode_ordinary, _CL100K.decode_single_token_bytes)
_STORE = "vs_benchmark"
_CHUNKINGS = (Chunking(800, 400), Chunking(200, 100))
_TRUSTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Evidence(Struct, frozen=True):
    """What both opinions say of one question; every ranking is made of this."""

    question: Question
    by_words: list[int]
    by_meaning: list[int]
    meaning: Mapping[int, float]
    words: Mapping[int, float]
    right: frozenset[int]


class Score(Struct, frozen=True):
    recall_5: float
    recall_20: float
    mrr: float


Ranking = Callable[[Evidence], Sequence[int]]


def by_words(one: Evidence) -> Sequence[int]:
    return one.by_words


def by_meaning(one: Evidence) -> Sequence[int]:
    return one.by_meaning


def by_ranks(one: Evidence) -> Sequence[int]:
    return candidates([one.by_words, one.by_meaning], most=100)


def by_evidence(trust: float) -> Ranking:
    def rank(one: Evidence) -> Sequence[int]:
        scores = {n: fuse(one.meaning[n], one.words[n], trust=trust) for n in one.words}
        return sorted(scores, key=lambda n: (-scores[n], n))

    return rank


def measure(ranking: Ranking, evidence: Sequence[Evidence]) -> Score:
    ranks = [
        next((rank for rank, n in enumerate(ranking(one), 1) if n in one.right), 0)
        for one in evidence
    ]
    count = len(evidence)
    return Score(
        recall_5=sum(0 < rank <= 5 for rank in ranks) / count,
        recall_20=sum(0 < rank <= 20 for rank in ranks) / count,
        mrr=sum(1 / rank for rank in ranks if rank) / count,
    )


async def gather(
    corpus: Corpus, embedder: minilm.MiniLm, chunking: Chunking
) -> tuple[list[Evidence], int, float]:
    """The evidence for every question, the number of passages, and how many were made a second."""
    index = MemoryIndex(dimensions=embedder.dimensions)
    began = time.perf_counter()
    for document in corpus.documents:
        index.enter(_STORE, document.name, document.name, {})
        made = await prepare(
            document.text,
            chunking=chunking,
            tokenizer=_TOKENIZER,
            embedder=embedder,
            window_tokens=embedder.window_tokens,
            title=document.name.split(".")[0],
        )
        await index.add(_STORE, document.name, passages=made.passages, windows=made.windows)
    took = time.perf_counter() - began
    contents = await index.contents(_STORE)
    evidence = [await _weigh(question, index, contents, embedder) for question in corpus.questions]
    made_passages = len(contents.matrix.passage_ids)
    return evidence, made_passages, made_passages / took


async def _weigh(
    question: Question, index: MemoryIndex, contents: Contents, embedder: minilm.MiniLm
) -> Evidence:
    (vector,) = await embedder.embed([question.text], kind="query")
    matrix = contents.matrix
    cosines = search._nearest(matrix, np.frombuffer(vector, dtype=np.float32))  # noqa: SLF001
    meaning = dict(zip(matrix.passage_ids.tolist(), cosines.tolist(), strict=True))
    wanted = query_terms(question.text)
    by_meaning = sorted(meaning, key=lambda n: (-meaning[n], n))[: search._NOMINATED]  # noqa: SLF001
    by_words = contents.words.best(wanted, most=search._NOMINATED)  # noqa: SLF001
    nominated = candidates([by_meaning, by_words], most=2 * search._NOMINATED)  # noqa: SLF001
    passages = await index.passages(_STORE, nominated)
    everything = await index.passages(_STORE, matrix.passage_ids.tolist())
    right = frozenset(
        one.passage_id
        for one in everything
        if one.file_id == question.document and question.answer in one.text
    )
    assert right, question
    words = word_evidence(wanted, {one.passage_id: one.terms for one in passages})
    return Evidence(question, by_words, by_meaning, meaning, words, right)


async def main(weights: Path) -> None:
    corpus = build()
    assert (len(corpus.documents), len(corpus.questions)) == (60, 200)
    await minilm.fetch(weights)
    embedder = minilm.MiniLm(weights)
    lines = _head(corpus)
    for chunking in _CHUNKINGS:
        evidence, passages, rate = await gather(corpus, embedder, chunking)
        lines += _table(chunking, evidence, passages, rate)
    await embedder.close()
    lines += await speed.table()
    text = "\n".join(lines) + "\n"
    Path(__file__).with_name("RESULTS.md").write_text(text)
    print(text)


def _head(corpus: Corpus) -> list[str]:
    today = datetime.now(UTC).date()
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return [
        "# Finding the right passage",
        "",
        (
            f"`python -m benchmarks.retrieval`, {today}, {machine}. "
            f"{len(corpus.documents)} documents, "
            f"{len(corpus.questions)} questions of our own, the embedded embedder. Every second "
            "question was used to tune the fusion; the numbers are those of the other hundred. A "
            "question is answered when a passage that holds the whole fact is among the first 5 or "
            "20; MRR is the mean of one over its place."
        ),
    ]


def _table(
    chunking: Chunking, evidence: Sequence[Evidence], passages: int, rate: float
) -> list[str]:
    tuning, held_out = evidence[::2], evidence[1::2]
    rankings = {
        "words alone (BM25)": by_words,
        "meaning alone (cosine)": by_meaning,
        "ranks fused (RRF, k = 60)": by_ranks,
        f"**evidence fused (trust {TRUST})**": by_evidence(TRUST),
    }
    lines = [
        "",
        (
            f"## Chunks of {chunking.max_tokens} tokens, {chunking.overlap} repeated: {passages} "
            f"passages, {rate:.1f} made a second"
        ),
        "",
        "| ranking | recall@5 | recall@20 | MRR |",
        "|---|---|---|---|",
    ]
    lines += [_row(name, measure(ranking, held_out)) for name, ranking in rankings.items()]
    lines += ["", "MRR by kind of question:", "", "| kind | count | words | meaning | fused |"]
    lines += ["|---|---|---|---|---|"]
    for kind in dict.fromkeys(one.question.kind for one in held_out):
        some = [one for one in held_out if one.question.kind == kind]
        scores = [measure(r, some).mrr for r in (by_words, by_meaning, by_evidence(TRUST))]
        lines.append(f"| {kind} | {len(some)} | " + " | ".join(f"{s:.3f}" for s in scores) + " |")
    tuned = ", ".join(f"{t} → {measure(by_evidence(t), tuning).mrr:.3f}" for t in _TRUSTS)
    lines += ["", f"MRR of the tuning half by trust: {tuned}."]
    return lines


def _row(name: str, score: Score) -> str:
    return f"| {name} | {score.recall_5:.3f} | {score.recall_20:.3f} | {score.mrr:.3f} |"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
