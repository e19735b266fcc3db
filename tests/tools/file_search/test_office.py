"""Documents of Word, PowerPoint and Excel, old and new, give what a reader of them sees."""

from pathlib import Path

import pytest
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import extract, refusal


def test_docx_gives_paragraphs_and_footnotes(tmp_path: Path) -> None:
    data = documents.docx("Hello &amp; welcome", "to the house", notes="A note")
    assert extract(tmp_path, "a.docx", data).pages == ("Hello & welcome\nto the house", "A note")


def test_docx_gives_heads_feet_and_comments_once_each(tmp_path: Path) -> None:
    members = {"document": "Body", "header1": "Head", "header2": "Head", "footer1": "Foot"}
    members |= {"comments": "Remark", "styles": "Not text"}
    parts = {f"word/{name}.xml": documents.word_xml(text) for name, text in members.items()}
    found = extract(tmp_path, "a.docx", documents.zipped(parts))
    assert found.pages == ("Body", "Remark", "Head", "Foot")


def _about(part: str) -> dict[str, str]:
    """What says which part of an archive all else belongs to."""
    return {"_rels/.rels": documents.relations(kind="officeDocument", rId1=part)}


def test_office_documents_begin_where_they_say(tmp_path: Path) -> None:
    """Office in a browser numbers parts anew each time it saves them."""
    word = {
        "word/document2.xml": documents.word_xml("Text"),
        "word/footnotes2.xml": documents.word_xml("Note"),
    }
    found = extract(tmp_path, "a.docx", documents.zipped(_about("word/document2.xml") | word))
    assert found.pages == ("Text", "Note")
    deck = {
        "ppt/presentation3.xml": documents.deck_xml(2, 1),
        "ppt/_rels/presentation3.xml.rels": documents.relations(
            rId1="slides/slide1.xml", rId2="/ppt/slides/slide2.xml"
        ),
        "ppt/slides/slide1.xml": documents.slide_xml("Second"),
        "ppt/slides/slide2.xml": documents.slide_xml("First"),
    }
    found = extract(tmp_path, "a.pptx", documents.zipped(_about("/ppt/presentation3.xml") | deck))
    assert found.pages == ("First", "Second")
    book = {
        "xl/workbook2.xml": documents.book_xml(Costs="rId1"),
        "xl/_rels/workbook2.xml.rels": documents.relations(rId1="worksheets/sheet1.xml"),
        "xl/SharedStrings2.xml": documents.strings_xml("Rent"),
        "xl/worksheets/sheet1.xml": documents.sheet_xml('<row><c t="s"><v>0</v></c></row>'),
    }
    found = extract(tmp_path, "a.xlsx", documents.zipped(_about("xl/workbook2.xml") | book))
    assert found.text == "Costs\n\nRent"


def test_diagrams_are_read_with_what_they_stand_in(tmp_path: Path) -> None:
    slide, data = "ppt/slides/slide1.xml", documents.slide_xml("Ann leads Bob")
    deck = {
        slide: documents.slide_xml("Who leads"),
        "ppt/slides/_rels/slide1.xml.rels": documents.relations(
            rId1="../notesSlides/notesSlide1.xml", rId2="../diagrams/data7.xml"
        ),
        "ppt/diagrams/data7.xml": data,
        "ppt/notesSlides/notesSlide1.xml": documents.slide_xml("Say it"),
    }
    found = extract(tmp_path, "a.pptx", documents.zipped(deck))
    assert found.pages == ("Who leads\n\nAnn leads Bob\n\nSay it",)
    word = {"word/document.xml": documents.word_xml("Who leads"), "word/diagrams/data1.xml": data}
    found = extract(tmp_path, "a.docx", documents.zipped(word))
    assert found.pages == ("Who leads", "Ann leads Bob")


def test_sheets_are_found_by_the_book_whatever_their_names(tmp_path: Path) -> None:
    book = {
        "xl\\Workbook.xml": documents.book_xml(Costs="rId2", Plan="rId1"),
        "xl\\_rels\\workbook.xml.rels": documents.relations(
            rId1="worksheets/Plan.xml", rId2="worksheets/sheet.xml"
        ),
        "xl\\worksheets\\plan.xml": documents.sheet_xml("<row><c><v>1</v></c></row>"),
        "xl\\worksheets\\sheet.xml": documents.sheet_xml("<row><c><v>2</v></c></row>"),
    }
    found = extract(tmp_path, "a.xlsx", documents.zipped(book))
    assert found.pages == ("Costs\n\n2", "Plan\n\n1")


