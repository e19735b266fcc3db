"""Words for a terminal: coloured for people, harmless whoever wrote them."""

import io

from locum.terminal.paint import Paint, harmless, lines_of, on_one_line


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_people_at_a_terminal_who_want_them() -> None:
    assert Paint.on(_Terminal(), no_color=False)("a", "red") == "\x1b[31ma\x1b[0m"
    assert Paint.on(_Terminal(), no_color=True)("a", "red") == "a"
    assert Paint.on(io.StringIO(), no_color=False).status("failed") == "failed"


def test_what_a_model_writes_steers_no_terminal() -> None:
    assert harmless("a\x1b[2Jb\x9bc\r\nd\te\x07") == "a�[2Jb�c\nd\te�"
    assert on_one_line("a\n\x1b]0;title\x07 b", None) == "a �]0;title� b"


def test_texts_are_cut_to_the_width_and_say_so() -> None:
    assert on_one_line("one two three", 7) == "one tw…"
    assert on_one_line("one", 7) == "one"
    text = "\n".join(["a" * 12, "b", "c", "d"])
    assert lines_of(text, 10, 2) == [f"{'a' * 9}…", "b", "… 2 more lines"]
    assert lines_of(text, 10, 3)[-1] == "… 1 more line"
    assert lines_of(text, None, 2) == ["a" * 12, "b", "c", "d"]
    assert lines_of(" \n", 10, 2) == []
