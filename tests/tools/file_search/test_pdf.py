"""What PDFium leaves undone in the text of a PDF."""

from pathlib import Path

import pytest
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import extract

# The accents of the standard fonts stand at places of their own.
_GRAVE, _ACUTE, _DIERESIS, _CARON, _CEDILLA = "\xc1", "\xc2", "\xc8", "\xcf", "\xcb"


def _text(tmp_path: Path, drawn: str) -> str:
    return extract(tmp_path, "a.pdf", documents.drawn_pdf(drawn)).text


def _annotation(kind: str, *, flags: int = 4) -> str:
    return (
        f"<< /Type /Annot /Subtype /{kind} /F {flags} /Rect [72 600 272 620] /AP << /N 6 0 R >> >>"
    )


def _appearance(words: str) -> str:
    return _form(f"BT /F1 12 Tf 2 5 Td ({words}) Tj ET", box="0 0 200 20")


def _form(drawn: str, *, box: str) -> str:
    return (
        f"<< /Type /XObject /Subtype /Form /BBox [{box}] /Resources << /Font << /F1 3 0 R >> "
        f">> /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    )


def _spelled(word: str, *, x: int = 72) -> str:
    """A word from left to right in the order it is seen, as browsers spell it out."""
    return "".join(
        f"/Span << /ActualText <feff{letter.encode('utf-16-be').hex()}> >> BDC "
        f"1 0 0 1 {x + 6 * place} 720 Tm (x) Tj EMC "
        for place, letter in enumerate(word)
    )


def _spans(*spans: str, at: int = 72) -> str:
    """Each in three glyphs, one span close behind the other."""
    drawn = ""
    for span in spans:
        glyphs = " ".join(f"1 0 0 1 {at + 6 * place} 720 Tm (x) Tj" for place in range(3))
        words = span.encode("utf-16-be").hex()
        drawn += f"/Span << /ActualText <feff{words}> >> BDC {glyphs} EMC "
        at += 18
    return drawn


@pytest.mark.parametrize("kind", ["Widget /FT /Tx /T (name) /V (Ann)", "FreeText", "Stamp"])
def test_what_is_filled_in_or_written_upon_a_page_is_read(tmp_path: Path, kind: str) -> None:
    page = documents.drawn_pdf(
        "72 720 Td (Name:) Tj",
        annotations="<< /Subtype /Link /Rect [0 0 9 9] >>" + _annotation(kind),
        objects=[_appearance("Ann Smith")],
    )
    assert extract(tmp_path, "a.pdf", page).text == "Name:\nAnn Smith"


def test_what_is_hidden_upon_a_page_is_not_read(tmp_path: Path) -> None:
    page = documents.drawn_pdf(
        "72 720 Td (Name:) Tj",
        annotations=_annotation("FreeText", flags=2),
        objects=[_appearance("Ann Smith")],
    )
    assert extract(tmp_path, "a.pdf", page).text == "Name:"


def test_a_page_of_very_many_annotations_is_read_without_them(tmp_path: Path) -> None:
    page = documents.drawn_pdf(
        "72 720 Td (Name:) Tj",
        annotations=_annotation("FreeText") * 10_001,
        objects=[_appearance("Ann Smith")],
    )
    assert extract(tmp_path, "a.pdf", page).text == "Name:"


@pytest.mark.parametrize("word", ["مرحبا", "بخوانم", "שלום"])
def test_words_from_right_to_left_that_are_spelled_out_as_seen_are_turned_round(
    tmp_path: Path, word: str
) -> None:
    assert _text(tmp_path, _spelled(word[::-1])) == word


def test_digits_among_words_from_right_to_left_stay_as_they_are(tmp_path: Path) -> None:
    assert _text(tmp_path, _spelled("٢٠٢٤")) == "٢٠٢٤"


@pytest.mark.parametrize("other", ["😀", "x"])
def test_words_are_turned_round_behind_what_is_counted_otherwise(
    tmp_path: Path, other: str
) -> None:
    """A character of two halves, and one beyond the edge of the page."""
    drawn = _spelled(other, x=20 if other == "😀" else -40) + _spelled("مرحبا"[::-1])
    assert _text(tmp_path, drawn).removeprefix(other).strip() == "مرحبا"


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (f"[(M{_DIERESIS}) 333 (uller)] TJ", "Müller"),
        (f"[(Na{_DIERESIS}) 306 (\xf5ve)] TJ", "Naïve"),
        (f"[(tr{_GRAVE}) 333 (es)] TJ", "très"),
        (f"[(Fran{_CEDILLA}) 333 (cois)] TJ", "François"),
        (f"[(Is) 417 ({_CEDILLA})] TJ", "Iş"),
        (f"2 3 Td ({_CARON}) Tj -2 -3 Td (Skoda) Tj", "Škoda"),
        # No letter has all of these, or these are beside their letters.
        (f"[(q{_DIERESIS}) 333 (q)] TJ", "q¨q"),
        (f"(it{_ACUTE}s) Tj", "it´s"),
        (f"({_ACUTE}{_ACUTE}) Tj", "´´"),
        (f"({_GRAVE}a{_GRAVE} and x{_GRAVE}e{_GRAVE}) Tj", "`a` and x`e`"),
        ("(a~n e^e) Tj", "a~n e^e"),
    ],
)
def test_an_accent_over_or_under_a_letter_is_made_one_with_it(
    tmp_path: Path, drawn: str, text: str
) -> None:
    assert _text(tmp_path, f"72 720 Td {drawn}") == text


