"""Search over an index in memory, with vectors a test can see through."""

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from itertools import product
from threading import get_ident
from typing import Literal

import pytest
import quicktok
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.kit.memory_index import MemoryIndex

from locum.tools.file_search.filters import Scalar, parse
from locum.tools.file_search.fuse import candidates, fuse, word_evidence
from locum.tools.file_search.index import Contents, Passage
from locum.tools.file_search.prepare import Chunking, Tokenizer, prepare
from locum.tools.file_search.rewrite import rewrite
from locum.tools.file_search.search import Found, Searcher
from locum.tools.file_search.terms import query_terms, terms

_CL100K = quicktok.get_encoding("cl100k_base")
_TOKENIZER = Tokenizer(_CL100K.encode_ordinary, _CL100K.decode_single_token_bytes)
# Each direction is a meaning; a text has those whose words it holds.
_MEANINGS = (("refund", "money"), ("boat", "ship"), ("bread", "loaf"))


class SeeThroughEmbedder:
    dimensions = 4

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["passage", "query"]
    ) -> list["array[float]"]:
        return [self._vector(text.lower()) for text in texts]

    @staticmethod
    def _vector(text: str) -> "array[float]":
        parts = [float(any(word in text for word in words)) for words in _MEANINGS]
        parts.append(0.0 if any(parts) else 1.0)
        length = sum(part * part for part in parts) ** 0.5
        return array("f", [part / length for part in parts])


# fmt: off
_STRANGE = [
    '"', "'", '" OR 1', "NEAR(", "a* -b ^c:d {e}", "AND", "OR NOT", "%_\\", "𓀀", "\x00", "the",
    "()", "*", "NULL; DROP TABLE passages", "a" * 10_000, "\ud83d", "'; --", "col:val", "!!!",
]
# fmt: on
# No endings, no parts, and of no meaning.
_UNHEARD_OF = ["".join(letters) for letters in product("bcdfgkmp", repeat=3)]
_Files = Mapping[str, tuple[str, Mapping[str, Scalar]]]
_LIBRARY: _Files = {
    "file-1": ("refunds.txt", {"year": 2024}),
    "file-2": ("ships.txt", {"year": 2020}),
    "file-3": ("bread.txt", {}),
}
_TEXTS = {
    "file-1": "A refund takes ten days.",
    "file-2": "The boat QX-2041 leaves at noon.",
    "file-3": "A loaf needs salt. 面包需要盐。",
}


async def _library() -> tuple[MemoryIndex, Searcher]:
    embedder = SeeThroughEmbedder()
    index = MemoryIndex(dimensions=embedder.dimensions)
    for file_id, (filename, attributes) in _LIBRARY.items():
        index.enter("vs_1", file_id, filename, attributes)
        await _add(index, file_id, _TEXTS[file_id])
    return index, Searcher(index, embedder)


async def _add(index: MemoryIndex, file_id: str, text: str) -> None:
    prepared = await prepare(
        text,
        chunking=Chunking(),
        tokenizer=_TOKENIZER,
        embedder=SeeThroughEmbedder(),
        window_tokens=64,
    )
    await index.add("vs_1", file_id, passages=prepared.passages, windows=prepared.windows)


def _search(query: str, *, threshold: float = 0.0, most: int = 10) -> list[Found]:
    async def once() -> list[Found]:
        _, searcher = await _library()
        return await searcher.search(["vs_1"], [query], most=most, threshold=threshold)

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("query", "filename"),
    [
        ("when do I get my money back", "refunds.txt"),
        ("ship", "ships.txt"),
        ("QX-2041", "ships.txt"),
        ("qx2041 or QX 2041", "ships.txt"),
        ("需要盐", "bread.txt"),
    ],
)
def test_meaning_identifiers_and_other_languages_find_their_passage(
    query: str, filename: str
) -> None:
    assert _search(query)[0].filename == filename