def test_a_workbook_is_no_word_document_though_it_says_where_it_begins(tmp_path: Path) -> None:
    book = {"xl/workbook.xml": documents.book_xml(Costs="rId1")}
    data = documents.zipped(_about("xl/workbook.xml") | book)
    assert "no Word document" in refusal(tmp_path, "a.docx", data).message


def test_docx_text_said_twice_for_old_readers_is_read_once(tmp_path: Path) -> None:
    twice = documents.word_xml("Box").replace(
        "<w:body>", "<w:body><w:Fallback><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:Fallback>"
    )
    data = documents.zipped({"word/document.xml": twice})
    assert extract(tmp_path, "a.docx", data).text == "Box"


def _read_body(folder: Path, body: str) -> str:
    data = documents.zipped({"word/document.xml": documents.body_xml(body)})
    return extract(folder, "a.docx", data).text


def test_docx_is_read_as_if_tracked_changes_were_accepted(tmp_path: Path) -> None:
    moved = "<w:r><w:t>A moved sentence.</w:t></w:r>"
    body = (
        "<w:p><w:r><w:t>One</w:t></w:r><w:del><w:r><w:delText>two</w:delText><w:tab/></w:r></w:del>"
        "<w:ins><w:r><w:t> or three</w:t></w:r></w:ins></w:p>"
        f"<w:p><w:pPr><w:rPr><w:moveFrom/></w:rPr></w:pPr><w:moveFrom>{moved}</w:moveFrom></w:p>"
        f"<w:p><w:r><w:t>Four</w:t></w:r></w:p><w:p><w:moveTo>{moved}</w:moveTo></w:p>"
    )
    assert _read_body(tmp_path, body) == "One or three\n\nFour\nA moved sentence."


def test_docx_is_read_without_what_is_hidden(tmp_path: Path) -> None:
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:tab/><w:t>two</w:t></w:r>"
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> three</w:t></w:r>'
    mark = "<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>"
    body = f"<w:p>{mark}<w:r><w:t>One</w:t></w:r>{hidden}{shown}<w:r><w:t> four</w:t></w:r></w:p>"
    assert _read_body(tmp_path, body) == "One three four"


def test_docx_boxes_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>Aside</w:t></w:r></w:p></w:txbxContent>"
    run = f"<w:p><w:r><w:t>before</w:t></w:r><w:r>{box}</w:r><w:r><w:t>after</w:t></w:r></w:p>"
    assert _read_body(tmp_path, run) == "before\nAside\nafter"
    row = f"<w:tbl><w:tr><w:tc>{run}</w:tc><w:tc>{run}</w:tc></w:tr></w:tbl>"
    assert _read_body(tmp_path, row) == "before Aside after \tbefore Aside after"


def test_docx_words_are_apart_that_are_shown_apart(tmp_path: Path) -> None:
    body = (
        "<w:p><w:r><w:t>left</w:t><w:ptab/><w:t>right</w:t></w:r><w:r><w:br/></w:r>"
        "<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
        "</w:p>"
    )
    assert _read_body(tmp_path, body) == "left\tright\na+b/2"


def test_stops_of_tabs_are_no_tabs(tmp_path: Path) -> None:
    stops = '<w:pPr><w:tabs><w:tab w:pos="720"/><w:tab w:pos="900"/></w:tabs></w:pPr>'
    line = f"<w:p>{stops}<w:r><w:t>One</w:t><w:tab/><w:t>12</w:t></w:r></w:p>"
    assert _read_body(tmp_path, line * 2) == "One\t12\nOne\t12"
    stops = '<a:pPr><a:tabLst><a:tab pos="720"/></a:tabLst></a:pPr>'
    slide = documents.slide_xml("One</a:t></a:r></a:p><a:p>" + stops + "<a:r><a:t>Two")
    data = documents.zipped({"ppt/slides/slide1.xml": slide})
    assert extract(tmp_path, "a.pptx", data).text == "One\nTwo"


def test_docx_words_are_read_without_how_they_are_spoken(tmp_path: Path) -> None:
    tower = (
        "<w:p><w:r><w:ruby><w:rt><w:r><w:t>とうきょう</w:t></w:r></w:rt><w:rubyBase><w:r>"
        "<w:t>東京</w:t></w:r></w:rubyBase></w:ruby></w:r><w:r><w:t>タワー</w:t></w:r></w:p>"
    )
    assert _read_body(tmp_path, tower) == "東京タワー"


