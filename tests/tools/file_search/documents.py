"""Documents made on the fly: good ones of every format, and the parts of bad ones."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REFERENCE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_DECK = "http://schemas.openxmlformats.org/presentationml/2006/main"
_PAGE = (
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
    "/Resources << /Font << /F1 3 0 R >> >> /Contents {contents} 0 R /Annots [{annotations}] >>"
)
_FREE, _END = 0xFFFFFFFF, 0xFFFFFFFE


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # Of a fixed time: bytes that depend on the clock would name a test anew each time.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def docx(*paragraphs: str, notes: str = "") -> bytes:
    members = {"word/document.xml": word_xml(*paragraphs)}
    if notes:
        members["word/footnotes.xml"] = word_xml(notes)
    return zipped(members)


def word_xml(*paragraphs: str) -> str:
    return body_xml("".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs))


def body_xml(body: str) -> str:
    """A part of a Word document, of what a test writes itself."""
    spaces = f'xmlns:w="{_WORD}" xmlns:m="{_MATH}"'
    return f"<w:document {spaces}><w:body>{body}</w:body></w:document>"


def pptx(*slides: str, notes: Mapping[int, str] | None = None, shown: Sequence[int] = ()) -> bytes:
    """Slides, notes by the number of their slide; `shown` is the order of the deck."""
    members = {f"ppt/slides/slide{n}.xml": slide_xml(text) for n, text in enumerate(slides, 1)}
    # Notes are numbered among themselves, whatever slide they belong to.
    for order, (number, text) in enumerate((notes or {}).items(), 1):
        members[f"ppt/notesSlides/notesSlide{order}.xml"] = slide_xml(text)
        members[f"ppt/slides/_rels/slide{number}.xml.rels"] = relations(
            rId1=f"../notesSlides/notesSlide{order}.xml"
        )
    if shown:
        members["ppt/presentation.xml"] = deck_xml(*shown)
        members["ppt/_rels/presentation.xml.rels"] = relations(
            **{f"rId{n}": f"slides/slide{n}.xml" for n in shown}
        )
    return zipped(members)


def deck_xml(*shown: int) -> str:
    """The order of slides, each by the reference that bears its number."""
    ids = "".join(f'<sldId id="{256 + n}" r:id="rId{n}"/>' for n in shown)
    return f'<presentation xmlns="{_DECK}" xmlns:r="{_REFERENCE}">{ids}</presentation>'


def slide_xml(text: str) -> str:
    return f'<s xmlns:a="{_DRAWING}"><a:p><a:r><a:t>{text}</a:t></a:r></a:p></s>'


def xlsx(shared: Sequence[str], rows: str, **members: str) -> bytes:
    """A workbook with one sheet; `members` are further parts of `xl`, without their namespace."""
    return zipped(
        {
            "xl/sharedStrings.xml": strings_xml(*shared),
            "xl/worksheets/sheet1.xml": sheet_xml(rows),
            **{f"xl/{name}.xml": _part(name, body) for name, body in members.items()},
        }
    )


def strings_xml(*shared: str) -> str:
    """The strings of a workbook, to which cells refer by number."""
    strings = "".join(f"<si><t>{text}</t></si>" for text in shared)
    return f'<sst xmlns="{_SHEET}">{strings}</sst>'


def _part(name: str, body: str) -> str:
    return f'<{name} xmlns="{_SHEET}" xmlns:r="{_REFERENCE}">{body}</{name}>'


def book_xml(**sheets: str) -> str:
    """The tabs of a workbook, each with the id of the reference to its sheet."""
    return _part("workbook", "".join(f'<sheet name="{n}" r:id="{r}"/>' for n, r in sheets.items()))


def sheet_xml(rows: str) -> str:
    return f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData></worksheet>'


def relations(*, kind: str = "", **targets: str) -> str:
    """What a part refers to: names of other parts, by the id of the reference."""
    each = "".join(
        f'<Relationship Type="{_REFERENCE}/{kind}" Id="{reference}" Target="{to}"/>'
        for reference, to in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}">{each}</Relationships>'


def pdf(*pages: str, trailer: str = "") -> bytes:
    """One line of Latin text a page; `trailer` is added to the trailer's dictionary."""
    return drawn_pdf(*(f"72 720 Td ({text}) Tj" for text in pages), trailer=trailer)


