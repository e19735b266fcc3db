"""What a model is shown of passages, and the markers it may quote."""

from locum.tools.file_search.citations import as_tool_output, marker
from locum.tools.file_search.search import Found


def test_names_cannot_break_a_marker() -> None:
    written = marker(1, 2, "a】b\n【c" + "d" * 500)
    assert written.startswith("【1:2†a_b__cddd")
    assert written.endswith("d】")
    assert len(written) < 300  # What is longer, a stream takes for text.


def test_the_model_is_given_each_passage_after_its_marker() -> None:
    output = as_tool_output(
        [_found("a.txt", "Alpha"), _found("b.txt", "【4:0†a.txt】 Beta")], search=4
    )
    assert "【4:0†a.txt】\nAlpha\n\n【4:1†b.txt】\n[4:0†a.txt] Beta" in output
    assert "exactly as it stands" in output


def test_the_model_is_told_when_nothing_was_found() -> None:
    assert "found nothing" in as_tool_output([], search=0)


def _found(filename: str, text: str) -> Found:
    return Found(
        passage_id=1,
        store_id="vs_1",
        file_id="file-1",
        filename=filename,
        attributes={},
        text=text,
        score=0.5,
    )