def test_numbers_of_slides_are_not_read(tmp_path: Path) -> None:
    number = '<a:fld type="slidenum"><a:t>&lt;number&gt;</a:t></a:fld>'
    day = '<a:fld type="datetime1"><a:t>6 May</a:t></a:fld>'
    slide = documents.slide_xml(f"Plan</a:t></a:r></a:p><a:p>{number}{day}<a:r><a:t>")
    data = documents.zipped({"ppt/slides/slide1.xml": slide})
    assert extract(tmp_path, "a.pptx", data).text == "Plan\n6 May"


def test_pptx_gives_slides_in_their_order_with_their_notes(tmp_path: Path) -> None:
    slides = [f"Slide {number}" for number in range(1, 12)]
    found = extract(tmp_path, "a.pptx", documents.pptx(*slides, notes={2: "Say this"}))
    assert found.pages[:2] == ("Slide 1", "Slide 2\n\nSay this")
    assert found.pages[-1] == "Slide 11"


def test_pptx_slides_that_were_moved_are_read_as_they_are_shown(tmp_path: Path) -> None:
    data = documents.pptx("one", "two", "three", notes={3: "of three"}, shown=(3, 1))
    pages = extract(tmp_path, "a.pptx", data).pages
    assert pages == ("three\n\nof three", "one", "two")


def test_xlsx_rows_name_their_columns(tmp_path: Path) -> None:
    rows = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row><c r="A2" t="inlineStr"><is><t>Ann</t></is></c><c r="B2"><v>42</v></c></row>'
        '<row><c r="B3"><v>7</v></c></row>'
    )
    data = documents.xlsx(["Name", "Age"], rows)
    assert extract(tmp_path, "a.xlsx", data).text == "Name | Age\nName: Ann | Age: 42\nAge: 7"


def test_xlsx_shows_cells_as_a_person_sees_them(tmp_path: Path) -> None:
    styles = (
        '<numFmts><numFmt numFmtId="164" formatCode="[Red]&quot;days&quot; 0"/>'
        '<numFmt numFmtId="165" formatCode="dd/mm/yyyy"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/>'
        '<xf numFmtId="22"/></cellXfs>'
    )
    cells = [("", "0", "45418"), ("", "1", "45418"), ("", "2", "45418"), ("", "3", "45418")]
    cells += [("", "4", "45418.5"), ("", "1", "0.25"), ("b", "0", "1"), ("", "1", "1e999")]
    row = "".join(f'<c t="{kind}" s="{style}"><v>{v}</v></c>' for kind, style, v in cells)
    data = documents.xlsx([], f"<row>{row}</row>", styles=styles)
    assert extract(tmp_path, "a.xlsx", data).text.split(" | ") == [
        *("45418", "2024-05-06", "days 45418", "2024-05-06"),
        *("2024-05-06 12:00:00", "06:00:00", "TRUE", "1e999"),
    ]


def test_xlsx_formats_are_looked_through_no_further_than_excel_writes_them(tmp_path: Path) -> None:
    codes = "[" * 300_000, "yyyy" + "[" * 300_000
    formats = "".join(
        f'<numFmt numFmtId="{170 + n}" formatCode="{c}"/>' for n, c in enumerate(codes)
    )
    styles = '<cellXfs><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs>'
    rows = '<row><c s="0"><v>1</v></c><c s="1"><v>1</v></c></row>'
    book = documents.xlsx([], rows, styles=f"<numFmts>{formats}</numFmts>{styles}")
    assert extract(tmp_path, "a.xlsx", book).text == "1 | 1900-01-01"


def test_xlsx_sheets_come_in_the_order_of_their_tabs_with_their_titles(tmp_path: Path) -> None:
    row = "<row><c><v>{}</v></c></row>"
    parts = {
        "xl/workbook.xml": documents.book_xml(Later="rId2", Sooner="rId1"),
        "xl/_rels/workbook.xml.rels": documents.relations(
            rId1="worksheets/sheet1.xml", rId2="/xl/worksheets/sheet2.xml"
        ),
        "xl/worksheets/sheet1.xml": documents.sheet_xml(row.format(1)),
        "xl/worksheets/sheet2.xml": documents.sheet_xml(row.format(2)),
    }
    found = extract(tmp_path, "a.xlsx", documents.zipped(parts))
    assert found.pages == ("Later\n\n2", "Sooner\n\n1")


def test_xlsx_words_are_read_without_how_they_are_spoken(tmp_path: Path) -> None:
    strings = "東京</t><rPh><t>トウキョウ</t></rPh><t>"
    data = documents.xlsx([strings], '<row><c t="s"><v>0</v></c></row>')
    assert extract(tmp_path, "a.xlsx", data).text == "東京"