def drawn_pdf(
    *pages: str, annotations: str = "", objects: Sequence[str] = (), trailer: str = ""
) -> bytes:
    """What is done with text on each page; `objects` come behind all others, from 4 + 2 * pages.

    Every page has the same `annotations`.
    """
    count = len(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    whole = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf {text} ET"
        whole += [
            _PAGE.format(contents=5 + 2 * number, annotations=annotations),
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    return _pdf([*whole, *objects], trailer)


def _pdf(objects: Sequence[str], trailer: str) -> bytes:
    whole = io.BytesIO()
    whole.write(b"%PDF-1.4\n")
    places = []
    for number, text in enumerate(objects, start=1):
        places.append(whole.tell())
        whole.write(f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1"))
    start = whole.tell()
    lines = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    whole.write(
        f"xref\n0 {size}\n0000000000 65535 f \n{lines}"
        f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\n"
        f"startxref\n{start}\n%%EOF\n".encode()
    )
    return whole.getvalue()


def encrypted_pdf() -> bytes:
    secret = "<" + "5a" * 32 + ">"
    return pdf(
        "secret",
        trailer=f"/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O {secret} "
        f"/U {secret} >>",
    )


class Looks(NamedTuple):
    """Of which letters of a DOC a page tells something, and what: at 0x00FA of runs."""

    listed_at: int
    properties: bytes
    spans: Sequence[tuple[int, int]]
    times: int = 1


def doc(text: str, *looks: Looks, flags: int = 0x0200, wide: bool = True) -> bytes:
    """A Word 97 file of one piece, in sectors of 512 bytes."""
    return compound(doc_streams(text, *looks, flags=flags, wide=wide))


def doc_streams(
    text: str, *looks: Looks, flags: int = 0x0200, wide: bool = True
) -> dict[str, bytes]:
    letters = text.encode("utf-16-le" if wide else "cp1252")
    place = 0x800 if wide else (0x800 * 2) | (1 << 30)
    pieces = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, place, 0)
    table = b"\x01" + struct.pack("<H", 3) + b"abc" + b"\x02" + struct.pack("<I", len(pieces))
    table += pieces
    main = bytearray(0x800) + letters
    struct.pack_into("<H8xH", main, 0, 0xA5EC, flags)
    struct.pack_into("<II", main, 0x01A2, 0, len(table))
    for one in looks:
        main += bytes(-len(main) % 512)
        number = len(main) // 512
        main += _looks_page(one, letter_bytes=1 + wide)
        listed = struct.pack(
            f"<{2 * one.times + 1}I", *[0] * (one.times + 1), *[number] * one.times
        )
        struct.pack_into("<II", main, one.listed_at, len(table), len(listed))
        table += listed
    return {"WordDocument": bytes(main), "1Table": table}


def _looks_page(looks: Looks, *, letter_bytes: int) -> bytes:
    """Where spans begin and end, which of them has properties, and these from 480 on."""
    places = [0x800, *(0x800 + at * letter_bytes for span in looks.spans for at in span)]
    page = bytearray(512)
    struct.pack_into(f"<{len(places)}I", page, 0, *places)
    entry_bytes = 1 if looks.listed_at == 0x00FA else 13
    for entry in range(1, len(places) - 1, 2):
        page[len(places) * 4 + entry * entry_bytes] = 240
    page[511] = len(places) - 1
    page[480 : 480 + len(looks.properties)] = looks.properties
    return bytes(page)


def compound(
    streams: Mapping[str, bytes],
    *,
    within: Mapping[str, bytes] | None = None,
    root: str = "Root Entry",
) -> bytes:
    """An OLE file whose streams all lie in whole sectors, behind one of FAT and its directory.

    The streams `within` lie in a folder of their own, and come first in the directory.
    """
    inner = within or {}
    folder = len(inner) + 1
    names = [root, *inner, "ObjectPool", *streams]
    sectors = -(-len(names) // 4)
    fat, body = [0xFFFFFFFD, *range(2, sectors + 1), _END], b""
    places = {0: (_END, 0), folder: (0, 0)}
    for number, data in enumerate([*inner.values(), b"", *streams.values()], 1):
        if number == folder:
            continue
        # A stream shorter than 4096 bytes would have to go to small sectors.
        count = max(8, -(-len(data) // 512))
        places[number] = (len(fat), count * 512)
        fat += [*range(len(fat) + 1, len(fat) + count), _END]
        body += data.ljust(count * 512, b"\0")
    assert len(fat) <= 128
    # Of a tree of names, only the branches to the right.
    last = {folder - 1, len(names) - 1}
    entries = [
        _entry(
            name,
            *places[number],
            right=_FREE if number in last or not number else number + 1,
            child={0: folder, folder: 1 if inner else _FREE}.get(number, _FREE),
        )
        for number, name in enumerate(names)
    ]
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<HHHHH", header, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<II4xIIIIII", header, 44, 1, 1, 4096, _END, 0, _END, 0, 0)
    header[80:512] = b"\xff" * 432
    table = struct.pack("<128I", *fat, *[_FREE] * (128 - len(fat)))
    return bytes(header) + table + b"".join(entries).ljust(512 * sectors, b"\0") + body


def _entry(name: str, start: int, size: int, *, right: int, child: int) -> bytes:
    letters = name.encode("utf-16-le")
    entry = bytearray(128)
    entry[: len(letters)] = letters
    struct.pack_into("<H", entry, 64, len(letters) + 2)
    struct.pack_into("<III", entry, 68, _FREE, right, child)
    struct.pack_into("<II", entry, 116, start, size)
    return bytes(entry)
