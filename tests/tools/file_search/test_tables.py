"""Tables of every kind give each cell in its row, whoever wrote them."""

from pathlib import Path

import pytest
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