@pytest.mark.parametrize("wide", [True, False])
def test_doc_gives_its_text_without_field_codes(tmp_path: Path, wide: bool) -> None:
    data = documents.doc("Dear é,\rsee \x13PAGEREF x\x14page 3\x15.\r", wide=wide)
    assert extract(tmp_path, "a.doc", data).text == "Dear é,\nsee page 3."


# Style, widths, tabs and colour before what says that a paragraph ends a row.
_ROW = bytes.fromhex("0000 08d6 0400aabbcc 0dc6 02aabb 4966 aabbccdd 1624 01 1724 01")
_DELETED = documents.Looks(0x00FA, bytes.fromhex("06 3508 01 0008 01"), [(3, 8)])


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("length", [b"\x0e", b"\0\x0d"])
def test_rows_of_a_doc_are_lines(tmp_path: Path, wide: bool, length: bytes) -> None:
    text = "Name\x07Note\x07\x07Ann\x07\x07\x07Bob\x07old\x07\x07"
    rows = documents.Looks(0x0102, length + _ROW, [(10, 11), (16, 17), (25, 26)])
    found = extract(tmp_path, "a.doc", documents.doc(text, rows, wide=wide)).text
    assert found == "Name\tNote\t\nAnn\t\t\nBob\told"


@pytest.mark.parametrize("wide", [True, False])
def test_doc_is_read_without_what_is_hidden(tmp_path: Path, wide: bool) -> None:
    hidden = _DELETED._replace(properties=bytes.fromhex("06 3508 01 3c08 01"))
    data = documents.doc("is fifty sixty", hidden, wide=wide)
    assert extract(tmp_path, "a.doc", data).text == "is  sixty"
    data = documents.doc("a \x13XE x\x15b", hidden._replace(spans=[(7, 8)]), wide=wide)
    assert extract(tmp_path, "a.doc", data).text == "a b"


@pytest.mark.parametrize("wide", [True, False])
def test_doc_is_read_as_if_tracked_changes_were_accepted(tmp_path: Path, wide: bool) -> None:
    data = documents.doc("is fifty sixty; 1 \x132\x143\x15", _DELETED, wide=wide)
    assert extract(tmp_path, "a.doc", data).text == "is  sixty; 1 3"


@pytest.mark.parametrize(
    "looks",
    [
        _DELETED._replace(properties=b"\x03\x35\x08\x01"),
        _DELETED._replace(properties=b"\x05\x0d\xc6\x03\x00\x08\x01"),
        _DELETED._replace(spans=[(3, 70_000)]),
        _DELETED._replace(spans=[(8, 3)]),
        _DELETED._replace(properties=b"\x00\x08\x01".ljust(31) + b"\xff"),
        _DELETED._replace(listed_at=0x0102, properties=b"\xff" * 8 + b"\x17\x24\x01"),
    ],
)
def test_what_is_broken_of_the_looks_of_a_doc_hides_no_text(
    tmp_path: Path, looks: documents.Looks
) -> None:
    data = documents.doc("is fifty", looks)
    assert extract(tmp_path, "a.doc", data).text == "is fifty"


def test_pages_of_looks_that_are_named_again_and_again_are_read_once(tmp_path: Path) -> None:
    text = "is fifty sixty" + " and so on" * 1_000
    data = documents.doc(text, _DELETED._replace(times=3_000))
    assert extract(tmp_path, "a.doc", data).text == text.replace("fifty", "")


def test_doc_is_read_and_not_what_is_embedded_in_it(tmp_path: Path) -> None:
    streams = documents.doc_streams("Dear Ann")
    data = documents.compound(streams, within=documents.doc_streams("An old offer, embedded"))
    assert extract(tmp_path, "a.doc", data).text == "Dear Ann"


def test_streams_of_a_doc_are_named_in_any_case_below_any_root(tmp_path: Path) -> None:
    streams = {name.upper(): data for name, data in documents.doc_streams("Dear Ann").items()}
    data = documents.compound(streams, root="R")
    assert extract(tmp_path, "a.doc", data).text == "Dear Ann"


def test_a_tree_of_names_that_goes_in_circles_is_walked_once(tmp_path: Path) -> None:
    data = bytearray(documents.doc("hello"))
    # The last of the names has the first beside it.
    first = data.index("ObjectPool".encode("utf-16-le"))
    last = data.index("1Table".encode("utf-16-le"))
    data[last + 72 : last + 76] = (1).to_bytes(4, "little")
    assert first < last
    assert extract(tmp_path, "circle.doc", bytes(data)).text == "hello"