@pytest.mark.parametrize("query", _STRANGE)
def test_no_query_is_too_strange(query: str) -> None:
    found = _search(query)
    assert all(0.0 <= one.score <= 1.0 for one in found)


def test_results_are_sorted_by_a_score_between_zero_and_one() -> None:
    scores = [one.score for one in _search("refund boat days")]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 < score <= 1.0 for score in scores)


def test_a_threshold_keeps_what_reaches_it() -> None:
    best = _search("refund")[0].score
    assert [one.filename for one in _search("refund", threshold=best)] == ["refunds.txt"]
    assert _search("unheard of", threshold=0.99) == []


def test_no_more_than_asked_for_are_found() -> None:
    assert len(_search("refund boat bread", most=2)) == 2


def test_an_empty_query_finds_nothing() -> None:
    assert _search(" \n") == []


def test_filters_choose_among_files_before_ranking() -> None:
    async def once() -> list[str]:
        _, searcher = await _library()
        rule = parse({"type": "gte", "key": "year", "value": 2000})
        found = await searcher.search(["vs_1"], ["loaf of bread"], most=10, filters=rule)
        none = parse({"type": "eq", "key": "year", "value": 1})
        assert await searcher.search(["vs_1"], ["bread"], most=10, filters=none) == []
        return sorted(one.filename for one in found)

    assert "bread.txt" not in asyncio.run(once())


def test_what_takes_long_is_done_beside_the_loop() -> None:
    """Long queries, and filters of many files: reaches inside for the threads they run in."""
    threads: dict[str, set[int]] = {"words": set(), "attributes": set()}

    class Terms(str):
        __slots__ = ()

        def split(self, *rest: object) -> list[str]:
            threads["words"].add(get_ident())
            return str(self).split(" ")

    class Attributes(dict[str, Scalar]):
        def get(self, key: str, other: object = None) -> Scalar | None:  # type: ignore[override]  # as it is called
            threads["attributes"].add(get_ident())
            return self[key]

    class Index(MemoryIndex):
        async def passages(self, store_id: str, passage_ids: Sequence[int]) -> list[Passage]:
            found = await super().passages(store_id, passage_ids)
            return [replace(one, terms=Terms(one.terms)) for one in found]

    async def once() -> None:
        index = Index(dimensions=SeeThroughEmbedder.dimensions)
        for number in range(101):
            index.enter("vs_1", f"file-{number}", "x.txt", Attributes(year=number))
        await _add(index, "file-7", _TEXTS["file-1"])
        rule = parse({"type": "eq", "key": "year", "value": 7})
        query = " ".join(["refund", *_UNHEARD_OF[:20]])
        found = await Searcher(index, SeeThroughEmbedder()).search(
            ["vs_1"], [query], most=1, filters=rule
        )
        assert [one.file_id for one in found] == ["file-7"]

    asyncio.run(once())
    assert all(where and get_ident() not in where for where in threads.values())


def test_a_query_is_searched_by_its_first_words() -> None:
    for before, found in ((255, ["bread.txt"]), (256, [])):
        query = " ".join([*_UNHEARD_OF[:before], "salt"])
        assert [one.filename for one in _search(query)] == found


def test_several_queries_are_answered_together() -> None:
    async def once() -> set[str]:
        _, searcher = await _library()
        found = await searcher.search(["vs_1"], ["refund", "ship"], most=2)
        return {one.filename for one in found}

    assert asyncio.run(once()) == {"refunds.txt", "ships.txt"}


def test_a_passage_in_two_stores_is_found_in_both_with_one_score() -> None:
    async def once() -> list[Found]:
        index, searcher = await _library()
        index.enter("vs_2", "file-1", "refunds.txt", {})
        prepared = await prepare(
            _TEXTS["file-1"],
            chunking=Chunking(),
            tokenizer=_TOKENIZER,
            embedder=SeeThroughEmbedder(),
            window_tokens=None,
        )
        await index.add("vs_2", "file-1", passages=prepared.passages, windows=prepared.windows)
        return await searcher.search(["vs_1", "vs_2"], ["refund"], most=2)

    first, second = asyncio.run(once())
    assert {first.store_id, second.store_id} == {"vs_1", "vs_2"}
    assert first.text == second.text


