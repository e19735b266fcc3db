"""Every format gives its text; every hostile file ends as a clear refusal."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import to_builtins
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import LIMITS, extract, refusal

from locum.tools.file_search import worker
from locum.tools.file_search.extract import EXTENSIONS, ExtractionFailed, Extractor
from locum.tools.file_search.formats import READERS
from locum.tools.file_search.reading import Limits


def test_the_server_and_the_worker_know_the_same_extensions() -> None:
    assert frozenset(READERS) == EXTENSIONS


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, 你好 🎉\nline".encode(),
        "\ufeffGrüße, 你好 🎉\r\nline".encode(),
        "\ufeffGrüße, 你好 🎉\nline".encode("utf-16-le"),
        "\ufeffGrüße, 你好 🎉\rline".encode("utf-16-be"),
    ],
)
def test_text_is_read_in_the_encodings_the_original_takes(tmp_path: Path, data: bytes) -> None:
    assert extract(tmp_path, "a.txt", data).text == "Grüße, 你好 🎉\nline"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_recognised(tmp_path: Path, encoding: str) -> None:
    assert extract(tmp_path, "a.md", "Plain words".encode(encoding)).text == "Plain words"


def test_soft_hyphens_and_the_colours_of_a_terminal_are_no_text(tmp_path: Path) -> None:
    data = "Donau\u00addampf\n\x1b[1;31mfailed\x1b[0m [31m \x1b[?25l\x1b[Kdone\x1b[9".encode()
    assert extract(tmp_path, "a.txt", data).text == "Donaudampf\nfailed [31m done[9"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r'"M\u00fcller, \u6771\u4EAC"', '"Müller, 東京"'),
        (r'"\ud83c\udf89 \uD83D\uDE00\u00e9"', '"🎉 😀é"'),
        (r'"a\\\u00e9 C:\\u00e9 \\\\\u00e9"', r'"a\\é C:\\u00e9 \\\\é"'),
        (r'"\ud83d \udf89 \u0041 \n \" \u00"', r'"\ud83d \udf89 \u0041 \n \" \u00"'),
    ],
)
def test_json_has_letters_for_their_numbers(tmp_path: Path, written: str, text: str) -> None:
    assert extract(tmp_path, "a.json", written.encode()).text == text
    assert extract(tmp_path, "a.js", written.encode()).text == written


@pytest.mark.parametrize("extension", sorted(EXTENSIONS - {"csv", "html", "json"}))
def test_source_code_is_taken_as_it_is(tmp_path: Path, extension: str) -> None:
    if READERS[extension] is not READERS["txt"]:
        assert refusal(tmp_path, f"a.{extension}", b"x <= y").code == "invalid_file"
    else:
        assert extract(tmp_path, f"A.{extension.upper()}", b"x <= y\n").text == "x <= y\n"


def test_html_gives_the_words_a_reader_sees(tmp_path: Path) -> None:
    page = b"""<html><head><title>Rates</title><style>p{}</style></head><body><h1>Fees</h1>
    <script>var hidden = 1;</script><p>A <b>bold</b>
    offer &amp; more.</p><ul><li>one<li>two</ul><table><tr><td>x<td>y</table>"""

    text = extract(tmp_path, "a.html", page).text

    assert text.startswith("Rates\n\nFees")
    assert "A bold offer & more." in text
    assert "one\ntwo" in text
    assert "hidden" not in text
    assert "p{}" not in text


def test_html_keeps_the_lines_of_what_is_set_as_code(tmp_path: Path) -> None:
    page = (
        b"<p>So   run</p><pre>def f():\n    <b>return</b>  1\n</pre><p>and <pre>x<pre>y</pre></pre>"
    )
    text = extract(tmp_path, "a.html", page).text
    assert text == "So run\n\ndef f():\n    return  1\n\nand\n\nx\n\ny"


def test_html_with_much_white_space_is_read_in_time(tmp_path: Path) -> None:
    for space in (" " * 150_000, " \t" * 50_000):
        text = extract(tmp_path, "a.html", f"<pre>one{space}two</pre>".encode()).text
        assert text == f"one{space}two"


@pytest.mark.parametrize(
    ("named", "is_", "text"),
    [
        ("windows-1251", "cp1251", "Привет"),
        ("iso-8859-6", "iso8859-6", "مرحبا"),
        ("iso-8859-1", "cp1252", "“Quoted” – as Word does"),
        ("gb2312", "gb18030", "朱镕基"),
        ("X-SJIS", "cp932", "①髙島屋"),
        ("ks_c_5601-1987", "cp949", "펲시맨"),
        ("x-mac-cyrillic", "mac-cyrillic", "Привет"),
    ],
)
def test_html_is_read_in_the_encoding_it_names(
    tmp_path: Path, named: str, is_: str, text: str
) -> None:
    page = f'<meta charset="{named}"><p>{text}</p>'.encode(is_)
    assert extract(tmp_path, "a.html", page).text == text


@pytest.mark.parametrize("named", ["utf-7", "punycode", "unicode_escape", "hex", "none-such"])
def test_an_encoding_that_no_page_should_name_is_refused(tmp_path: Path, named: str) -> None:
    page = f'<meta charset="{named}"><p>Привет</p>'.encode("cp1251")
    assert "UTF-8, UTF-16 or ASCII" in refusal(tmp_path, "a.html", page).message


def test_the_name_of_an_encoding_may_stand_behind_a_long_head(tmp_path: Path) -> None:
    page = f'<!-- {"x" * 6000} --><meta charset="windows-1251"><p>Привет</p>'.encode("cp1251")
    assert extract(tmp_path, "a.html", page).text == "Привет"


def test_pdf_gives_one_page_for_each_page_with_text(tmp_path: Path) -> None:
    found = extract(tmp_path, "a.pdf", documents.pdf("First page", "", "Third page"))
    assert found.pages == ("First page", "Third page")


def test_csv_rows_name_their_columns(tmp_path: Path) -> None:
    data = b'Name;City\nAnn;"Bern; CH"\n\nBob;Oslo\n'
    assert extract(tmp_path, "a.csv", data).text == (
        "Name | City\nName: Ann | City: Bern; CH\nName: Bob | City: Oslo"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_has_lines_that_end_in_any_way_and_cells_of_any_length(
    tmp_path: Path, end: str
) -> None:
    long = "word " * 30_000 + "end"
    data = end.join(["Name,Story", f"Ann,{long}", f'Bob,"two{end}lines"'])
    assert extract(tmp_path, "a.csv", data.encode()).text == (
        f"Name | Story\nName: Ann | Story: {long}\nName: Bob | Story: two\nlines"
    )


def test_an_extension_nobody_reads_is_unsupported(tmp_path: Path) -> None:
    for name in ("a.png", "a", ".txt.exe", "a.h"):
        assert refusal(tmp_path, name, b"text").code == "unsupported_file"


_DEEP_XML = documents.word_xml("x").replace("<w:body>", "<w:body>" + "<w:q>" * 2000)
_LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + documents.word_xml("&b;")
_EXTERNAL = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + documents.word_xml("&a;")
_OF_1995 = documents.compound({"WordDocument": b"\xdc\xa5" + bytes(64)})
_LONG_TAG = b'<a b="' + b"x" * (32 << 20)
_UTF_7 = '<?xml version="1.0" encoding="utf-7"?>' + documents.word_xml("x")
_BOMB = documents.zipped({"word/document.xml": b"<a>" + b" " * (300 << 20)})


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.txt", b"", "contains no text"),
        ("blank.txt", b" \n\t ", "contains no text"),
        ("empty.pdf", b"", "not a PDF"),
        ("empty.docx", b"", "Office document"),
        ("latin.txt", b"caf\xe9 au lait", "UTF-8, UTF-16 or ASCII"),
        ("binary.txt", bytes(range(32)) * 50, "UTF-8, UTF-16 or ASCII"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n", "an image"),
        ("really-a.txt", documents.pdf("x"), "a PDF document"),
        ("really-a.md", documents.docx("x"), "an Office document"),
        ("really-a.pdf", documents.docx("x"), "not a PDF"),
        ("really-a.docx", documents.pdf("x"), "Office document"),
        ("sheet.docx", documents.xlsx([], ""), "no Word document"),
        ("words.xlsx", documents.docx("x"), "no worksheets"),
        ("words.pptx", documents.docx("x"), "no slides"),
        ("polyglot.docx", documents.pdf("x") + documents.docx("x"), "Office document"),
        ("scan.pdf", documents.pdf("", ""), "contains no text"),
        ("encrypted.pdf", documents.encrypted_pdf(), "encrypted"),
        ("encrypted.doc", documents.doc("x", flags=0x0300), "encrypted"),
        ("of-1995.doc", _OF_1995, "older than that of 1997"),
        ("encrypted.docx", documents.compound({"EncryptedPackage": b"x"}), "encrypted"),
        ("cut.pdf", documents.pdf("x")[:60], "could not be parsed"),
        ("cut.docx", documents.docx("hello " * 99)[:90], "broken"),
        ("cut.doc", documents.doc("hello")[:1400], "could not be parsed"),
        ("open.docx", documents.zipped({"word/document.xml": "<a><b>"}), "XML is broken"),
        ("deep.docx", documents.zipped({"word/document.xml": _DEEP_XML}), "nested"),
        ("laughs.docx", documents.zipped({"word/document.xml": _LAUGHS}), "document type"),
        ("outside.docx", documents.zipped({"word/document.xml": _EXTERNAL}), "document type"),
        ("bomb.docx", _BOMB, "zip bomb"),
        ("deep.html", b"<div>" * 100_000 + b"x", "nested"),
        ("deeper.html", b"<div></span>" * 50_000 + b"x", "nested"),
        ("tag.docx", documents.zipped({"word/document.xml": _LONG_TAG}), "without end"),
        ("encoding.docx", documents.zipped({"word/document.xml": _UTF_7}), "XML is broken"),
        ("encoding.html", b'<meta charset="cp1006"><p>\xff', "UTF-8, UTF-16 or ASCII"),
        ("long.txt", b"word " * 50_000, "more than 200000 characters"),
        ("long.csv", b"a,b\n" * 60_000, "more than 200000 characters"),
        ("columns.csv", b"a," * 20_000, "more than 16384 columns"),
        (
            "columns.xlsx",
            documents.xlsx([], '<row><c r="ZZZ1"><v>1</v></c></row>'),
            "16384 columns",
        ),
        ("many.pdf", documents.pdf(*["page"] * 10_000), "has 10000 pages; at most 50"),
        (
            "before.xlsx",
            documents.xlsx(["a"], '<row><c t="s"><v>-1</v></c></row>'),
            "a cell is broken",
        ),
        (
            "number.xlsx",
            documents.zipped({f"xl/worksheets/sheet{'9' * 5_000}.xml": documents.sheet_xml("")}),
            "no worksheets",
        ),
        (
            "cell.xlsx",
            documents.xlsx(["a"], '<row><c t="s"><v>9</v></c></row>'),
            "a cell is broken",
        ),
    ],
)
def test_a_hostile_file_is_invalid_and_says_why(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    failed = refusal(tmp_path, name, data)
    assert (failed.code, says in failed.message) == ("invalid_file", True), failed.message


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    failed = refusal(tmp_path, "a.pdf", documents.pdf("x"), limits=Limits(source_bytes=9))
    assert (failed.code, failed.message) == ("invalid_file", "The file has more than 9 bytes.")


def test_a_column_far_away_costs_no_memory(tmp_path: Path) -> None:
    rows = "".join(f'<row><c r="XFD{n}"><v>1</v></c></row>' for n in range(30_000))
    lines = extract(tmp_path, "wide.xlsx", documents.xlsx([], rows)).text.splitlines()
    assert (len(lines), set(lines)) == (30_000, {"1"})


def test_circles_in_a_compound_file_end(tmp_path: Path) -> None:
    data = bytearray(documents.doc("hello"))
    data[512 + 8 : 512 + 12] = (2).to_bytes(4, "little")
    assert "hello" not in extract(tmp_path, "circle.doc", bytes(data)).text


def test_a_reader_that_needs_too_much_memory_is_ended(tmp_path: Path) -> None:
    small = Limits(memory_bytes=64 << 20, text_chars=50_000_000, wall_s=20.0)
    failed = refusal(tmp_path, "big.txt", b"word " * 8_000_000, limits=small)
    assert failed.code == "invalid_file"


def test_files_are_read_where_the_server_itself_may_have_less_than_a_reader(
    tmp_path: Path,
) -> None:
    """Reaches inside: no test may take memory away from itself, as there is no way back."""
    (tmp_path / "a.txt").write_text("words", "utf-8")
    limits = to_builtins(Limits(memory_bytes=4 << 30))
    asked = {"path": str(tmp_path / "a.txt"), "extension": "txt", "limits": limits}
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 2000000; exec "$0" -m "$1"', sys.executable, worker.__name__],
        input=json.dumps(asked).encode() + b"\n",
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == (
        worker.HEADER.pack(worker.PAGE, 5) + b"words" + worker.HEADER.pack(worker.DONE, 0)
    )


def test_a_reader_over_its_processor_time_is_ended(tmp_path: Path) -> None:
    # The standard library's CSV sniffer and PDFium are fast; a worker without time shows the rest.
    brief = Limits(cpu_s=0, wall_s=20.0, text_chars=50_000_000)
    failed = refusal(tmp_path, "slow.csv", b"a,b\n" * 4_000_000, limits=brief)
    assert (failed.code, failed.message) == ("invalid_file", "The file took too long to be read.")


def test_a_reader_over_its_wall_time_is_killed(tmp_path: Path) -> None:
    hang = tmp_path / "pipe"
    os.mkfifo(hang)

    async def once() -> int:
        extractor = Extractor(workers=1, limits=Limits(wall_s=0.5))
        with pytest.raises(ExtractionFailed, match="took too long"):
            await extractor.extract(hang, "a.txt")
        left = len(extractor._idle) + len(extractor._busy)
        await extractor.close()
        return left

    assert asyncio.run(once()) == 0


def test_one_worker_reads_file_after_file_good_and_bad(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(documents.docx("fine"))
    bad.write_bytes(documents.pdf("x")[:60])

    async def many() -> set[int]:
        extractor = Extractor(workers=1, limits=LIMITS)
        seen = set()
        for _ in range(5):
            with pytest.raises(ExtractionFailed):
                await extractor.extract(bad, "bad.pdf")
            assert (await extractor.extract(good, "good.docx")).text == "fine"
            seen.add(extractor._idle[0]._process.pid)
        await extractor.close()
        return seen

    assert len(asyncio.run(many())) == 1


def test_many_files_at_once_share_the_workers(tmp_path: Path) -> None:
    paths = []
    for number in range(40):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"file {number}")
        paths.append(path)

    async def all_of_them() -> list[str]:
        extractor = Extractor(workers=2, limits=LIMITS)
        found = await asyncio.gather(*(extractor.extract(path, path.name) for path in paths))
        assert len(extractor._idle) <= 2
        await extractor.close()
        return [one.text for one in found]

    assert asyncio.run(all_of_them()) == [f"file {number}" for number in range(40)]


def test_a_cancelled_extraction_leaves_no_process_behind(tmp_path: Path) -> None:
    hang = tmp_path / "pipe"
    os.mkfifo(hang)

    async def cancel() -> int:
        extractor = Extractor(workers=1, limits=LIMITS)
        task = asyncio.create_task(extractor.extract(hang, "a.txt"))
        async with asyncio.timeout(30):
            while not extractor._busy:  # noqa: ASYNC110 - nothing announces that a worker is busy
                await asyncio.sleep(0)
        (worker,) = extractor._busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert worker._process.returncode is not None
        return len(extractor._busy)

    assert asyncio.run(cancel()) == 0


def test_a_file_that_is_gone_is_a_fault_of_the_server(tmp_path: Path) -> None:
    async def once() -> ExtractionFailed:
        extractor = Extractor(workers=1)
        with pytest.raises(ExtractionFailed) as failed:
            await extractor.extract(tmp_path / "none", "a.txt")
        await extractor.close()
        return failed.value

    assert asyncio.run(once()).code == "server_error"
