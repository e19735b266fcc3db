"""Tables of every kind give each cell in its row, whoever wrote them."""

from html import escape
from pathlib import Path

import pytest
from tests.tools.file_search import documents
from tests.tools.file_search.extracting import extract


def test_csv_quotes_are_doubled_and_hold_lines_whatever_they_look_like(tmp_path: Path) -> None:
    row = '"{0}","Title {0}, sub","He said ""hi"" and left.\nSecond; with | pipes {0}"\n'
    data = '"id","title","text"\n' + "".join(row.format(number) for number in range(9))
    assert extract(tmp_path, "a.csv", data.encode()).text == "id | title | text\n" + "\n".join(
        f'id: {n} | title: Title {n}, sub | text: He said "hi" and left.\nSecond; with | pipes {n}'
        for n in range(9)
    )


def test_csv_apostrophes_quote_nothing(tmp_path: Path) -> None:
    data = b"name,quote\nAnn,'tis fine\nBob,it's 'quoted', ok\nCy,plain\n"
    assert extract(tmp_path, "a.csv", data).text.splitlines() == [
        "name | quote",
        "name: Ann | quote: 'tis fine",
        "name: Bob | quote: it's 'quoted' | ok",
        "name: Cy | quote: plain",
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            '\ufeffName;Note\r\n"Müller; Hans";"a ""quoted"" cell\nwith newline"\r\n',
            'Name | Note\nName: Müller; Hans | Note: a "quoted" cell\nwith newline',
        ),
        ("Name;Preis\nApfel;1,20\nBirne;2,30\n", None),
        ("1;1,20\n2;2,30\n", "1 | 1,20\n2 | 2,30"),
        ("city|country\nRome, old|Italy\nOslo, new|Norway\n", None),
        (
            "name\tnote\nAnn\thello; there, all\n",
            "name | note\nname: Ann | note: hello; there, all",
        ),
        ('name, note\nAnn, "hello, world"\n', "name | note\nname: Ann | note: hello, world"),
        ("sep=;\r\nName;Wert\r\na,b,c;2\r\n", "Name | Wert\nName: a,b,c | Wert: 2"),
        ('"sep=\t"\nName\tWert\n', "Name | Wert"),
        ("Sep=^\nName^Wert\n", "Name | Wert"),
        ("word\nalpha\nbeta gamma\n", "word\nalpha\nbeta gamma"),
        ("a;b,c\n" + "x" * 100_000, "a | b,c\na: " + "x" * 100_000),
    ],
)
def test_csv_cells_are_divided_by_what_makes_rows_alike(
    tmp_path: Path, data: str, text: str | None
) -> None:
    if text is None:
        head, *rows = (line.replace("|", ";").split(";") for line in data.splitlines())
        named = (" | ".join(map(": ".join, zip(head, row, strict=True))) for row in rows)
        text = "\n".join([" | ".join(head), *named])
    assert extract(tmp_path, "a.csv", data.encode()).text == text


@pytest.mark.parametrize("head", [",name,score\n", "name,score,\n", ",name,score,\n"])
def test_csv_column_names_may_leave_out_an_end(tmp_path: Path, head: str) -> None:
    """As pandas writes them: nothing stands above the numbers of its rows."""
    row = head.replace("name", "Ann").replace("score", "3")
    text = extract(tmp_path, "a.csv", (head + row).encode()).text
    assert text == "name | score\nname: Ann | score: 3"


def test_csv_column_names_leave_out_nothing_between_them(tmp_path: Path) -> None:
    text = extract(tmp_path, "a.csv", b"Report,,by Ann\nname,city,note\n").text
    assert text == "Report | by Ann\nname | city | note"


def test_long_column_names_stand_above_short_cells_now_and_then(tmp_path: Path) -> None:
    names = [f"survey_question_{number}_response_code" for number in range(9)]
    data = "\n".join([",".join(names), *[",".join("123456789")] * 2_000])

    lines = extract(tmp_path, "a.csv", data.encode()).text.splitlines()

    heading, row = " | ".join(names), " | ".join("123456789")
    assert lines[:2] == [heading, " | ".join(f"{name}: {n}" for n, name in enumerate(names, 1))]
    plain = lines[lines.index(row) - 1 :]
    assert set(plain) == {lines[lines.index(row) - 1], heading, row}
    assert plain[1] == row
    between = "\n".join(plain).split(heading)[1:]
    assert max(map(len, between)) < 1_200
    assert len("\n".join(lines)) < 4 * len(data)
    assert len([line for line in lines if line != heading]) == 2_000


def test_column_names_make_no_table_too_long(tmp_path: Path) -> None:
    """Each row is shorter than its names, and the table than what is taken."""
    row = "one hundred and twenty letters".ljust(30, ".")
    data = f"{'name' * 8},{'other' * 8}\n" + f"{row},{row}\n" * 2_000
    text = extract(tmp_path, "a.csv", data.encode()).text
    assert text.count(row) == 4_000
    assert text.endswith(f"{row} | {row}")


