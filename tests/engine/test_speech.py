"""Text on its way into a message: markers become citations, links become file paths."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.engine.speech import Speech
from locum.wire.messages import Annotation, FileCitation, FilePath

CITATIONS = {"【4:0†menu.txt】": "file-menu", "【4:1†wine 🍷.txt】": "file-wine"}
PATHS = {"/mnt/data/a.csv": "file-a", "/mnt/data/a.csv.gz": "file-gz"}
SAID = (
    "😀 日本 【4:0†menu.txt】 and 【unknown】, 【4:1†wine 🍷.txt】【 open"
    " [x](sandbox:/mnt/data/a.csv) (sandbox:/mnt/data/a.csv.gz) sandbox:/mnt/data/b.csv"
    " sandbox:/mnt/data/a.csv"
)


def speak(pieces: list[str]) -> tuple[str, list[Annotation]]:
    speech = Speech(citations=CITATIONS, paths=PATHS)
    told = [part for piece in pieces for part in speech.feed(piece)]
    told += speech.end()
    text = "".join(text for text, _ in told)
    return text, [annotation for _, annotation in told if annotation is not None]


def test_annotations_stand_where_their_text_stands_in_code_points() -> None:
    text, annotations = speak([SAID])
    assert text == SAID
    assert [text[a.start_index : a.end_index] for a in annotations] == [
        "【4:0†menu.txt】",
        "【4:1†wine 🍷.txt】",
        "sandbox:/mnt/data/a.csv",
        "sandbox:/mnt/data/a.csv.gz",
        "sandbox:/mnt/data/a.csv",
    ]
    assert [a.text for a in annotations] == [text[a.start_index : a.end_index] for a in annotations]
    assert [
        a.file_citation.file_id if isinstance(a, FileCitation) else a.file_path.file_id
        for a in annotations
    ] == ["file-menu", "file-wine", "file-a", "file-gz", "file-a"]


@given(st.lists(st.integers(0, len(SAID)), max_size=12))
def test_how_the_text_arrives_makes_no_difference(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(SAID)]
    pieces = [SAID[a:b] for a, b in itertools.pairwise(borders)]
    assert speak(pieces) == speak([SAID])


@given(st.lists(st.text("【】†a:/ ", max_size=5), max_size=30))
def test_no_text_is_ever_lost(pieces: list[str]) -> None:
    assert speak(pieces)[0] == "".join(pieces)


def test_a_marker_arrives_whole_together_with_its_annotation() -> None:
    speech = Speech(citations=CITATIONS, paths={})
    assert list(speech.feed("See 【4:0†me")) == [("See ", None)]
    [(text, annotation)] = speech.feed("nu.txt】")
    assert text == "【4:0†menu.txt】"
    assert isinstance(annotation, FileCitation)


def test_a_bracket_that_opens_no_marker_is_let_go_when_it_runs_on() -> None:
    speech = Speech(citations=CITATIONS, paths={})
    assert list(speech.feed("【" + "x" * 299)) == []
    assert "".join(text for text, _ in speech.feed("y")) == "【" + "x" * 299 + "y"


def test_a_bracket_left_open_before_a_marker_does_not_swallow_it() -> None:
    text, [annotation] = speak(["【 see 【【4:0†menu.txt】"])
    assert text[annotation.start_index : annotation.end_index] == "【4:0†menu.txt】"


@pytest.mark.parametrize(
    "link",
    [
        "sandbox:/mnt/data/ünï köd (1).csv",
        "sandbox:/mnt/data/ünï%20köd%20(1).csv",
        "sandbox:/mnt/data/%C3%BCn%C3%AF%20k%C3%B6d%20(1).csv",
        "sandbox:/mnt/data/%C3%BCn%C3%AF%20k%C3%B6d%20%281%29.csv",
    ],
)
def test_a_link_may_be_written_as_links_are(link: str) -> None:
    """Markdown takes no space in a link: models write the name as an address."""
    speech = Speech(citations={}, paths={"/mnt/data/ünï köd (1).csv": "file-a"})

    told = [*speech.feed(f"Here: [it]({link})."), *speech.end()]

    [found] = [annotation for _, annotation in told if annotation is not None]
    assert isinstance(found, FilePath)
    assert (found.text, found.start_index) == (link, 11)
    assert found.file_path.file_id == "file-a"


def test_a_name_that_is_another_in_an_address_is_its_own() -> None:
    paths = {"/mnt/data/a%20b": "file-percent", "/mnt/data/a b": "file-space"}
    speech = Speech(citations={}, paths=paths)

    told = [*speech.feed("sandbox:/mnt/data/a%20b"), *speech.end()]

    found = [a.file_path.file_id for _, a in told if isinstance(a, FilePath)]
    assert found == ["file-percent"]


def test_a_link_waits_for_the_longer_one_that_it_may_still_become() -> None:
    speech = Speech(citations={}, paths=PATHS)
    assert list(speech.feed("sandbox:/mnt/data/a.csv")) == [("sandbox:/mnt/data/a.csv", None)]
    told = list(speech.feed(".gz"))
    assert [a.file_path.file_id for _, a in told if isinstance(a, FilePath)] == ["file-gz"]


def test_no_link_is_tried_for_every_mention() -> None:
    """Were each, this would take minutes."""
    paths = {f"/mnt/data/{'folder/' * 20}{at}.csv": f"file-{at}" for at in range(10_000)}
    mention = f"sandbox:/mnt/data/{'folder/' * 20}"
    speech = Speech(citations={}, paths=paths)
    told = [*speech.feed(f"{mention}nothing " * 20_000 + f"{mention}7.csv"), *speech.end()]
    [link] = [annotation for _, annotation in told if annotation is not None]
    assert isinstance(link, FilePath)
    assert (link.text, link.file_path.file_id) == (f"{mention}7.csv", "file-7")


def test_brackets_that_cite_nothing_are_told_together() -> None:
    speech = Speech(citations=CITATIONS, paths={})
    told = [*speech.feed("【" * 10_000 + "【unknown】" * 10_000), *speech.end()]
    assert told == [("【" * 10_000 + "【unknown】" * 10_000, None)]


def test_a_link_may_come_in_pieces_after_much_else() -> None:
    pieces = ["sandbox: " * 1_000, "san", "dbox:/mnt/da", "ta/a.csv", " and more"]
    text, [annotation] = speak(pieces)
    assert text[annotation.start_index : annotation.end_index] == "sandbox:/mnt/data/a.csv"


def test_what_was_said_is_not_kept_to_look_for_links() -> None:
    speech = Speech(citations=CITATIONS, paths=PATHS)
    tracemalloc.start()
    try:
        for _ in range(5_000):
            assert list(speech.feed("word " * 20)) == [("word " * 20, None)]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000
