"""The embedded embedder: its words, its order of meaning, its process."""

import asyncio
from array import array
from pathlib import Path

import pytest

from locum.tools.file_search import minilm
from locum.tools.file_search.embedding import EmbeddingFailed
from locum.tools.file_search.minilm import MiniLm
from locum.tools.file_search.wordpiece import WordPiece

_WORDS = ["[UNK]", "[CLS]", "[SEP]", "hello", "un", "##aff", "##able", "cafe", ",", "你", "'", "s"]
_PIECES = WordPiece({word: number for number, word in enumerate(_WORDS)})


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    asyncio.run(minilm.fetch(folder))
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, unaffable CAFÉ", ["hello", ",", "un", "##aff", "##able", "cafe"]),
        ("hello你hello", ["hello", "你", "hello"]),
        ("hello\x00\ufffd\thello's", ["hello", "hello", "'", "s"]),
        ("unaffablex", ["[UNK]"]),
        ("un" * 60, ["[UNK]"]),
        ("[CLS]", ["[UNK]", "[UNK]", "[UNK]"]),
        ("", []),
    ],
)
def test_text_becomes_the_longest_pieces_known(text: str, words: list[str]) -> None:
    ids = _PIECES.encode(text, most=64)
    assert [_WORDS[number] for number in ids] == ["[CLS]", *words, "[SEP]"]


def test_a_long_text_is_cut_with_its_end_mark_kept() -> None:
    assert _PIECES.encode("hello " * 1000, most=5) == [1, 3, 3, 3, 2]


def test_without_weights_embedding_says_what_to_do(tmp_path: Path) -> None:
    async def once() -> None:
        embedder = MiniLm(tmp_path)
        with pytest.raises(EmbeddingFailed, match="locum model get"):
            await embedder.embed(["x"], kind="query")
        await embedder.close()

    asyncio.run(once())


def test_a_closed_embedder_refuses_instead_of_waiting(tmp_path: Path) -> None:
    async def once() -> None:
        embedder = MiniLm(tmp_path)
        await embedder.close()
        with pytest.raises(EmbeddingFailed, match="closed"):
            await embedder.embed(["x"], kind="query")

    asyncio.run(once())


@pytest.mark.slow
def test_closing_fails_those_who_wait(weights: Path) -> None:
    async def once() -> None:
        embedder = MiniLm(weights)
        waiting = [
            asyncio.create_task(embedder.embed(["x"] * 8, kind="passage")) for _ in range(400)
        ]
        while embedder._process is None:  # noqa: ASYNC110 - nothing announces the process
            await asyncio.sleep(0)
        await embedder.close()
        async with asyncio.timeout(30):
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, EmbeddingFailed) for one in found)

    asyncio.run(once())


@pytest.mark.slow
def test_text_no_encoding_can_carry_is_embedded_all_the_same(weights: Path) -> None:
    async def once() -> int:
        embedder = MiniLm(weights)
        async with asyncio.timeout(20):
            found = await embedder.embed(["\ud83d", "\x00", ""], kind="query")
        await embedder.close()
        return len(found)

    assert asyncio.run(once()) == 3


@pytest.mark.slow
def test_meaning_is_nearer_than_words(weights: Path) -> None:
    texts = [
        "How do I get my money back?",
        "Refunds are paid to the card you bought with, within ten days.",
        "The money plant needs water on its back leaves.",
        "Kubernetes restarts a container that fails its probe.",
    ]

    async def once() -> list["array[float]"]:
        embedder = MiniLm(weights)
        vectors = await embedder.embed(texts, kind="passage")
        await embedder.close()
        return vectors

    vectors = asyncio.run(once())

    assert all(len(vector) == 384 for vector in vectors)
    assert _dot(vectors[0], vectors[0]) == pytest.approx(1.0, abs=1e-5)
    nearness = [_dot(vectors[0], other) for other in vectors[1:]]
    assert nearness == sorted(nearness, reverse=True)


@pytest.mark.slow
def test_a_text_has_one_vector_whatever_comes_with_it(weights: Path) -> None:
    async def once() -> tuple[list["array[float]"], list["array[float]"]]:
        embedder = MiniLm(weights)
        alone = await embedder.embed(["short"], kind="query")
        among = await embedder.embed(["a much longer text " * 20] * 9 + ["short"], kind="passage")
        await embedder.close()
        return alone, among

    alone, among = asyncio.run(once())
    assert alone[0] == among[9]


@pytest.mark.slow
def test_a_query_does_not_wait_behind_many_passages(weights: Path) -> None:
    async def once() -> list[str]:
        embedder = MiniLm(weights)
        done: list[str] = []

        async def embed(name: str, texts: list[str], *, query: bool = False) -> None:
            await embedder.embed(texts, kind="query" if query else "passage")
            done.append(name)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(embed(f"passages {number}", ["words " * 100] * 4))
            group.create_task(embed("query", ["words"], query=True))
        await embedder.close()
        return done

    assert asyncio.run(once())[0] == "query"


@pytest.mark.slow
def test_a_process_that_dies_fails_its_batch_and_starts_again(weights: Path) -> None:
    async def once() -> int:
        embedder = MiniLm(weights)
        await embedder.embed(["x"], kind="query")
        assert embedder._process is not None
        embedder._process.kill()
        with pytest.raises(EmbeddingFailed):
            await embedder.embed(["x"], kind="query")
        found = await embedder.embed(["x"], kind="query")
        await embedder.close()
        return len(found)

    assert asyncio.run(once()) == 1


def _dot(left: "array[float]", right: "array[float]") -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
