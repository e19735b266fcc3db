"""What PDFium leaves undone in the text of a PDF."""

from pathlib import Path

import pytest
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import extract


def _annotation(kind: str, *, flags: int = 4) -> str:
    return (
        f"<< /Type /Annot /Subtype /{kind} /F {flags} /Rect [72 600 272 620] /AP << /N 6 0 R >> >>"
    )


def _appearance(words: str) -> str:
    drawn = f"BT /F1 12 Tf 2 5 Td ({words}) Tj ET"
    return (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 3 0 R >> "
        f">> /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    )


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
