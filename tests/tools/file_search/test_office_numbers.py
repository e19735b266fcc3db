"""Numbers that Word counts itself stand before paragraphs as a reader of the document sees them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import extract, refusal


def _level(number: int, form: str, text: str, *, start: int = 1, more: str = "") -> str:
    return (
        f'<w:lvl w:ilvl="{number}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


_CONTRACT = (
    _level(0, "decimal", "Article %1."),
    _level(1, "decimal", "%1.%2"),
    _level(2, "lowerLetter", "(%3)"),
)


def _abstract(*levels: str, number: int = 7, more: str = "") -> str:
    return f'<w:abstractNum w:abstractNumId="{number}">{more}{"".join(levels)}</w:abstractNum>'


def _list(number: int, *, abstract: int = 7, more: str = "") -> str:
    return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{abstract}"/>{more}</w:num>'


def _in(list_id: int | str, level: int | str = 0) -> str:
    """What a paragraph or a style tells of its list."""
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>'


def _paragraph(properties: str, text: str = "x") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def _read(folder: Path, paragraphs: Sequence[str], lists: str, styles: str = "") -> list[str]:
    parts = {
        "word/document.xml": documents.body_xml("".join(paragraphs)),
        "word/numbering.xml": documents.body_xml(lists),
        "word/styles.xml": documents.body_xml(styles),
    }
    return extract(folder, "a.docx", documents.zipped(parts)).text.split("\n")


def _numbers(folder: Path, paragraphs: Sequence[str], lists: str, styles: str = "") -> list[str]:
    """What stands before the x of every paragraph."""
    lines = _read(folder, [_paragraph(properties) for properties in paragraphs], lists, styles)
    return [line.removesuffix("x").removesuffix(" ") for line in lines]


def test_articles_are_numbered_level_by_level(tmp_path: Path) -> None:
    levels = [0, 1, 1, 2, 2, 1, 2, 0, 1]
    paragraphs = [_paragraph(_in(1, level), f"level {level}") for level in levels]
    paragraphs.insert(2, _paragraph("", "of no list"))
    assert _read(tmp_path, paragraphs, _abstract(*_CONTRACT) + _list(1)) == [
        *("Article 1. level 0", "1.1 level 1", "of no list", "1.2 level 1", "(a) level 2"),
        *("(b) level 2", "1.3 level 1", "(a) level 2", "Article 2. level 0", "2.1 level 1"),
    ]


@pytest.mark.parametrize(
    ("form", "start", "written"),
    [
        ("decimal", 9, ["9", "10"]),
        ("decimalZero", 9, ["09", "10"]),
        ("lowerLetter", 26, ["z", "aa"]),
        ("upperLetter", 28, ["BB", "CC"]),
        ("lowerLetter", 780, ["z" * 30, "781"]),
        ("lowerRoman", 4, ["iv", "v"]),
        ("upperRoman", 1949, ["MCMXLIX", "MCML"]),
        ("upperRoman", 3999, ["MMMCMXCIX", "4000"]),
        ("lowerLetter", 0, ["0", "a"]),
        ("chicago", 1, ["1", "2"]),
        ("none", 1, ["", ""]),
        ("bullet", 1, ["", ""]),
        ("decimal", 10**12, ["0", "1"]),
    ],
)
def test_numbers_are_written_in_the_form_of_their_level(
    tmp_path: Path, form: str, start: int, written: list[str]
) -> None:
    lists = _abstract(_level(0, form, "%1", start=start)) + _list(1)
    assert _numbers(tmp_path, [_in(1), _in(1)], lists) == written


def test_lists_of_one_kind_count_on_unless_they_start_anew(tmp_path: Path) -> None:
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    other = f'<w:lvlOverride w:ilvl="0">{_level(0, "upperRoman", "%1")}</w:lvlOverride>'
    lists = _abstract(_level(0, "decimal", "%1"))
    lists += _list(1) + _list(2) + _list(3, more=anew) + _list(4, more=other)
    paragraphs = [_in(1), _in(2), _in(3), _in(3), _in(1), _in(4)]
    assert _numbers(tmp_path, paragraphs, lists) == ["1", "2", "5", "6", "7", "VIII"]


def test_levels_start_anew_after_those_that_they_name(tmp_path: Path) -> None:
    never = _level(1, "decimal", "%2", more='<w:lvlRestart w:val="0"/>')
    legal = _level(2, "decimal", "%1-%3", more="<w:isLgl/>")
    lists = _abstract(_level(0, "upperRoman", "%1"), never, legal) + _list(1)
    paragraphs = [_in(1, level) for level in (2, 0, 1, 2, 0, 1, 2)]
    assert _numbers(tmp_path, paragraphs, lists) == ["1-1", "II", "2", "2-1", "III", "3", "3-1"]


def test_styles_number_paragraphs_unless_these_say_otherwise(tmp_path: Path) -> None:
    based = '<w:basedOn w:val="{}"/>'
    styles = (
        f'<w:style w:styleId="H1">{_in(1)}</w:style>'
        f'<w:style w:styleId="H2">{based.format("H1")}<w:ilvl w:val="1"/></w:style>'
        f'<w:style w:styleId="Circle">{based.format("Circle")}</w:style>'
    )
    paragraphs = [f'<w:pStyle w:val="{name}"/>' for name in ("H1", "H2", "Circle", "Gone", "H1")]
    paragraphs.insert(2, paragraphs[1] + _in(0))
    paragraphs.insert(3, paragraphs[0] + '<w:ilvl w:val="2"/>')
    assert _numbers(tmp_path, paragraphs, _abstract(*_CONTRACT) + _list(1), styles) == [
        *("Article 1.", "1.1", "", "(a)", "", "", "Article 2."),
    ]


def test_levels_may_stand_with_another_kind_of_list(tmp_path: Path) -> None:
    lists = _abstract(more='<w:numStyleLink w:val="House"/>') + _list(1)
    lists += _abstract(_level(0, "decimal", "§ %1"), number=8, more='<w:styleLink w:val="House"/>')
    assert _numbers(tmp_path, [_in(1)], lists) == ["§ 1"]


def test_paragraphs_that_are_deleted_are_not_counted(tmp_path: Path) -> None:
    change = f"<w:pPrChange><w:pPr>{_in(1, 1)}</w:pPr></w:pPrChange>"
    gone = f"<w:p><w:pPr>{_in(1)}<w:rPr><w:del/></w:rPr></w:pPr></w:p>"
    paragraphs = [_paragraph(_in(1) + change), gone, _paragraph(_in(1))]
    lines = _read(tmp_path, paragraphs, _abstract(*_CONTRACT) + _list(1))
    assert lines == ["Article 1. x", "", "Article 2. x"]


def test_lists_that_are_broken_number_nothing(tmp_path: Path) -> None:
    lists = _list(1) + _list(2, abstract=9) + "<w:num/><w:lvl/><w:startOverride/>"
    paragraphs = [_in(1), _in(2), _in(3), _in(1, 9), _in(1, "many"), _in("", "")]
    assert _numbers(tmp_path, paragraphs, lists) == [""] * 6


def test_the_text_of_a_level_is_no_longer_than_word_writes_it(tmp_path: Path) -> None:
    lists = _abstract(_level(0, "decimal", "%1" * 10_000)) + _list(1)
    assert len(_numbers(tmp_path, [_in(1)], lists)[0]) < 256


def test_numbers_are_text_that_has_a_limit(tmp_path: Path) -> None:
    parts = {
        "word/document.xml": documents.body_xml(_paragraph(_in(1), "") * 1_000),
        "word/numbering.xml": documents.body_xml(
            _abstract(_level(0, "decimal", "-" * 250)) + _list(1)
        ),
    }
    failed = refusal(tmp_path, "a.docx", documents.zipped(parts))
    assert "more than 200000 characters" in failed.message


@pytest.mark.parametrize("broken", ["lists", "styles"])
def test_words_are_read_though_their_numbers_cannot_be(tmp_path: Path, broken: str) -> None:
    told = {"lists": _abstract(*_CONTRACT) + _list(1), "styles": "", broken: "<w:p>"}
    assert _numbers(tmp_path, [_in(1)] * 2, told["lists"], told["styles"]) == ["", ""]