def test_a_removed_or_replaced_file_is_not_found_any_more() -> None:
    async def once() -> None:
        index, searcher = await _library()
        await searcher.search(["vs_1"], ["ship"], most=1)
        await _add(index, "file-2", "A plane leaves at noon.")
        assert all("boat" not in one.text for one in await _all(searcher))
        await index.remove("vs_1", "file-2")
        assert all(one.file_id != "file-2" for one in await _all(searcher))
        for file_id in ("file-1", "file-3"):
            await index.remove("vs_1", file_id)
        assert await _all(searcher) == []

    async def _all(searcher: Searcher) -> list[Found]:
        return await searcher.search(["vs_1"], ["ship boat noon bread"], most=50)

    asyncio.run(once())


def test_searches_at_once_bring_a_store_into_memory_once() -> None:
    class Counted(MemoryIndex):
        brought = 0

        async def contents(self, store_id: str, *, known: Contents | None = None) -> Contents:
            self.brought += 1
            await asyncio.sleep(0)
            return await super().contents(store_id, known=known)

    async def once() -> None:
        index = Counted(dimensions=SeeThroughEmbedder.dimensions)
        index.enter("vs_1", "file-1", "refunds.txt", {})
        await _add(index, "file-1", _TEXTS["file-1"])
        searcher = Searcher(index, SeeThroughEmbedder())
        several = [searcher.search(["vs_1"], ["refund"], most=1) for _ in range(10)]
        assert all(found for found in await asyncio.gather(*several))
        assert index.brought == 1

    asyncio.run(once())


def test_a_long_file_is_found_by_the_window_that_answers() -> None:
    async def once() -> list[Found]:
        index, searcher = await _library()
        index.enter("vs_1", "file-9", "long.txt", {})
        filler = "Nothing of interest stands in this line of the report.\n" * 300
        await _add(index, "file-9", filler + "The ship sank.\n" + filler)
        found = await searcher.search(["vs_1"], ["the ship sank"], most=50)
        return [one for one in found if one.filename == "long.txt"]

    found = asyncio.run(once())
    assert 1 <= len(found) <= 2
    assert all("The ship sank." in one.text for one in found)


def test_usage_is_the_text_of_every_chunk_and_1024_bytes_each() -> None:
    async def once() -> int:
        prepared = await prepare(
            "This is a short text.",
            chunking=Chunking(),
            tokenizer=_TOKENIZER,
            embedder=SeeThroughEmbedder(),
            window_tokens=None,
        )
        return prepared.usage_bytes

    assert asyncio.run(once()) == 1045


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_evidence_never_scores_less(meaning: float, words: float, more: float) -> None:
    score = fuse(meaning, words)
    assert 0.0 <= score <= 1.0
    assert fuse(max(meaning, more), words) >= score
    assert fuse(meaning, max(words, more)) >= score


@given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True), st.lists(st.text("abc ")))
def test_word_evidence_is_a_share(query: list[str], passages: list[str]) -> None:
    evidence = word_evidence(query, dict(enumerate(passages)))
    assert all(0.0 <= one <= 1.0 for one in evidence.values())


def test_a_rare_word_is_more_evidence_than_a_common_one() -> None:
    passages = {1: "common rare", 2: "common other", 3: "common", 4: "rare"}
    evidence = word_evidence(["common", "rare"], passages)
    assert evidence[1] > evidence[4] > evidence[2]