def _shown(folder: Path, code: str, *written: str, book: str = "") -> list[str]:
    """What a cell of this format shows of each number."""
    styles = f'<numFmts><numFmt numFmtId="170" formatCode="{escape(code)}"/></numFmts>'
    styles += '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs>'
    rows = "".join(f'<row><c s="1"><v>{number}</v></c></row>' for number in written)
    members = {"styles": styles} | ({"workbook": book} if book else {})
    return extract(folder, "a.xlsx", documents.xlsx([], rows, **members)).text.splitlines()


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        (
            "General",
            {"19.989999999999998": "19.99", "7.2499999999999995E-2": "0.0725", "1.5E-5": "1.5E-05"},
        ),
        ("General", {"12345678901234567": "12345678901234567", "-7": "-7", "nan": "nan", "x": "x"}),
        ("General", {"1" * 70 + ".5": "1" * 70 + ".5", "1e999": "1e999"}),
        ("0%", {"0.17": "17%", "1": "100%"}),
        ("0.00%", {"7.2499999999999995E-2": "7.25%", "-0.5": "-50.00%"}),
        ('0"%"', {"5": "5%"}),
        ("00000", {"1067": "01067"}),
        ('"INV-"0000', {"42": "INV-0042"}),
        ("#,##0", {"1234567": "1,234,567", "-1234.5": "-1,235", "0": "0"}),
        ("0.00", {"3.5": "3.50", "1.005": "1.01", "1e300": "1E+300"}),
        ("0.0#", {"5": "5.0", "5.125": "5.13"}),
        (".00", {"0.5": ".50"}),
        ("#", {"0": "0", "0.7": "1", "1E+15": "1000000000000000", "1E+17": "1E+17"}),
        ("0.0%", {"0.2865": "28.7%", "0.29": "29.0%", "0.07": "7.0%"}),
        ("0.0000", {"123456789012.5": "123456789012.5"}),
        ("#,##0.00_);[Red](#,##0.00)", {"5": "5.00", "-5": "(5.00)"}),
        ("0.00;[Red]0.00", {"5": "5.00", "-5": "-5.00"}),
        (r'_("$"* #,##0_);_("$"* \(#,##0\);_("$"* "-"??_);_(@_)', {"7": "$7", "0": "$-"}),
        (r"#,##0.00\ [$€-407]", {"1234.5": "1,234.50 €"}),
        ("[h]:mm", {"1.5": "36:00", "-0.0625": "-1:30", "1e10": "10000000000"}),
        ("[hh]:mm:ss", {"1.5": "36:00:00"}),
        ("[mm]:ss", {"0.01": "14:24"}),
        ("[m]", {"0.01": "14"}),
        ("[s]", {"0.01": "864"}),
        (
            "yyyy",
            {
                "1": "1900-01-01",
                "59": "1900-02-28",
                "61": "1900-03-01",
                "-3.0": "-3",
                "1e9": "1000000000",
            },
        ),
    ],
)
def test_xlsx_numbers_are_read_as_they_are_shown(
    tmp_path: Path, code: str, numbers: dict[str, str]
) -> None:
    assert _shown(tmp_path, code, *numbers) == list(numbers.values())


@pytest.mark.parametrize(
    "code",
    ["# ?/?", "0.00E+00", "0.0,", "#,##0,", "[>1]0.0", "00-00", "0,000", ";;;", "@", '"x'],
)
def test_xlsx_numbers_in_other_formats_are_read_as_they_are(tmp_path: Path, code: str) -> None:
    assert _shown(tmp_path, code, "12345.678", "0") == ["12345.678", "0"]


def test_xlsx_dates_are_counted_from_the_day_of_their_workbook(tmp_path: Path) -> None:
    assert _shown(tmp_path, "yyyy", "1", book='<workbookPr date1904="1"/>') == ["1904-01-02"]


def test_xlsx_letters_that_xml_cannot_hold_are_read(tmp_path: Path) -> None:
    row = '<row><c t="s"><v>0</v></c><c t="inlineStr"><is><t>b_x0009_c</t></is></c></row>'
    data = documents.xlsx(["one_x000D_\ntwo _x005F_x000D_ _xyz_"], row)
    assert extract(tmp_path, "a.xlsx", data).text == "one\ntwo _x000D_ _xyz_ | b\tc"


def test_xlsx_cells_that_are_there_for_their_looks_are_no_columns(tmp_path: Path) -> None:
    blanks = "".join(f'<c r="{letter}1" s="1"/>' for letter in "CDEF")
    rows = (
        '<row><c r="A1" t="str"><v>Name</v></c><c r="B1" t="str"><v>Age</v></c>'
        f'{blanks}</row><row><c r="A2"/><c t="str"><v>7</v></c></row>'
    )
    assert extract(tmp_path, "a.xlsx", documents.xlsx([], rows)).text == "Name | Age\nAge: 7"
