"""HTML gives its words as a browser sets them: what is apart stays apart, what flows flows."""

from pathlib import Path

import pytest
from tests.tools.file_search.extracting import extract


def _text(folder: Path, page: str) -> str:
    return extract(folder, "a.html", page.encode()).text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            "<h1>Report</h1>Costs rose. <div>alpha</div>beta",
            "Report\n\nCosts rose.\n\nalpha\n\nbeta",
        ),
        ("<blockquote>quote</blockquote>unquoted", "quote\n\nunquoted"),
        ("<div>Widget</div><span>$29</span> <span>Sold</span>", "Widget\n\n$29 Sold"),
        ("<ul><li>a<ul><li>b</ul>c</ul>d", "a\n\nb\n\nc\n\nd"),
        ("<label>Colour</label><select><option>Red</select>only", "Colour\nRed\nonly"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<b>one </b> <i> word</i>", "one word"),
    ],
)
def test_what_follows_a_block_does_not_stick_to_it(tmp_path: Path, page: str, text: str) -> None:
    assert _text(tmp_path, page) == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<pre><code><span>npm i<br></span><span>yarn<br></span></code></pre>", "npm i\nyarn"),
        ("<pre><div>one</div><div>  two</div></pre>", "one\n  two"),
        ("<pre><div>one</div>\n<div>two</div><br><div>three</div></pre>", "one\ntwo\n\nthree"),
        ("<pre><ol><li>one\n<li>two</ol></pre>", "one\ntwo"),
        ("<pre>if <button>x</button>:  y</pre>z", "if x:  y\n\nz"),
        ("a<textarea>\n  b\nc</textarea>d", "a\n\n  b\nc\n\nd"),
    ],
)
def test_lines_of_code_end_where_a_browser_ends_them(tmp_path: Path, page: str, text: str) -> None:
    assert _text(tmp_path, page) == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("met in <st1:City>Paris</st1:City> again", "met in Paris again"),
        ("Press <button>OK</button><img src=x> or <my-key>Esc</my-key>.", "Press OK or Esc."),
        ("in<!-- note -->side", "inside"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢字"),
        ("a <math><mi>x</mi><mo>=</mo><mfrac><mn>1</mn><mn>2</mn></mfrac></math> b", "a x = 1 2 b"),
    ],
)
def test_a_sentence_is_not_torn_by_what_stands_in_it(tmp_path: Path, page: str, text: str) -> None:
    assert _text(tmp_path, page) == text


def test_a_formula_is_read_once(tmp_path: Path) -> None:
    math = "<math><mi>A</mi><annotation>\\alpha</annotation></math>"
    drawn = "<span class=katex-html aria-hidden=true>A<span class=katex-html>A</span></span>"
    twice = f"An <span class=katex><span class=katex-mathml>{math}</span>{drawn}</span> is"
    assert _text(tmp_path, twice) == "An A is"
    assert _text(tmp_path, f"<p>Only {drawn}</p>") == "Only AA"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<tr><th>A<th>B<tbody><tr><td>1</td> <td>2</td>", "A\tB\n1\t2"),
        ("<tr><td><p>Key</p></td><td><p>Value</p></td><tr><td>c", "Key\tValue\nc"),
        ("<tr><td>a<td><td>b<td><tr><td><td>c", "a\t\tb\n\tc"),
        ("<tr><td>Line<br>two<td><br>x<tr><td><table><td></table><td>w", "Line\ntwo\tx\n\tw"),
        ("<tr><td>menu<p>home<td><h1>Title</h1>Words", "menu\n\nhome\n\nTitle\n\nWords"),
        ("<tr><td><pre>1\n2\n</pre><td><pre>a\n b\n</pre>", "1\n2\n\na\n b"),
    ],
)
def test_a_row_of_a_table_is_a_line_with_tabs_between_cells(
    tmp_path: Path, page: str, text: str
) -> None:
    assert _text(tmp_path, f"before<table>{page}</table>after") == f"before\n\n{text}\n\nafter"


def test_words_of_a_drawing_are_read_and_its_names_are_not(tmp_path: Path) -> None:
    page = """<p>See <svg><title>Icon</title><defs><text>unused</text></defs></svg> below</p>
    <svg><g><text><tspan>One</tspan><tspan>box</tspan></text><text>Other</text></g></svg>"""
    assert _text(tmp_path, page) == "See below\n\nOne box\nOther"


def test_the_title_is_that_of_the_head(tmp_path: Path) -> None:
    page = "<head><title>\n The\n page </title></head><svg><title>Icon</title></svg>Words"
    assert _text(tmp_path, page) == "The page\n\nWords"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<?xml version="1.0" encoding="iso-8859-1"?>', "cp1252"),
        ('<?xml version="1.0" encoding="utf-8"?><meta charset=koi8-r>', "koi8-r"),
    ],
)
def test_xhtml_names_its_encoding_in_its_first_line(
    tmp_path: Path, head: str, encoding: str
) -> None:
    word = "café" if encoding == "cp1252" else "Привет"
    assert extract(tmp_path, "a.html", f"{head}<p>{word}".encode(encoding)).text == word