def test_an_accent_beside_a_letter_of_a_line_that_runs_upwards_stays(tmp_path: Path) -> None:
    assert _text(tmp_path, f"0 1 -1 0 300 300 Tm (it{_ACUTE}s) Tj") == "it´s"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("infor-", "mation"), "information"),
        (("ISO-", "9001"), "ISO-9001"),
        (("Karl-", "Marx"), "Karl-Marx"),
        (("INTERNA-", "TIONAL"), "INTERNATIONAL"),
    ],
)
def test_a_word_broken_at_the_end_of_a_line_is_made_whole(
    tmp_path: Path, lines: tuple[str, str], text: str
) -> None:
    first, second = lines
    assert _text(tmp_path, f"72 720 Td ({first}) Tj 0 -14 Td ({second}) Tj") == text


def test_a_word_broken_by_a_hyphen_that_is_no_minus_is_made_whole(tmp_path: Path) -> None:
    drawn = _spelled("inter\u2010") + "1 0 0 1 72 700 Tm (national) Tj"
    assert _text(tmp_path, drawn) == "international"


@pytest.mark.parametrize(
    ("turn", "at"),
    [("0 1 -1 0", (100, 100)), ("0 -1 1 0", (100, 700)), ("-1 0 0 -1", (500, 100))],
)
@pytest.mark.parametrize("shown", [0, 90, 180, 270])
def test_lines_of_a_page_that_lies_on_its_side_are_read_one_by_one(
    tmp_path: Path, turn: str, at: tuple[int, int], shown: int
) -> None:
    lines = " 0 -16 Td ".join(f"(line {number} ends) Tj" for number in range(4))
    page = documents.drawn_pdf(
        f"{turn} {at[0]} {at[1]} Tm {lines}", annotations=f"] /Rotate {shown} /Nothing ["
    )
    text = extract(tmp_path, "a.pdf", page).text
    assert text.split("\n") == [f"line {number} ends" for number in range(4)]


@pytest.mark.parametrize("shown", [90, 180, 270])
def test_lines_that_are_shown_on_their_side_are_read_from_the_first(
    tmp_path: Path, shown: int
) -> None:
    drawn = "72 720 Td (first) Tj 0 -16 Td (second) Tj"
    page = documents.drawn_pdf(drawn, annotations=f"] /Rotate {shown} /Nothing [")
    assert extract(tmp_path, "a.pdf", page).text == "first\nsecond"


def test_a_line_that_runs_upwards_beside_others_turns_no_page(tmp_path: Path) -> None:
    drawn = "72 720 Td (first line) Tj 0 -16 Td (second line) Tj 0 1 -1 0 30 300 Tm (side) Tj"
    assert _text(tmp_path, drawn) == "first line\nsecond line\nside"


@pytest.mark.parametrize("word", [("हि", "न्दी"), ("மொ", "ழி"), ("မြ", "န်", "မာ")])
def test_a_word_is_whole_though_its_letters_are_drawn_with_signs(
    tmp_path: Path, word: tuple[str, ...]
) -> None:
    assert _text(tmp_path, _spans(*word)) == "".join(word)


def test_a_word_is_whole_in_what_is_drawn_as_one_part_of_a_page(tmp_path: Path) -> None:
    form = _form(f"BT /F1 12 Tf {_spans('हि', 'न्दी')} ET", box="0 0 612 792")
    resources = "/Resources << /Font << /F1 3 0 R >> /XObject << /X1 6 0 R >> >> /Annots ["
    page = documents.drawn_pdf("ET /X1 Do BT", annotations=f"] {resources}", objects=[form])
    assert extract(tmp_path, "a.pdf", page).text == "हिन्दी"


def test_words_that_are_drawn_with_signs_are_parted_where_a_space_is(tmp_path: Path) -> None:
    drawn = _spans("कि") + "1 0 0 1 90 720 Tm ( ) Tj " + _spans("ता", at=93)
    assert _text(tmp_path, drawn) == "कि ता"
    assert _text(tmp_path, _spans("कि") + _spans("ता", at=110)) == "कि ता"


def test_what_several_glyphs_mean_is_said_once(tmp_path: Path) -> None:
    """The last glyph of the first word stands behind the first glyph of the second."""
    drawn = _spans("ผู้", "ใหญ่").replace("1 0 0 1 84 720 Tm", "1 0 0 1 95 720 Tm")
    assert _text(tmp_path, drawn) == "ผู้ใหญ่"


def test_a_span_of_very_many_glyphs_is_looked_through_once(tmp_path: Path) -> None:
    words = ("हि " * 2_000).encode("utf-16-be").hex()
    glyphs = "1 0 0 1 72 720 Tm (x) Tj " * 40_000
    drawn = f"/Span << /ActualText <feff{words}> >> BDC {glyphs} EMC"
    assert _text(tmp_path, drawn).split() == ["हि"] * 2_000