def test_candidates_of_both_rankings_stand_first() -> None:
    assert candidates([[1, 2, 3], [4, 2, 5]], most=3) == [2, 1, 4]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ERR-2041", ["err-2041", "err", "2041"]),
        ("maxTokens", ["maxtoken", "max", "token"]),
        ("max_tokens", ["max_tokens", "max", "token"]),
        ("Crème brûlée", ["crem", "brule"]),
        ("refunds refunded refunding", ["refund", "refund", "refund"]),
        ("policies running the box's boxes", ["policy", "run", "the", "box", "box"]),
        ("don't we’ll", ["don", "we"]),
        ("l'entreprise O’Brien's", ["l", "entrepris", "o", "brien"]),
        ("об'єкт", ["об", "єкт"]),
        ("Łódź", ["łodz", "lodz"]),
        ("Œuvres", ["œuvres", "oeuvr"]),
        ("1,234,567.50", ["567.50", "1234567", "1", "234", "567", "50"]),
        ("你好吗", ["你好", "好吗"]),
        ("학교에서", ["학교", "교에", "에서"]),
        ("ภาษา", ["ภา", "าษ", "ษา"]),
        ("الكتاب والكتاب كِتَاب", ["كتاب", "كتاب", "كتاب"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שָׁלוֹם שלום", ["שלום", "שלום"]),
        ("party 🎉🎉", ["🎉", "🎉", "party"]),
        ("ｆｕｌｌ", ["full"]),
        ("Donau\u00addampf\u00adschiff zero\u200bwidth", ["donaudampfschiff", "zerowidth"]),
        ("\ufeffERR\u2060-\u200e2041", ["err-2041", "err", "2041"]),
    ],
)
def test_words_are_cut_as_people_search_them(text: str, found: list[str]) -> None:
    assert list(terms(text)) == found


@pytest.mark.parametrize(
    "written", ["1,234,567.50", "1.234.567,50", "1’234’567", "1\u202f234\u202f567,50"]
)
def test_a_number_is_found_however_its_digits_are_grouped(written: str) -> None:
    assert "1234567" in terms(f"costs {written} euros")
    assert "1234567" in terms("1234567.50")


@pytest.mark.parametrize("other", ["1,2,3", "12,34", "1,2345", "1.234,567", "v1.234", "0.1.234"])
def test_digits_that_are_no_groups_stay_apart(other: str) -> None:
    assert "".join(filter(str.isdigit, other)) not in terms(other)


@given(st.text())
def test_terms_hold_nothing_a_query_language_knows(text: str) -> None:
    for term in terms(text):
        assert not set(term) & set("\"'*()^{}+ \n")


def test_stop_words_are_searched_when_there_is_nothing_else() -> None:
    assert query_terms("to be or not to be") == ["not"]
    assert query_terms("who is it") == ["who", "is", "it"]


@pytest.mark.parametrize(
    ("asked", "searched"),
    [
        ("Can you please tell me what the refund policy is?", "the refund policy is"),
        ("What is the notice period for contractors?", "the notice period for contractors"),
        ("QX-2041", "QX-2041"),
        ("what is?", "what is?"),
        ("  Hello, how do I reset   the router? Thanks!", "reset the router"),
        ("Wie lange dauert der Versand?", "Wie lange dauert der Versand"),
    ],
)
def test_a_rewritten_query_keeps_what_is_searched_for(asked: str, searched: str) -> None:
    assert rewrite(asked) == searched


@pytest.mark.parametrize("hostile", ["ab " + "?" * 200_000 + "x", "ab " + "please " * 20_000 + "x"])
def test_a_long_query_is_rewritten_in_one_pass(hostile: str) -> None:
    """With a backtracking pattern this would take half an hour, while all others wait."""
    assert rewrite(hostile) == " ".join(hostile.split())


def test_a_long_word_is_looked_through_once() -> None:
    assert query_terms("a" * 200_000) == ["a" * 64]


def test_a_heap_of_signs_on_a_letter_is_put_in_order_part_by_part() -> None:
    """At once it would take a processor for minutes."""
    assert query_terms("a" + "\u0301\u0323" * 300_000) == ["a"]


def test_letters_keep_their_signs_in_a_long_text() -> None:
    assert set(terms("한글 ".join(["\u1112\u1161\u11ab\u1100\u1173\u11af "] * 1_000))) == {"한글"}
